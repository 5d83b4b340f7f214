"""The presence server: Cisco Presence Engine (RFC 3856, 3903, 6665)."""
