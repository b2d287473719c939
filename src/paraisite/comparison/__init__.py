"""Candidates compared under the same splits: scores, calibration, cost and paired tests, in one folder."""

from paraisite.comparison.run import ComparisonProgress, compare, read_comparison, write_comparison

__all__ = ["ComparisonProgress", "compare", "read_comparison", "write_comparison"]
