"""The proxy core and Cisco SIP Proxy (RFC 3261 16)."""
