"""The re-rank stage: scored candidates in, the list as it is shown out, with how likely and why.

What comes before what, where things contradict each other:

1. Out of stock and ``exclude``: such an item is in no list, pinned or boosted or not.
2. Margin, stock, ``boost`` and ``bury`` add up to one utility.
3. ``pin``: pinned items have their places before anything is selected; of two pins that want one place or one item the
   one that was added first has it. They count for caps, diversity and the share of new items; nothing holds them off.
4. Caps, by the policy and by rules: a place goes to an item that breaks none, or, when no such candidate is left, to
   one that breaks as few as possible, and a note says so.
5. The share of new items: a new item comes before others, unless it breaks a cap and another one does not.
6. Relevance and diversity choose among what these leave.
7. Exploration: never a pinned place; never beyond a cap; its slots do not count towards the share of new items.

The list is a function of the candidates, the policy, the version of the rules, the surface, the moment and the seed,
which is made of the request's id.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.compiled_rules import NO_RULES, ActiveRules
from tastemaker.serving.rerank.effects import effects_of
from tastemaker.serving.rerank.explore import give_away
from tastemaker.serving.rerank.given import RerankInput
from tastemaker.serving.rerank.notes import notes_of
from tastemaker.serving.rerank.pins import no_pins, place_pins
from tastemaker.serving.rerank.policy import EpsilonSlots, PlackettLuce, RerankPolicy
from tastemaker.serving.rerank.reranked import Reranked
from tastemaker.serving.rerank.select_kernel import runners_up
from tastemaker.serving.rerank.stage import Outcome, Prepared, caps_of, fill, prepare

__all__ = ["rerank", "warm_up"]


def rerank(given: RerankInput, policy: RerankPolicy, rules: ActiveRules, seed: int, k: int) -> Reranked:
    """Make the list.

    Args:
        given: the candidates.
        policy: of the surface.
        rules: those of the surface at the moment, :meth:`CompiledRules.at`; ``NO_RULES`` for none.
        seed: :func:`~tastemaker.serving.rerank.explore.seed_of` the request's id.
        k: places, at least 1. The list is shorter when there are fewer candidates that may be shown.

    Raises:
        ValueError: ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; a list has at least 1 place")
    prepared = prepare(given, policy, rules, k)
    pins, pinned_by, _ = place_pins(prepared) if rules.pins else (no_pins(prepared.size), {}, ())
    exploration = policy.exploration
    countable = np.ones(prepared.size, dtype=np.bool_)
    slots: list[int] = []
    if isinstance(exploration, EpsilonSlots):
        slots = [place - 1 for place in exploration.places if place <= prepared.size and pins[place - 1] < 0]
        countable[slots] = False
    sampled = exploration.temperature if isinstance(exploration, PlackettLuce) else 0.0
    filled = fill(prepared, pins, countable, seed, sampled=sampled)
    order, propensities = filled.order, filled.probability
    explored: tuple[int, ...] = ()
    if slots and isinstance(exploration, EpsilonSlots):
        order, propensities, explored = give_away(order, _pool(prepared, order, exploration), slots, exploration, seed)
    outcome = Outcome(prepared, filled, pins, pinned_by, countable, order)
    over = np.flatnonzero(filled.broken).tolist()
    return Reranked(
        order=order,
        propensities=propensities,
        propensity="conditional" if sampled else "marginal",
        explored=explored,
        over_cap=tuple(place for place in over if place not in explored),
        utilities=prepared.utility,
        rules_version=rules.compiled.version,
        _effects=partial(effects_of, outcome),
        _notes=partial(notes_of, outcome),
    )


def warm_up(dimension: int) -> None:
    """Compile, or load, everything that a request runs, for vectors of some dimension."""
    n = 3
    floats, rows = np.ones(n, dtype=np.float32), np.arange(n)
    given = RerankInput(
        rows=rows,
        scores=floats,
        vectors=np.zeros((n, dimension), dtype=np.float32),
        categories=rows,
        brands=rows,
        prices=floats,
        age_days=floats,
        stock=floats,
        margins=floats,
    )
    slots = {"kind": "epsilon_slots", "places": [1], "epsilon": 0.5}
    policy = RerankPolicy.model_validate({"diversity": {"method": "mmr"}, "exploration": slots, "margin_weight": 1})
    rerank(given, policy, NO_RULES, 0, 2)
    # Matched, although there is none.
    prepare(given, policy, replace(NO_RULES, any=True), 2)


def _pool(prepared: Prepared, order: npt.NDArray[np.int64], exploration: EpsilonSlots) -> npt.NDArray[np.int64]:
    given = prepared.given
    taken = prepared.removed | ~prepared.new if exploration.only_new else prepared.removed.copy()
    taken[order] = True
    return runners_up(
        order,
        prepared.utility,
        taken,
        given.rows,
        caps_of(prepared),
        exploration.pool,
    )
