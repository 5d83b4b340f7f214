"""What is configured: settings in the cluster's database, and the frozen snapshots that services start with."""
