"""SASL for servers and clients (RFC 4422, 5802, 6120 6)."""
