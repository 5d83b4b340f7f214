"""What the XCP routers keep for users and rooms in the cluster's database: rosters, messages, archives."""
