"""The derived columns of the ranker's matrix, in one compiled pass."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["fill_derived"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]

_DAY_US = 86_400_000_000.0


@compiled
def fill_derived(  # noqa: PLR0917 - compiled functions take their arguments by position
    matrix: _Floats,
    first: int,
    rows: _Ints,
    cosines: _Floats,
    together: _Floats,
    together_habits: _Floats,
    n_owned: int,
    popularity: _Floats,
    leaf: _Ints,
    habits: _Ints,
    habit_weights: _Floats,
    log_price: _Floats,
    created_us: _Ints,
    now_us: int,
    scores: _Floats,
    named_by: _Ints,
) -> None:
    """Write :data:`tastemaker.release.ranking_features.DERIVED` into the columns of a matrix from ``first`` on.

    Args:
        matrix: float32 ``[n, columns]``, written to.
        first: the first derived column.
        rows: int64 ``[n]``, of the candidates.
        cosines: float32 ``[n]``, of their vectors with the query's; NaN without one.
        together: float32 ``[n]``, co-visitation with the anchors.
        together_habits: float32 ``[n]``, with the habits.
        n_owned: how many items the shopper bought.
        popularity: float32 ``[rows]``, of the catalogue, as all below but the habits.
        leaf: int64, number of the category; -1 without one.
        habits: int64, rows of the items that the shopper deals with.
        habit_weights: float32, of each.
        log_price: float32, NaN where it is not known.
        created_us: int64.
        now_us: the moment.
        scores: float32 ``[n, sources]``, NaN where a source did not name the candidate.
        named_by: int64, columns of the sources of which it is a feature; -1 for one that was not asked.
    """
    m = len(habits)
    total = known_total = price_sum = 0.0
    for at in range(m):
        total += habit_weights[at]
        price = log_price[habits[at]]
        if not np.isnan(price):
            known_total += habit_weights[at]
            price_sum += np.float64(price) * habit_weights[at]
    usual = price_sum / known_total if known_total > 0.0 else np.nan
    for at in range(len(rows)):
        row = rows[at]
        own = leaf[row]
        share = 0.0
        if own >= 0:
            for habit in range(m):
                if leaf[habits[habit]] == own:
                    share += habit_weights[habit]
        matrix[at, first] = cosines[at]
        matrix[at, first + 1] = together[at]
        matrix[at, first + 2] = together_habits[at]
        matrix[at, first + 3] = n_owned
        matrix[at, first + 4] = popularity[row]
        matrix[at, first + 5] = share / max(total, 1e-9)
        matrix[at, first + 6] = abs(log_price[row] - usual)
        matrix[at, first + 7] = max(now_us - created_us[row], 0) / _DAY_US
        for source in range(len(named_by)):
            column = named_by[source]
            named = column >= 0 and not np.isnan(scores[at, column])
            matrix[at, first + 8 + source] = 1.0 if named else 0.0
