"""Makes the next approximate index in a thread of its own, while the present one is asked."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.index.cells import CellIndex

__all__ = ["Made", "Upkeep"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Made:
    """An index, and what it was made of.

    Attributes:
        index: see there.
        vectors: float32 ``[rows, dimension]``, the catalogue's of that time.
    """

    index: CellIndex
    vectors: npt.NDArray[np.float32]


class Upkeep:
    """At most one index is in the making; it is shared by the states that follow each other."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._made: Made | None = None

    @property
    def idle(self) -> bool:
        """Whether none is being made, nor waits to be taken."""
        return self._thread is None

    @property
    def ready(self) -> bool:
        """Whether one waits to be taken, or could not be made."""
        return self._thread is not None and not self._thread.is_alive()

    def begin(self, make: Callable[[], CellIndex], vectors: npt.NDArray[np.float32]) -> None:
        """Make one.

        Args:
            make: takes seconds to minutes; what it raises is logged, and another one is made at the next change.
            vectors: that it is made of.
        """
        if not self.idle:
            return

        def run() -> None:
            try:
                self._made = Made(make(), vectors)
            except Exception:
                _log.exception("the next index of item vectors cannot be made; new items are searched one by one")

        self._thread = threading.Thread(target=run, name="index-upkeep", daemon=True)
        self._thread.start()

    def take(self) -> Made | None:
        """The one that waits, once; None where there is none yet or it could not be made."""
        if not self.ready:
            return None
        made, self._made, self._thread = self._made, None, None
        return made

    def join(self) -> None:
        """Wait until what is being made is ready."""
        if self._thread is not None:
            self._thread.join()
