"""A lab as an endpoint for clients from outside: it stays up, describes itself, and is spoken to by commands."""
