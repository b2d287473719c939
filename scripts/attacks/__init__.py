"""Attacks on scans, models, fetchers and files; `scripts/attack.py` runs them."""
