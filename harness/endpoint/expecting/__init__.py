"""Waits for a client from outside to do a named thing: `catalogue` has the names, `waiting` watches the ledger."""
