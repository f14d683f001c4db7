"""One request's candidates under one policy and the rules of the moment: matched, weighed, and ready to be selected."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.compiled_rules import ActiveRules
from tastemaker.serving.rerank.given import RerankInput
from tastemaker.serving.rerank.match_kernel import match
from tastemaker.serving.rerank.policy import RerankPolicy
from tastemaker.serving.rerank.select_kernel import Caps, select
from tastemaker.serving.rerank.utility_kernel import utilities

__all__ = ["Filled", "Outcome", "Prepared", "caps_of", "fill", "prepare"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]

_METHODS: Final = {"mmr": 1, "dpp": 2}


@dataclass(frozen=True, eq=False)
class Prepared:
    """What places are filled from.

    Attributes:
        given: the candidates.
        policy: of the surface.
        active: the rules.
        size: how many places the list has.
        candidates: int64 ``[hits]``, of each match of a rule with a candidate.
        hits: int64 ``[hits]``, the number of its rule.
        utility: float64 ``[n]``, with all weights, boosts and buries.
        removed: bool ``[n]``, excluded or out of stock.
        members: bool ``[caps, n]``, whom the cap rules are about.
        limits: int64 ``[caps]``, how many of them.
        new: bool ``[n]``.
    """

    given: RerankInput
    policy: RerankPolicy
    active: ActiveRules
    size: int
    candidates: _Ints
    hits: _Ints
    utility: _Floats
    removed: _Bools
    members: _Bools
    limits: _Ints
    new: _Bools

    def matching(self, number: int) -> _Ints:
        """The candidates that a rule is about."""
        found: _Ints = self.candidates[self.hits == number]
        return found

    def of_kind(self, first: int, last: int) -> list[int]:
        """Numbers of the rules of some kinds that are about any candidate, in their order."""
        kinds = self.active.compiled.kinds[self.hits]
        numbers: list[int] = np.unique(self.hits[(first <= kinds) & (kinds <= last)]).tolist()
        return numbers


@dataclass(frozen=True, eq=False)
class Filled:
    """A list, as :func:`~tastemaker.serving.rerank.select_kernel.select` gives it."""

    order: _Ints
    probability: _Floats
    broken: _Ints
    new: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """A list and what it was made from.

    Attributes:
        prepared: the candidates.
        filled: the list before exploration by slots.
        pins: int64 ``[size]``, the candidate of each place or -1.
        pinned_by: the number of the rule of each pinned place.
        countable: bool ``[size]``, places that count towards the share of new items.
        order: int64 ``[size]``, the list.
    """

    prepared: Prepared
    filled: Filled
    pins: _Ints
    pinned_by: dict[int, int]
    countable: _Bools
    order: _Ints


def prepare(given: RerankInput, policy: RerankPolicy, active: ActiveRules, k: int) -> Prepared:
    """Match rules with candidates and weigh these.

    Args:
        given: the candidates.
        policy: of the surface.
        active: the rules of the surface at the moment.
        k: places wanted.
    """
    n = len(given)
    utility = utilities(
        given.scores, given.margins, given.stock, policy.margin_weight, policy.stock_weight, policy.stock_half
    )
    removed = given.stock <= 0 if policy.drop_out_of_stock else np.zeros(n, dtype=np.bool_)
    candidates = hits = limits = np.zeros(0, dtype=np.int64)
    members = np.zeros((0, n), dtype=np.bool_)
    if active.any:
        candidates, hits, members, limits = _matches(given, active, utility, removed)
    new = given.age_days < policy.new_items.younger_than_days if policy.new_items else np.zeros(n, dtype=np.bool_)
    size = min(k, n - int(np.count_nonzero(removed)))
    return Prepared(given, policy, active, size, candidates, hits, utility, removed, members, limits, new)


def fill(
    prepared: Prepared,
    pins: _Ints,
    countable: _Bools,
    seed: int,
    *,
    held: tuple[bool, bool] = (True, True),
    cap_rules: int | None = None,
    new_items: bool = True,
    sampled: float = 0.0,
) -> Filled:
    """Fill the places; the switches leave parts of the policy out, to see what these do.

    Args:
        prepared: the candidates.
        pins: int64 ``[size]``, the candidate of each place or -1.
        countable: bool ``[size]``, places that count towards the share of new items.
        seed: of the draws.
        held: whether the policy's caps hold, by category and by brand.
        cap_rules: how many of the cap rules hold; all if not given.
        new_items: whether new items have their share.
        sampled: temperature of the draws; 0 for none.
    """
    given, policy = prepared.given, prepared.policy
    spread = policy.diversity if given.vectors is not None else None
    vectors = given.vectors
    if spread is None or vectors is None:
        vectors = np.zeros((len(given), 0), dtype=np.float32)
    return Filled(
        *select(
            prepared.utility,
            prepared.removed.copy(),
            given.rows,
            vectors,
            _METHODS[spread.method] if spread else 0,
            spread.relevance if spread else 1.0,
            caps_of(prepared, held, cap_rules),
            prepared.new,
            policy.new_items.share if policy.new_items and new_items else 0.0,
            pins,
            countable,
            sampled,
            seed,
        )
    )


def caps_of(prepared: Prepared, held: tuple[bool, bool] = (True, True), cap_rules: int | None = None) -> Caps:
    """All caps of a list, or those of the policy that are held and the first so many cap rules."""
    given, policy = prepared.given, prepared.policy
    members, limits = prepared.members, prepared.limits
    if cap_rules is not None:
        members, limits = members[:cap_rules].copy(), limits[:cap_rules].copy()
    return Caps(
        given.categories,
        given.brands,
        _cap_of(policy.max_per_category, prepared.size) if held[0] else 0,
        _cap_of(policy.max_per_brand, prepared.size) if held[1] else 0,
        members,
        limits,
    )


def _cap_of(cap: float | None, size: int) -> int:
    """A policy's cap for a list of some size, in items; 0 for none.

    >>> _cap_of(3, 20), _cap_of(0.25, 10), _cap_of(None, 10)
    (3, 3, 0)
    """
    if cap is None:
        return 0
    return int(cap) if cap >= 1 else max(1, math.ceil(cap * size - 1e-9))


def _matches(
    given: RerankInput, active: ActiveRules, utility: _Floats, removed: _Bools
) -> tuple[_Ints, _Ints, _Bools, _Ints]:
    rules = active.compiled
    return match(
        given.rows,
        given.categories,
        given.brands,
        given.prices,
        len(rules.facts.brand_names),
        rules.by_class,
        rules.by_row,
        rules.everywhere,
        active.on,
        rules.price_from,
        rules.price_to,
        rules.kinds,
        rules.log_factors,
        rules.limits,
        utility,
        removed,
    )
