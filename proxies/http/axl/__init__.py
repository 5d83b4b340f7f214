"""Administrative XML (AXL): the SOAP interface that peer clusters and programs ask for users and nodes (G06)."""
