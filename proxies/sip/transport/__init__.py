"""Sockets for SIP: flows, framing on streams, UDP (RFC 3261 18)."""
