"""Evidently reports and gate policies: thin adapters over the package."""
