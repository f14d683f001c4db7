"""The query tower of weighted means in plain numpy: handing a history to TensorFlow takes longer than the sums."""

import numpy as np
import numpy.typing as npt

from tastemaker.models.two_tower.saved import Saved
from tastemaker.retrieval.tower_weights import TowerWeights

__all__ = ["WeightedMeanQuery"]

Floats = npt.NDArray[np.float32]


class WeightedMeanQuery:
    """The query at a history's newest event, as :class:`tastemaker.models.two_tower.asking.QueryTower` gives it.

    The sums are those of :meth:`tastemaker.models.two_tower.encoders.weighted_mean.WeightedMean.newest`, with the
    events newest first, so that an event's place is its distance.

    Args:
        saved: a model with the encoder "weighted-mean".
        types: int ``[event types]``: the model's code of each type that histories name.

    Raises:
        ServingError: weights are missing, or of other shapes than the model's.
    """

    def __init__(self, saved: Saved, types: npt.NDArray[np.int32]) -> None:
        parameters = saved.parameters
        size, heads, window = parameters.dimension, parameters.heads, parameters.window
        read = TowerWeights(saved)
        slope, distance = read("slope", (heads, 1)), read("distance", (heads, window))
        self._by_distance = distance + slope * np.log1p(np.arange(window, dtype=np.float32))
        timed = parameters.time_unit > 0  # time says nothing where all of it is one moment
        self._per_us = 1.0 / parameters.time_unit if timed else 0.0
        self._time = np.logaddexp(np.float32(0.0), read("time", (heads,)))[:, None] if timed else None  # softplus
        self._gate, self._gate_bias = read("gate/kernel", (size, heads)), read("gate/bias", (heads,))
        self._hidden, self._hidden_bias = (
            read("hidden/kernel", (heads * size, 2 * size)),
            read("hidden/bias", (2 * size,)),
        )
        self._out, self._out_bias = read("out/kernel", (2 * size, size)), read("out/bias", (size,))
        self._skip = read("skip", (heads,))
        self._length = np.float32(size**0.5) if parameters.normalise else np.float32(1.0)
        start = read("start", (1, size)) * self._length
        kinds = read("kinds", (parameters.n_types, size)) if parameters.n_types > 1 else None
        self._kinds = None if kinds is None else kinds[types]
        self._start = start if kinds is None else start + kinds[:1]
        read.close()
        self._size, self._n = size, window - 1
        self._normalise, self._bias = parameters.normalise, parameters.bias

    def __call__(
        self, rows: npt.NDArray[np.int64], types: npt.NDArray[np.int64], times: npt.NDArray[np.int64], vectors: Floats
    ) -> Floats:
        """The query, float32 ``[width]``; a cosine with unit vectors, where the model's vectors are of unit length.

        Args:
            rows: of one history's events, newest first; at least one.
            types: likewise, indices of event types.
            times: likewise, in microseconds.
            vectors: float32 ``[rows, width]``, of the catalogue.
        """
        rows, types, times = rows[: self._n], types[: self._n], times[: self._n]
        n = len(rows)
        events = np.empty((n + 1, self._size), dtype=np.float32)
        np.multiply(vectors[rows, : self._size], self._length, out=events[:n])
        if self._kinds is not None:
            events[:n] += self._kinds[types]
        events[n:] = self._start
        logits = (events @ self._gate + self._gate_bias).T + self._by_distance[:, : n + 1]
        if self._time is not None:
            since = np.zeros(n + 1, dtype=np.float32)  # the oldest event's time, which is the start's too
            since[:n] = (times - times[-1]) * self._per_us
            logits -= self._time * np.log1p(np.abs(since[0] - since))
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        pooled = weights @ events  # [heads, dimension]
        deep = np.maximum(pooled.ravel() @ self._hidden + self._hidden_bias, np.float32(0.0)) @ self._out
        query = deep + self._out_bias + self._skip @ pooled
        if self._normalise:
            query /= np.sqrt(max(float(query @ query), 1e-9))
        return np.append(query, np.float32(1.0)) if self._bias else query  # type: ignore[no-any-return]
