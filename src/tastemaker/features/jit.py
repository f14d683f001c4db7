"""Compiled loops: one place that says how numba compiles them, and when compiled code is out of date."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from numba import njit
from numba.core import config

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])

_FEATURES: Final = Path(__file__).parent
# What loops are compiled from besides each other: constants and layouts, which become part of the machine code.
_TABLES: Final = ("semantics.py", "layout.py", "history.py", "kernel_types.py", "collapse_tables.py", "jit.py")


def compiled(function: Function) -> Function:
    """Compile at the first call, release the GIL while it runs, and keep the machine code for the next process.

    The code is kept beside the source, or in ``NUMBA_CACHE_DIR``, or in the user's cache directory, or not at all where
    nothing can be written, as in a read-only image. No ``fastmath``: it would let the compiler contract or reorder
    operations on doubles, and values have to be equal to the last bit.
    """
    with _kept_by_sources():
        try:
            return cast(Function, njit(nogil=True, cache=True)(function))
        except RuntimeError:  # numba found nowhere to keep it
            return cast(Function, njit(nogil=True)(function))


@contextmanager
def _kept_by_sources() -> Iterator[None]:
    """Keep code in a directory of its own per state of all loops: numba looks at a loop's own file only."""
    settings: Any = config
    given = settings.CACHE_DIR
    home = Path(given) if given else _FEATURES / "__pycache__"
    if given or os.access(_FEATURES, os.W_OK):
        settings.CACHE_DIR = str(home / f"loops-{_sources()}")
    try:
        yield
    finally:
        settings.CACHE_DIR = given


@cache
def _sources() -> str:
    """A hash of everything that loops are compiled from."""
    digest = hashlib.sha256()
    for path in sorted(_FEATURES.rglob("*.py")):
        text = path.read_bytes()
        if b"features.jit import" in text or path.name in _TABLES:
            digest.update(text)
    return digest.hexdigest()[:16]
