"""Baselines: what a release has to beat. One file per model over one protocol."""
