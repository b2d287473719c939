"""Files of crystals in pieces that can be shared out: archives, tables, long files."""
