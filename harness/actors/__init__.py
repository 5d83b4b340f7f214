"""Clients for scenarios: SIP user agents, slixmpp clients, and those who only look at a port."""
