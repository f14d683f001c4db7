"""An index that cannot be built must not keep lists from being made."""

import logging

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.errors import ServingError
from tastemaker.retrieval.source import Query, Retrieved, Source
from tastemaker.serving.candidates import MakeIndex

__all__ = ["NoIndex", "guarded"]

_log = logging.getLogger(__name__)


class NoIndex:
    """Stands where an index could not be built: it says so, and the other sources have candidates all the same."""

    name = names.SOURCE_TWO_TOWER

    def __init__(self, error: Exception) -> None:
        self._error = error

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Raises what went wrong."""
        raise ServingError(f"it could not be built: {self._error}")


def guarded(make_index: MakeIndex) -> MakeIndex:
    """The same, except that where it fails there is a :class:`NoIndex`, and the log says why."""

    def make(vectors: npt.NDArray[np.float32], servable: npt.NDArray[np.bool_]) -> Source:
        try:
            return make_index(vectors, servable)
        except Exception as error:
            _log.exception("the index of item vectors cannot be built; lists are made without it")
            return NoIndex(error)

    return make
