"""Fitting of the multi-fidelity model."""
