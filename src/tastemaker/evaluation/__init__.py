"""Offline evaluation: metrics, splits, baselines, intervals, comparison, drift."""
