"""Which rules are about which candidates, and what they do to them: two binary searches for each, and few prices."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["BOOST", "BURY", "CAP", "EXCLUDE", "PIN", "Postings", "match"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Floats32 = npt.NDArray[np.float32]
_Bytes = npt.NDArray[np.uint8]
_Bools = npt.NDArray[np.bool_]


# The kinds of rules. They are here because a loop is compiled anew when its own file changes, and no other.
BOOST: Final = 0
BURY: Final = 1
PIN: Final = 2
EXCLUDE: Final = 3
CAP: Final = 4


class Postings(NamedTuple):
    """Rules by key, keys ascending: those of ``keys[i]`` are ``rules[starts[i]:starts[i + 1]]``, ascending.

    Attributes:
        keys: int64 ``[m]``.
        starts: int64 ``[m + 1]``.
        rules: int64, numbers of rules.
    """

    keys: _Ints
    starts: _Ints
    rules: _Ints


@compiled
def match(  # noqa: PLR0917 - compiled functions take their arguments by position
    rows: _Ints,
    categories: _Ints,
    brands: _Ints,
    prices: _Floats32,
    n_brands: int,
    by_class: Postings,
    by_row: Postings,
    everywhere: _Ints,
    on: _Bytes,
    price_from: _Floats,
    price_to: _Floats,
    kinds: _Ints,
    log_factors: _Floats,
    limits: _Ints,
    utility: _Floats,
    removed: _Bools,
) -> tuple[_Ints, _Ints, _Bools, _Ints]:
    """Match candidates with the rules of :class:`~tastemaker.serving.rerank.compiled_rules.CompiledRules`.

    Args:
        rows: int64[n], and what else the request knows of the candidates.
        categories: int64[n].
        brands: int64[n].
        prices: float32[n].
        n_brands: of the catalogue.
        by_class: rules by pair of category and brand.
        by_row: rules by row.
        everywhere: int64.
        on: uint8[rules].
        price_from: float64[rules].
        price_to: float64[rules].
        kinds: int64[rules].
        log_factors: float64[rules].
        limits: int64[rules].
        utility: float64[n]; boosts and buries are added to it.
        removed: bool[n]; set for those that a rule excludes.

    Returns:
        int64[hits] and int64[hits]: a candidate and the number of a rule about it, by candidate; bool[caps, n] and
        int64[caps]: whom each cap is about that is about any of them, in the order of the rules, and its limit.
    """
    n = len(rows)
    candidates, hits = np.empty(4 * n + 16, np.int64), np.empty(4 * n + 16, np.int64)
    caps = np.empty(16, np.int64)
    size, n_caps = 0, 0
    for i in range(n):
        for source in range(3):
            if source == 0 and brands[i] >= n_brands:
                continue  # a brand that came later; its key would be another class's
            if source == 0:
                begin, end = _range(by_class, (categories[i] + 1) * (n_brands + 1) + brands[i] + 1)
                found = by_class.rules
            elif source == 1:
                begin, end = _range(by_row, rows[i])
                found = by_row.rules
            else:
                begin, end = 0, len(everywhere)
                found = everywhere
            for place in range(begin, end):
                rule = found[place]
                if on[rule] == 0:
                    continue
                # A rule without a range has NaN there; so has an item without a price.
                if not np.isnan(price_from[rule]) and not (price_from[rule] <= prices[i] <= price_to[rule]):
                    continue
                if size == len(hits):
                    candidates, hits = _longer(candidates), _longer(hits)
                candidates[size], hits[size] = i, rule
                size += 1
                if kinds[rule] <= BURY:
                    utility[i] += log_factors[rule]
                elif kinds[rule] == EXCLUDE:
                    removed[i] = True
                elif kinds[rule] == CAP:
                    known = False
                    for cap in range(n_caps):
                        known = known or caps[cap] == rule
                    if not known:
                        if n_caps == len(caps):
                            caps = _longer(caps)
                        caps[n_caps] = rule
                        n_caps += 1
    caps = np.sort(caps[:n_caps])
    members = np.zeros((n_caps, n), np.bool_)
    for hit in range(size):
        if kinds[hits[hit]] == CAP:
            members[np.searchsorted(caps, hits[hit]), candidates[hit]] = True
    return candidates[:size].copy(), hits[:size].copy(), members, limits[caps]


@compiled
def _longer(array: _Ints) -> _Ints:
    longer = np.empty(2 * len(array), np.int64)
    longer[: len(array)] = array
    return longer


@compiled
def _range(postings: Postings, key: int) -> tuple[int, int]:
    keys, starts = postings.keys, postings.starts
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low == len(keys) or keys[low] != key:
        return 0, 0
    return starts[low], starts[low + 1]
