"""Rows of the online store that are built from the lake."""
