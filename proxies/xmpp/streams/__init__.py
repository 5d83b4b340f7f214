"""XML streams, both ends (RFC 6120 4; XEP-0198)."""
