"""What makes a lab of certificates and proxies: lab file, nodes, services, scenarios, evidence."""
