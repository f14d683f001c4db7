"""The numbers of a logged list, as arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.serving.contract import ServedList
from tastemaker.serving.replay.packing import unpack
from tastemaker.serving.replay.trace import DISCOUNT, LIFT, TEXT, Trace

__all__ = ["Logged", "NotReplayable", "logged_of"]

_Floats = npt.NDArray[np.float32]


class NotReplayable(Exception):
    """A list cannot be made again; says why."""


@dataclass(frozen=True, eq=False)
class Logged:
    """One list, its candidates in the order in which they were given to ranking.

    Attributes:
        trace: of the list.
        item_ids: of the ``n`` candidates.
        rows: int64 ``[n]``, of the catalogue that it was made from.
        by_source: float32 ``[n, sources]``; NaN where a source did not name the candidate.
        sources: names of its columns.
        features: float32 ``[n, features]``, what the ranker was given; ``[n, 0]`` without it.
        ranked: whether the ranker was asked.
        lift: float32 ``[n]``, what the visit added to the scores.
        discount: float32 ``[n]``, what showing took from them.
        text: float32 ``[n]``, how well titles match the search; None without one.
        at: int64 ``[n]``, where each stands among the logged candidates.
    """

    trace: Trace
    item_ids: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    by_source: _Floats
    sources: tuple[str, ...]
    features: _Floats
    ranked: bool
    lift: _Floats
    discount: _Floats
    text: _Floats | None
    at: npt.NDArray[np.int64]


def logged_of(served: ServedList) -> Logged:
    """Decode a list.

    Raises:
        NotReplayable: it does not hold what that needs.
    """
    trace = served.trace
    if trace is None:
        raise NotReplayable("it was logged by a version that did not keep the features of all candidates")
    if trace.left_out:
        raise NotReplayable(f"its features were not logged: {trace.left_out}")
    n = len(served.candidates)
    try:
        return _decoded(served, trace, n)
    except (ValueError, IndexError) as error:
        raise NotReplayable(f"what was logged of it does not decode: {error}") from error


def _decoded(served: ServedList, trace: Trace, n: int) -> Logged:
    places = np.frombuffer(trace.places, "<u2").astype(np.int64)
    rows = np.frombuffer(trace.rows, "<i4").astype(np.int64)
    if len(rows) != n or not np.array_equal(np.sort(places), np.arange(n)):
        raise ValueError(f"rows or places are not those of {n} candidates")
    at = np.argsort(places)
    names = (*served.feature_names, *trace.columns)
    values = unpack(trace.values, n, len(names))[at] if n and names else np.zeros((n, len(names)), dtype=np.float32)
    width = served.feature_names.index(LIFT) if LIFT in served.feature_names else 0
    by_source, sources = _by_source(served)
    return Logged(
        trace,
        tuple(served.candidates[place].item_id for place in at.tolist()),
        rows[at],
        by_source[at],
        sources,
        np.ascontiguousarray(values[:, :width]),
        bool(served.feature_names),
        _column(names, values, LIFT),
        _column(names, values, DISCOUNT),
        _column(names, values, TEXT) if TEXT in names else None,
        at,
    )


def _by_source(served: ServedList) -> tuple[_Floats, tuple[str, ...]]:
    sources = tuple(dict.fromkeys(name for candidate in served.candidates for name in candidate.sources))
    columns = {name: column for column, name in enumerate(sources)}
    found = np.full((len(served.candidates), len(sources)), np.nan, dtype=np.float32)
    for place, candidate in enumerate(served.candidates):
        for name, score in candidate.sources.items():
            found[place, columns[name]] = score
    return found, sources


def _column(names: tuple[str, ...], values: _Floats, name: str) -> _Floats:
    if name not in names:
        return np.zeros(len(values), dtype=np.float32)
    return np.ascontiguousarray(values[:, names.index(name)])
