"""Fetchers of public data: what the package does not ship, from its public home to a local folder."""
