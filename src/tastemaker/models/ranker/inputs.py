"""Raw features to inputs of the network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import tensorflow
from tastemaker.models.ranker.lists import RankingLists

tf = tensorflow()
keras = tf.keras

__all__ = ["Scales", "Standardise", "measure_scales"]

_CLIP = 5.0
_ROWS = 1_000_000  # more say nothing new about a mean
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Scales:
    """Of signed ``log(1 + x)`` of each feature.

    Attributes:
        mean: float32 ``[features]``.
        factor: float32 ``[features]``: one over the standard deviation; 0 for a feature that never varied.
        flag: float32 ``[features]``: 1 where values were missing at times, else 0.
    """

    mean: npt.NDArray[np.float32]
    factor: npt.NDArray[np.float32]
    flag: npt.NDArray[np.float32]


def measure_scales(lists: RankingLists, rows: npt.NDArray[np.integer]) -> Scales:
    """Measure the features of some lists, in blocks of bounded memory.

    Args:
        lists: see there.
        rows: which of them.
    """
    width = lists.features.shape[2]
    step = max(1, len(rows) * lists.features.shape[1] // _ROWS)
    total, squares, known, seen = np.zeros(width), np.zeros(width), np.zeros(width), 0
    shift: npt.NDArray[np.float64] | None = None
    for start in range(0, len(rows[::step]), _BLOCK):
        chosen = rows[::step][start : start + _BLOCK]
        real = (lists.labels[chosen] >= 0).any(axis=2)
        raw = lists.features[chosen][real].astype(np.float64)
        logs = np.sign(raw) * np.log1p(np.abs(raw))
        there = ~np.isnan(logs)
        if shift is None:
            # Sums of squares around a value near the mean keep their digits.
            shift = np.where(there, logs, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        away = np.where(there, logs - shift, 0.0)
        total += away.sum(axis=0)
        squares += (away**2).sum(axis=0)
        known += there.sum(axis=0)
        seen += len(raw)
    count = np.maximum(known, 1)
    spread = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0.0))
    # A feature that never varied in training says nothing, whatever it is later: no view was ever seen, say.
    return Scales(
        mean=((0.0 if shift is None else shift) + total / count).astype(np.float32),
        factor=np.where(spread > 1e-6, 1.0 / np.maximum(spread, 1e-6), 0.0).astype(np.float32),
        flag=((known > 0) & (known < seen)).astype(np.float32),
    )


class Standardise(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Raw features to inputs: signed ``log(1 + x)``, standardised, clipped; NaN becomes 0 and is flagged.

    Args:
        scales: see there.
    """

    def __init__(self, scales: Scales) -> None:
        super().__init__()
        self.mean = tf.constant(scales.mean, tf.float32)
        self.typical = tf.constant(np.sign(scales.mean) * np.expm1(np.abs(scales.mean)), tf.float32)
        self.factor = tf.constant(scales.factor, tf.float32)
        self.flag = tf.constant(scales.flag, tf.float32)

    def call(self, inputs: Any) -> Any:
        """float32 ``[n, features]`` to float32 ``[n, 2 × features]``: values, then flags."""
        missing = tf.math.is_nan(inputs)
        filled = tf.where(missing, 0.0, inputs)
        logs = tf.sign(filled) * tf.math.log1p(tf.abs(filled))
        values = tf.clip_by_value((logs - self.mean) * self.factor, -_CLIP, _CLIP)
        return tf.concat([tf.where(missing, 0.0, values), tf.cast(missing, tf.float32) * self.flag], axis=1)
