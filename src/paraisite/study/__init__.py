"""The whole study: what is trained and compared, by which protocol, and the report."""
