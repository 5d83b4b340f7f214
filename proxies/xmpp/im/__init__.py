"""Instant messaging and presence (RFC 6121) and the archive."""
