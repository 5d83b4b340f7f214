"""Cisco XCP Connection Manager: XMPP clients over TCP (G21)."""
