"""One score of several signals: the ranker's, a text match, and the sources' own scores, by the recipe's weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["in_turn", "signals", "standardised", "weighed"]

Floats = npt.NDArray[np.float32]


def standardised(values: Floats) -> Floats:
    """Values with a mean of 0 and a deviation of 1; missing ones (NaN) are as low as the lowest, or 0 where none is.

    A source's score is 0 or more, and not to be named by it says less than any score: so missing counts as 0 there.
    """
    filled = np.nan_to_num(values, nan=min(0.0, float(np.nanmin(values, initial=0.0))))
    deviation = float(filled.std())
    return np.asarray((filled - filled.mean()) / (deviation if deviation > 1e-9 else 1.0), dtype=np.float32)


def signals(
    weights: Mapping[str, float], by_source: Floats, sources: Sequence[str], ranked: Floats | None, text: Floats | None
) -> dict[str, Floats]:
    """What each signal that counts adds to the candidates' scores, in the order of the weights.

    Args:
        weights: by signal, of the recipe.
        by_source: float32 ``[n, sources]``, candidates' scores; NaN where a source did not name one.
        sources: names of the columns.
        ranked: float32 ``[n]``, the ranker's scores; None without it.
        text: float32 ``[n]``; None without a search.

    Returns:
        float32 ``[n]`` by signal; a signal of which nothing is known is left out.
    """
    found: dict[str, Floats] = {}
    for signal, weight in weights.items():
        if signal == "ranker":
            values = ranked
        elif signal == "text":
            values = text
        else:
            values = by_source[:, sources.index(signal)] if signal in sources else None
        if values is None or not weight or np.isnan(values).all():
            continue
        found[signal] = np.float32(weight) * standardised(values)
    return found


def weighed(
    weights: Mapping[str, float], by_source: Floats, sources: Sequence[str], ranked: Floats | None, text: Floats | None
) -> Floats:
    """The sum of the signals, float32 ``[n]``; the order of retrieval where nothing is known of any of them.

    Args:
        weights: and all others as for :func:`signals`.
        by_source: of the candidates in the order of retrieval.
        sources: names of its columns.
        ranked: by the ranker.
        text: of the titles.
    """
    total = np.zeros(len(by_source), dtype=np.float32)
    if not len(by_source):
        return total
    found = signals(weights, by_source, sources, ranked, text)
    for values in found.values():
        total += values
    return total if found else in_turn(by_source)


def in_turn(by_source: Floats) -> Floats:
    """Scores that keep the order of retrieval: the source's own where one source named all, else one over the place."""
    named = ~np.isnan(by_source)
    (alone,) = np.nonzero(named.all(axis=0))
    if len(alone) == 1 and named.sum() == len(by_source):
        return by_source[:, alone[0]]
    return np.asarray(1.0 / np.arange(1.0, len(by_source) + 1.0), dtype=np.float32)
