"""The lake: everything that happened, in Delta tables."""
