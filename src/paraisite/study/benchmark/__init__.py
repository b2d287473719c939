"""Candidates compared under the same splits: scores, calibration, cost and paired tests, in one folder."""

from paraisite.study.benchmark.run import BenchmarkProgress, read_benchmark, run_benchmark, write_benchmark

__all__ = ["BenchmarkProgress", "read_benchmark", "run_benchmark", "write_benchmark"]
