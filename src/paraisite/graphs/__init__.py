"""Graphs of crystals: neighbours, the exact quotient, flat-array stores."""
