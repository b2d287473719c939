"""What reports share: pages, figures, tables."""
