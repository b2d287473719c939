"""The study's report."""
