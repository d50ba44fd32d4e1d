"""Measuring any pairwise scorer: harness, intervals, calibration, controls, reports, benchmarks."""
