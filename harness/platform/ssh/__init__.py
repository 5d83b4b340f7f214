"""The platform command line over SSH (RFC 4251 to 4254). asyncssh is loaded when the first client connects."""
