"""Figures of the study: each a PNG, an SVG and its data as CSV."""
