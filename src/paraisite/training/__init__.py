"""Recipes, the training loop, runs."""
