"""Training of networks by recipes."""
