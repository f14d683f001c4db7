"""What the compiled loops of :mod:`tastemaker.features.reading.collapse` are told: tables of whole numbers."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "CELLS",
    "COUNT",
    "DECAYED",
    "DECAY_COUNT",
    "DECAY_SUM",
    "DISTINCT",
    "EXTREME",
    "INTERVAL",
    "MAX",
    "MEAN",
    "MIN",
    "RATIO",
    "STDDEV",
    "SUM",
    "TIME",
    "TOTAL",
    "Tables",
]

# How a measure adds up entries.
SUM: Final = 0
MIN: Final = 1
MAX: Final = 2
CELLS: Final = 3
DECAY_COUNT: Final = 4
DECAY_SUM: Final = 5

# What a feature makes of its measures.
COUNT: Final = 0
TOTAL: Final = 1
MEAN: Final = 2
STDDEV: Final = 3
EXTREME: Final = 4
DISTINCT: Final = 5
TIME: Final = 6
INTERVAL: Final = 7
DECAYED: Final = 8
RATIO: Final = 9


class Tables(NamedTuple):
    """What to compute of a view.

    Attributes:
        ttl_us: of the view; 0 for none.
        head: the smallest code of head entries.
        places: int64 ``[codes + 1]``: where each code's measures begin in ``measures_of``.
        measures_of: int64: the measures that read the entries of a code, code by code.
        measures: int64 ``[measures, 5]``: how it adds up; window (0 for none) and slide; of CELLS the first of its
            scratch cells, of DECAY_* the first of its weights and their number. Measure 0 is the newest event.
        weights: int64: of all decaying measures.
        marks: number of scratch cells.
        features: int64 ``[features, 4]``: what it makes of up to three measures; of DISTINCT the second is the first
            place of its estimates; a RATIO has two features that come before it.
        defaults: float64 ``[features]``.
        estimates: float64: of distinct labels by occupied cells.
    """

    ttl_us: int
    head: int
    places: npt.NDArray[np.int64]
    measures_of: npt.NDArray[np.int64]
    measures: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int64]
    marks: int
    features: npt.NDArray[np.int64]
    defaults: npt.NDArray[np.float64]
    estimates: npt.NDArray[np.float64]
