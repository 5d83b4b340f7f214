"""Finds and runs scenarios."""
