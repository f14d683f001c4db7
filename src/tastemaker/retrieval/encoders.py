"""The towers of a release: items to vectors, histories to vectors. The same calls in training and in serving."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError, ServingError
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.events.item import Item
from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.content import encode_content
from tastemaker.models.two_tower.saved import Saved
from tastemaker.retrieval.content_vectors import ContentVectors
from tastemaker.retrieval.interest import type_weights
from tastemaker.retrieval.item_facts import item_facts
from tastemaker.retrieval.weighted_mean import WeightedMeanQuery

__all__ = ["History", "ItemEncoder", "QueryEncoder", "type_codes"]

_PIECE: Final = 8_192  # items at a time; all of a large shop's at once would take gigabytes
# rows, event types (indices), times in microseconds; newest first
History = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


class ItemEncoder:
    """The item tower.

    Args:
        saved: the model.

    Raises:
        ServingError: it knows items by id alone, or its weights are not there.
    """

    def __init__(self, saved: Saved) -> None:
        if saved.scale is None:
            raise ServingError(f"the towers in {saved.directory} know items by id alone; train the release again")
        self._tower, self._scale = ContentVectors(saved, saved.scale), saved.scale

    def __call__(self, items: Sequence[Item], rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Vectors, float32 ``[n, width]``.

        Args:
            items: what the catalogue says of them.
            rows: of each in the release's vocabulary, -1 for an item that training did not know.
        """
        found = [self._vectors(items[at : at + _PIECE], rows[at : at + _PIECE]) for at in range(0, len(items), _PIECE)]
        return np.concatenate(found)

    def _vectors(self, items: Sequence[Item], rows: Sequence[int]) -> npt.NDArray[np.float32]:
        content = encode_content(item_facts(items), self._scale)
        return self._tower(np.asarray(rows, dtype=np.int64), content)


class QueryEncoder:
    """The query tower, on histories of any items that have a vector.

    Weighted means are asked in numpy, one history at a time; other encoders through the exported TensorFlow function.

    Args:
        saved: the model.

    Raises:
        ServingError: it is of histories without an order, or its weights are not there.
    """

    def __init__(self, saved: Saved) -> None:
        parameters = saved.parameters
        if not parameters.ordered:
            raise ServingError(f"the towers in {saved.directory} know no order of events; train the release again")
        codes = type_codes(saved.type_names)
        self._width = saved.vectors.shape[1]
        self._tower = (
            WeightedMeanQuery(saved, codes) if parameters.encoder == "weighted-mean" else _Exported(saved, codes)
        )

    def __call__(
        self, histories: Sequence[History], now_us: int, vectors: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Query vectors, float32 ``[n, width]``: their products with ``vectors`` are scores; 0 for no history.

        Args:
            histories: of ``n`` shoppers.
            now_us: the moment that is asked about, in microseconds; what came later is not looked at.
            vectors: float32 ``[rows, width]``, of the catalogue.
        """
        found = np.zeros((len(histories), self._width), dtype=np.float32)
        for place, (rows, types, times) in enumerate(histories):
            known = 0
            if len(times) and times[0] > now_us:
                known = int(np.searchsorted(-times, -now_us))
            if known < len(rows):
                found[place] = self._tower(rows[known:], types[known:], times[known:], vectors)
        return found


class _Exported:
    """The exported function, for one history: with a fixed shape it answers in two thirds of the time."""

    def __init__(self, saved: Saved, codes: npt.NDArray[np.int32]) -> None:
        tf = tensorflow()
        parameters = saved.parameters
        self._types, self._n, self._size = codes, parameters.window - 1, parameters.dimension
        # Time says nothing where all of it is one moment.
        self._per_us = 1.0 / parameters.time_unit if parameters.time_unit > 0 else 0.0
        # Training divides scores by the temperature; undone, they are cosines of the towers' vectors.
        self._unit = np.float32(parameters.temperature if parameters.normalise else 1.0)
        tower = self._kept = saved.query_tower()  # its variables live as long as it does
        signature = [
            tf.TensorSpec((1, self._n, self._size), tf.float32),
            tf.TensorSpec((1, self._n), tf.int32),
            tf.TensorSpec((1, self._n), tf.float32),
            tf.TensorSpec((1,), tf.int32),
        ]

        def ask(*asked: Any) -> Any:
            return tower.ask(*asked)

        self._ask = tf.function(ask, input_signature=signature, autograph=False).get_concrete_function()

    def __call__(
        self,
        rows: npt.NDArray[np.int64],
        types: npt.NDArray[np.int64],
        times: npt.NDArray[np.int64],
        vectors: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """As :meth:`WeightedMeanQuery.__call__`."""
        rows, types, times = (each[: self._n][::-1] for each in (rows, types, times))
        n = len(rows)
        events = np.zeros((1, self._n, self._size), dtype=np.float32)
        kinds, since = np.zeros((1, self._n), dtype=np.int32), np.zeros((1, self._n), dtype=np.float32)
        events[0, :n], kinds[0, :n] = vectors[rows, : self._size], self._types[types]
        since[0, :n] = (times - times[0]) * self._per_us
        tf = tensorflow()
        asked = (tf.convert_to_tensor(each) for each in (events, kinds, since, np.array([n], dtype=np.int32)))
        return np.asarray(self._ask(*asked).numpy()[0] * self._unit, dtype=np.float32)


def type_codes(names: Sequence[str]) -> npt.NDArray[np.int32]:
    """The model's code of each of ``EVENT_TYPES``, int32 ``[event types]``, by name.

    A type that training did not see counts as the one that commits a shopper about as much: in a model of purchases
    alone, a click is a purchase.

    Args:
        names: of the model's types in the order of their codes; empty when all were of one kind.

    Raises:
        DataError: a type of the model is no event type.
    """
    unknown = set(names) - set(EVENT_TYPES)
    if unknown:
        raise DataError(f"the towers know event types {sorted(unknown)}, which there are none of; train them again")
    if not names:
        return np.zeros(len(EVENT_TYPES), dtype=np.int32)
    weights = type_weights()
    known = weights[[EVENT_TYPES.index(name) for name in names]]
    nearest = np.abs(weights[:, None] - known[None, :]).argmin(axis=1)
    codes = [names.index(name) if name in names else int(nearest[at]) for at, name in enumerate(EVENT_TYPES)]
    return np.array(codes, dtype=np.int32)
