"""What the command line sends with its calls to a stack that asks for keys or speaks TLS."""

import os
from typing import Any

from tastemaker.cli.console import current_settings

__all__ = ["API_KEY", "credentials"]

# Not a field of the settings: those are written into the record of a running stack.
API_KEY = "TASTEMAKER_API_KEY"


def credentials(url: str) -> dict[str, Any]:
    """Named arguments of ``httpx.request``: the environment's API key, and trust in the stack's own certificate."""
    options: dict[str, Any] = {}
    key = os.environ.get(API_KEY)
    if key:
        options["headers"] = {"authorization": f"Bearer {key}"}
    if url.startswith("https:"):
        from tastemaker.serving.access.tls import client_context

        certificate = current_settings().tls_certificate
        if certificate:
            options["verify"] = client_context(certificate)
    return options
