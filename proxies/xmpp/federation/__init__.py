"""Federation with other domains: dialback, security modes (G11)."""
