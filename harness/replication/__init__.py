"""What nodes and clusters tell each other: users, nodes, XMPP certificates (G22)."""
