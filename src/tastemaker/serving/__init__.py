"""Serving: from a request to an explained list."""
