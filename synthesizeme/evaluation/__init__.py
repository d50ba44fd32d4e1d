"""Measuring any pairwise scorer: harness, intervals, calibration, controls, reports, benchmarks."""

from synthesizeme.evaluation.harness import Outcome, evaluate

__all__ = ["Outcome", "evaluate"]
