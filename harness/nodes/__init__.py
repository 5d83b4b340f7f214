"""Nodes and their services: how each is built, Control Center, administration, certificate management."""
