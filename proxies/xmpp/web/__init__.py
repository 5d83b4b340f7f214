"""Cisco XCP Web Connection Manager: XMPP over BOSH and WebSocket for web clients (G23)."""
