"""The compiled loop that fills a list place by place: diversity, caps, pins, exposure of new items, sampling.

MMR: Carbonell & Goldstein, "The use of MMR, diversity-based reranking" (SIGIR 1998). DPP: Chen, Zhang & Zhou, "Fast
greedy MAP inference for determinantal point process to improve recommendation diversity" (NeurIPS 2018), its algorithm
1 and its trade-off of relevance and diversity. Minimum exposure per prefix: Geyik, Ambler & Kenthapadi, "Fairness-aware
ranking in search & recommendation systems" (KDD 2019). Similarity is the cosine. No fast maths: a replay gives the same
bits.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["Caps", "runners_up", "select"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Floats32 = npt.NDArray[np.float32]
_Bools = npt.NDArray[np.bool_]

# The kernel matrix of a DPP is (1 - this) × similarity + this × identity: it stays of full rank, so that a list can be
# longer than vectors have dimensions, and what an exact duplicate costs is finite.
_JITTER = 0.01


class Caps(NamedTuple):
    """What may not be in a list too often.

    Attributes:
        categories: int64[n]; -1 counts towards no cap.
        brands: int64[n]; likewise.
        per_category: 0 for no limit.
        per_brand: likewise.
        members: bool[caps, n], whom each further cap is about.
        limits: int64[caps], of these.
    """

    categories: _Ints
    brands: _Ints
    per_category: int
    per_brand: int
    members: _Bools
    limits: _Ints


@compiled
def select(  # noqa: PLR0917 - compiled functions take their arguments by position
    utility: _Floats,
    taken: _Bools,
    rows: _Ints,
    vectors: _Floats32,
    method: int,
    relevance: float,
    caps: Caps,
    new: _Bools,
    share: float,
    pins: _Ints,
    countable: _Bools,
    temperature: float,
    seed: int,
) -> tuple[_Ints, _Floats, _Ints, int]:
    """Fill the places of a list; ties go to the lower row, so that the candidates' order does not matter.

    The gain of a candidate is its utility; with MMR λ·logistic(utility) − (1 − λ)·(largest similarity to an item of
    the list, at least 0); with DPP λ·utility + (1 − λ)·log(what the list leaves of its variance).

    Args:
        utility: float64[n].
        taken: bool[n], candidates that must not appear; it is written to.
        rows: int64[n].
        vectors: float32[n, d]; [n, 0] without diversity.
        method: 0 none, 1 MMR, 2 DPP.
        relevance: λ.
        caps: what may not be there too often.
        new: bool[n].
        share: of the places, for new ones.
        pins: int64[k], the candidate of each place or -1; k is at most the number of candidates not taken. They
            are in the list from the start, for caps and diversity, and no cap holds them off.
        countable: bool[k], places that count towards the share.
        temperature: of the softmax that places are drawn from; 0 takes the largest gain.
        seed: of the draws.

    Returns:
        int64[k], the candidates; float64[k], the probability of each given those before it; int64[k], how many caps
        each broke when it was chosen, for want of one that broke fewer; how many places that count have new ones.
    """
    n, k = len(utility), len(pins)
    order = pins.copy()
    probability = np.ones(k, np.float64)
    broken = np.zeros(k, np.int64)
    category_used, brand_used = np.zeros(n, np.int64), np.zeros(n, np.int64)
    used, over = np.zeros(len(caps.limits), np.int64), np.zeros(n, np.int64)
    across = np.ascontiguousarray(vectors.T)  # so that loops over candidates are vectorised, without reordering sums
    nearest, variance = np.zeros(n, np.float64), np.ones(n, np.float64)
    basis = np.zeros((k if method == 2 else 0, n), np.float64)
    chosen, have = 0, 0
    new_pins = 0
    for place in range(k):
        if pins[place] >= 0:
            taken[pins[place]] = True
            new_pins += new[pins[place]]
    for place in range(k):
        if pins[place] >= 0:
            _count(pins[place], caps, category_used, brand_used, used, over)
            if method > 0:
                _spread(pins[place], chosen, method, vectors, across, nearest, variance, basis)
            chosen += 1
    need, free = np.int64(np.ceil(share * k - 1e-9)), 0
    for place in range(k):
        free += countable[place] and pins[place] < 0
    gain = np.empty(n, np.float64)
    for place in range(k):
        if pins[place] >= 0:
            have += new[pins[place]]
            new_pins -= new[pins[place]]
            continue
        must = False
        if countable[place]:
            free -= 1
            wanted = max(np.int64(np.floor(share * (place + 1) + 1e-9)), need - free - new_pins)
            must = bool(have < wanted)
        # New items come second to caps: a place goes to one only if it breaks none.
        least = np.int64(2**62)
        found = False
        for i in range(n):
            if not taken[i]:
                least = min(least, over[i])
                found = found or (must and new[i] and over[i] == 0)
        best, best_gain = -1, -np.inf
        for i in range(n):
            if taken[i] or (over[i] != 0 or not new[i] if found else over[i] != least):
                continue
            if method == 1:
                gain[i] = relevance / (1.0 + np.exp(-utility[i])) - (1.0 - relevance) * nearest[i]
            elif method == 2:
                gain[i] = relevance * utility[i] + (1.0 - relevance) * np.log(max(variance[i], 1e-12))
            else:
                gain[i] = utility[i]
            if not gain[i] > -1e300:  # vectors that are not finite, or far from unit length
                gain[i] = -1e300
            if gain[i] > best_gain or (gain[i] == best_gain and rows[i] < rows[best]):
                best, best_gain = i, gain[i]
        if temperature > 0.0:
            top, top_gain, total, lucky, luck = best, best_gain, 0.0, best, -np.inf
            for i in range(n):
                if taken[i] or (over[i] != 0 or not new[i] if found else over[i] != least):
                    continue
                logit = (gain[i] - top_gain) / temperature
                total += np.exp(logit)
                noisy = logit - np.log(-np.log(_uniform(seed, place, rows[i])))
                if noisy > luck or (noisy == luck and rows[i] < rows[lucky]):
                    lucky, luck = i, noisy
            best = lucky
            probability[place] = np.exp((gain[best] - gain[top]) / temperature) / total
        order[place] = best
        broken[place] = over[best]
        taken[best] = True
        have += new[best] and countable[place]
        _count(best, caps, category_used, brand_used, used, over)
        if method > 0:
            _spread(best, chosen, method, vectors, across, nearest, variance, basis)
        chosen += 1
    return order, probability, broken, have


@compiled
def runners_up(  # noqa: PLR0917 - compiled functions take their arguments by position
    order: _Ints,
    utility: _Floats,
    taken: _Bools,
    rows: _Ints,
    caps: Caps,
    size: int,
) -> _Ints:
    """The best candidates outside a list, of which any number may enter it together without breaking a cap.

    Args:
        order: int64[k], the list.
        utility: float64[n], and so on as for :func:`select`.
        taken: bool[n], candidates that must not appear; those of the list are among them. It is written to.
        rows: int64[n].
        caps: what may not be there too often.
        size: how many at most.

    Returns:
        int64[size or fewer], best first.
    """
    n = len(utility)
    category_used, brand_used = np.zeros(n, np.int64), np.zeros(n, np.int64)
    used, over = np.zeros(len(caps.limits), np.int64), np.zeros(n, np.int64)
    for j in order:
        _count(j, caps, category_used, brand_used, used, over)
    out = np.empty(min(size, n), np.int64)
    found = 0
    while found < len(out):
        best = -1
        for i in range(n):
            if taken[i] or over[i] > 0:
                continue
            if best < 0 or utility[i] > utility[best] or (utility[i] == utility[best] and rows[i] < rows[best]):
                best = i
        if best < 0:
            break
        taken[best] = True
        out[found] = best
        found += 1
        _count(best, caps, category_used, brand_used, used, over)
    return out[:found]


@compiled
def _count(  # noqa: PLR0917 - compiled functions take their arguments by position
    j: int,
    caps: Caps,
    category_used: _Ints,
    brand_used: _Ints,
    used: _Ints,
    over: _Ints,
) -> None:
    """Count candidate j for every cap; ``over[i]`` is how many caps are full that candidate i falls under."""
    categories, brands, members, limits = caps.categories, caps.brands, caps.members, caps.limits
    if caps.per_category > 0 and categories[j] >= 0:
        for i in range(len(categories)):
            if categories[i] == categories[j]:
                category_used[i] += 1
                over[i] += category_used[i] == caps.per_category
    if caps.per_brand > 0 and brands[j] >= 0:
        for i in range(len(brands)):
            if brands[i] == brands[j]:
                brand_used[i] += 1
                over[i] += brand_used[i] == caps.per_brand
    for cap in range(len(limits)):
        if members[cap, j]:
            used[cap] += 1
            if used[cap] == limits[cap]:
                for i in range(len(over)):
                    over[i] += members[cap, i]


@compiled
def _spread(  # noqa: PLR0917 - compiled functions take their arguments by position
    j: int,
    step: int,
    method: int,
    vectors: _Floats32,
    across: _Floats32,
    nearest: _Floats,
    variance: _Floats,
    basis: _Floats,
) -> None:
    """Take candidate j into account in what is similar to the list; it is the list's ``step``-th, from 0."""
    n = len(nearest)
    similar = np.zeros(n, np.float32)
    for part in range(vectors.shape[1]):
        of_j = vectors[j, part]
        for i in range(n):
            similar[i] += of_j * across[part, i]
    for i in range(n):
        similar[i] = similar[i] if np.isfinite(similar[i]) else np.float32(0.0)
    if method == 1:
        for i in range(n):
            nearest[i] = max(nearest[i], np.float64(similar[i]))
        return
    row = basis[step]
    for i in range(n):
        row[i] = (1.0 - _JITTER) * np.float64(similar[i])
    row[j] = 1.0
    for before in range(step):
        of_j = basis[before, j]
        for i in range(n):
            row[i] -= of_j * basis[before, i]
    root = np.sqrt(max(variance[j], 1e-12))
    for i in range(n):
        row[i] /= root
        variance[i] -= row[i] * row[i]


@compiled
def _uniform(seed: int, place: int, row: int) -> float:
    """A number in (0, 1) by the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) on what it is about."""
    state = np.uint64(seed) + np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
    for part in (np.uint64(0), np.uint64(row)):
        state ^= part
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (np.float64(state >> np.uint64(11)) + 0.5) * 2.0**-53
