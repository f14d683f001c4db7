"""Tasks that are skipped when they were done before: Prefect keeps their results, and shows them as Cached."""

from datetime import timedelta
from typing import Any

__all__ = ["CACHED"]

# The task has a parameter `key`, which names all that it depends on.
CACHED: dict[str, Any] = {
    "persist_result": True,
    "cache_key_fn": lambda _context, parameters: parameters["key"],
    "cache_expiration": timedelta(days=14),
}
