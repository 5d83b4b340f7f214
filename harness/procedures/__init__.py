"""Procedures of the guide that several scenarios share, step by step."""
