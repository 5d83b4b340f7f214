"""Fuzzing: mutated recordings into the protocol cores, and at the sockets of a lab. `make fuzz` runs it."""
