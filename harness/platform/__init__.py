"""The platform command line of a node: its commands and their interpreter."""
