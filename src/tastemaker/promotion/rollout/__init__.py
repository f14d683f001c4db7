"""Rollout: a release that passed the gate takes over step by step, watched, and comes back by itself."""
