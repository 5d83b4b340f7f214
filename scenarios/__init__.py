"""The scenarios, one file each; a file's name is the NAME in `make scenario NAME=...`."""
