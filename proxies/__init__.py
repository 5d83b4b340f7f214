"""The servers of a node, one package per protocol."""
