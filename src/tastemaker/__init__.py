"""Tastemaker: a feature-store-driven platform for real-time product recommendations."""

__all__ = ["__version__"]

__version__ = "0.1.0"
