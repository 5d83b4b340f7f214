"""Looks at a server of somebody's own from the client's side, with the lab's verdicts (docs/probe.md)."""
