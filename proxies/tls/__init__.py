"""TLS listener and dialler: every handshake ends with a verdict."""
