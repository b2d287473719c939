"""Data sets: embedded tables, catalogue, splits, example crystals."""
