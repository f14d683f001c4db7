"""Exploration by slots: how chance gives places away, and how likely it was."""

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.policy import EpsilonSlots

__all__ = ["give_away", "seed_of"]

_MASK: Final = 2**64 - 1


def seed_of(request_id: str) -> int:
    """The seed of a request: 63 bits of its id's BLAKE2b hash, so that a replay draws the same."""
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest(), "little") >> 1


def give_away(
    order: npt.NDArray[np.int64],
    pool: npt.NDArray[np.int64],
    slots: list[int],
    policy: EpsilonSlots,
    seed: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], tuple[int, ...]]:
    """Give each slot away with probability epsilon, to an item drawn uniformly from the pool without replacement.

    Each item of the pool is equally likely at each slot, whatever the other slots draw, because the pool is at least as
    large as there are slots: so at a slot an item of the pool has the probability epsilon / len(pool), and the item
    that the list had there 1 - epsilon. Items of the list do not move, and one that is displaced drops out.

    Args:
        order: int64 ``[k]``, the list.
        pool: int64 ``[m]``, of which none is in the list.
        slots: places from 0; no more than the first ``m`` are used.
        policy: epsilon.
        seed: of the draws.

    Returns:
        The list, float64 ``[k]`` probabilities, and the places that were given away.
    """
    order, propensities = order.copy(), np.ones(len(order))
    slots = slots[: len(pool)]
    left, given_away = pool.tolist(), []
    draws = _uniforms(seed)
    for slot in slots:
        explores, which = next(draws) < policy.epsilon, next(draws)
        propensities[slot] = policy.epsilon / len(pool) if explores else 1.0 - policy.epsilon
        if explores:
            order[slot] = left.pop(int(which * len(left)))
            given_away.append(slot)
    return order, propensities, tuple(given_away)


def _uniforms(seed: int) -> Iterator[float]:
    """Numbers in [0, 1): SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield ((mixed ^ (mixed >> 31)) >> 11) * 2.0**-53
