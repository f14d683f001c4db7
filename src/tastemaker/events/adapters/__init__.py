"""Data sets as events and items: one module per source, all of them answering with a ``Dataset``."""
