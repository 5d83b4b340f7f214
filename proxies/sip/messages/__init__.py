"""SIP messages and what stands in them (RFC 3261 7, 20)."""
