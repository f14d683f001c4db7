"""Retrieval: the catalogue with its vectors, and the named candidate sources over it."""
