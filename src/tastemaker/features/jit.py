"""Compiled loops: one place that says how numba compiles them, and when compiled code is out of date."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from numba import njit
from numba.core import config
from numba.core.caching import IndexDataCacheFile, UserProvidedCacheLocator

__all__ = ["BesidePackage", "compiled", "in_turn"]

Function = TypeVar("Function", bound=Callable[..., Any])

_FEATURES: Final = Path(__file__).parent
_PACKAGE: Final = _FEATURES.resolve().parent
_WITH_LOOPS: Final = ("features", "release", "retrieval", "serving/rerank")
# What loops are compiled from besides each other: constants and layouts, which become part of the machine code.
_TABLES: Final = ("semantics.py", "layout.py", "history.py", "kernel_types.py", "collapse_tables.py", "jit.py")


def compiled(function: Function) -> Function:
    """Compile at the first call, release the GIL while it runs, and keep the machine code for the next process.

    The code is kept beside the source, or in ``NUMBA_CACHE_DIR``, or in the user's cache directory, or not at all where
    nothing can be written, as in a read-only image. No ``fastmath``: it would let the compiler contract or reorder
    operations on doubles, and values have to be equal to the last bit.

    Where ``NUMBA_CACHE_DIR`` says, copies of the package at several places, such as one Bento after another, find each
    other's code: compiling takes 10 s and more.
    """
    with _kept_by_sources():
        try:
            return cast(Function, in_turn(njit(nogil=True, cache=True)(function)))
        except RuntimeError:  # numba found nowhere to keep it
            return cast(Function, njit(nogil=True)(function))


def in_turn(loop: Any) -> Any:
    """Let processes that compile a loop at the same moment keep it one after the other.

    Numba numbers the files of a loop's signatures by an index that it reads and writes without a lock: two processes
    give two signatures one file, and whoever reads it calls code that was compiled for other arguments.
    """
    kept = loop._cache._cache_file  # numba has no public name for it
    kept.__class__ = _InTurn
    return loop


class _InTurn(IndexDataCacheFile):  # type: ignore[misc]
    def save(self: Any, key: Any, data: Any) -> None:
        with (Path(self._cache_path) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
            signatures: dict[Any, str] = self._load_index()
            taken = set(signatures.values())
            free = (self._data_name(number) for number in count(1))
            signatures[key] = signatures.get(key) or next(name for name in free if name not in taken)
            self._save_data(signatures[key], data)  # before the index names it
            self._save_index(signatures)


@contextmanager
def _kept_by_sources() -> Iterator[None]:
    """Keep code in a directory of its own per state of all loops: numba looks at a loop's own file only."""
    settings: Any = config
    given, locators = settings.CACHE_DIR, settings.CACHE_LOCATOR_CLASSES
    home = Path(given) if given else _FEATURES / "__pycache__"
    if given or os.access(_FEATURES, os.W_OK):
        settings.CACHE_DIR = str(home / f"loops-{_sources()}")
        own = f"{BesidePackage.__module__}.{BesidePackage.__name__}"
        settings.CACHE_LOCATOR_CLASSES = f"{own},UserWideCacheLocator"
    try:
        yield
    finally:
        settings.CACHE_DIR, settings.CACHE_LOCATOR_CLASSES = given, locators


class BesidePackage(UserProvidedCacheLocator):  # type: ignore[misc]
    """Tells a loop's file by its place in the package, where numba takes the path that the package is installed at.

    What the code was compiled from is in the directory's name, so that other sources have other directories.
    """

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """The directory of a source file's code, below the one of all loops."""
        folder = Path(py_file).resolve().parent
        inside = folder.relative_to(_PACKAGE) if folder.is_relative_to(_PACKAGE) else folder
        return ".".join(part.strip("/") for part in inside.parts)


@cache
def _sources() -> str:
    """A hash of everything that loops are compiled from."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in _WITH_LOOPS for path in (_PACKAGE / folder).rglob("*.py")):
        text = path.read_bytes()
        if b"features.jit import" in text or path.name in _TABLES:
            digest.update(text)
    return digest.hexdigest()[:16]
