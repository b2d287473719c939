"""From structures to a table of κ."""
