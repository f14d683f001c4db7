"""Replay: what a logged list was made from, the list made from it once more, and why each item stands where it does."""
