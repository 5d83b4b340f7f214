"""HTTP over the lab's own listeners; what Cisco Tomcat and the web clients' services have in common."""
