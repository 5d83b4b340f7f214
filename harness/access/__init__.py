"""Who may log in to a node and what they read first: accounts, passwords, the login banner."""
