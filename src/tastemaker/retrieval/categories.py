"""The category paths of a catalogue, each with a number."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Categories"]

_REMEMBERED: Final = 10_000


class Categories:
    """Numbers category paths in the order in which they are met; a number never changes.

    Shared by all states of a catalogue: a new state only adds paths at the end.
    """

    def __init__(self) -> None:
        self._codes: dict[tuple[str, ...], int] = {}
        self.paths: list[tuple[str, ...]] = []
        self._within: dict[str, tuple[int, npt.NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def code(self, path: Sequence[str]) -> int:
        """The number of a path, a new one if it has none; -1 for no category."""
        if not path:
            return -1
        key = tuple(path)
        found = self._codes.get(key)
        if found is None:
            self.paths.append(key)
            found = self._codes[key] = len(self.paths) - 1
        return found

    def within(self, path: str) -> npt.NDArray[np.int64]:
        """Numbers of a path, joined with ``/``, and of all below it, ascending; none for a path that no item has."""
        known = self._within.get(path)
        if known is None or known[0] != len(self.paths):
            if len(self._within) >= _REMEMBERED:  # anybody may ask for paths that nothing has
                self._within.clear()
            paths = ["/".join(other) for other in list(self.paths)]
            codes = [code for code, other in enumerate(paths) if other == path or other.startswith(path + "/")]
            known = len(paths), np.array(codes, dtype=np.int64)
            self._within[path] = known
        return known[1]
