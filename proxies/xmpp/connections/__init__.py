"""Sockets for XMPP: what carries a stream."""
