"""Cisco XCP Router: where stanzas go, links to other routers (G22)."""
