"""Benchmarks: each prints a figure, its goal, and whether it holds; ``make bench`` lists them."""
