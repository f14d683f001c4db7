"""Make a logged list again, by the stages' own code: score, order, put together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.serving.contract import RuleEffect, ServedList
from tastemaker.serving.replay.logged import Logged, NotReplayable
from tastemaker.serving.replay.model import ReplayModel
from tastemaker.serving.replay.packing import unpack
from tastemaker.serving.replay.trace import FACTS, LIFT, Facts
from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.compiling import compile_rules
from tastemaker.serving.rerank.explore import seed_of
from tastemaker.serving.rerank.given import RerankInput
from tastemaker.serving.rerank.policy import RerankPolicy
from tastemaker.serving.rerank.rule_set import RuleSet
from tastemaker.serving.stages.rerank import ListedOrder, listed_order
from tastemaker.serving.weighing import weighed

__all__ = ["Remade", "RulesOf", "remake", "score"]

_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]
RulesOf = Callable[[str], RuleSet]


@dataclass(frozen=True, eq=False)
class Remade:
    """A list that was made again.

    Attributes:
        order: ids of all candidates: those of the list, then all others as they were ranked.
        scores: float32 ``[n]``, theirs.
        items: ids of the list.
        propensities: of its items.
        rules_version: of the rules; empty where nothing was put together anew.
        effects: of rules and policy.
    """

    order: tuple[str, ...]
    scores: _Floats
    items: tuple[str, ...]
    propensities: tuple[float, ...]
    rules_version: str
    effects: tuple[RuleEffect, ...]


def remake(served: ServedList, logged: Logged, model: ReplayModel, rules_of: RulesOf) -> Remade:
    """Make a list again.

    Args:
        served: the list.
        logged: its numbers.
        model: of the release that it is made with.
        rules_of: gives the shop's rules of a version; raises DataError for one that never was.

    Raises:
        NotReplayable: the release takes other features, or the rules of that version are not there.
    """
    scores, ranked = score(served, logged, model)
    scores = scores[ranked]
    ids = [logged.item_ids[place] for place in ranked.tolist()]
    k = served.request.k
    if logged.trace.facts is None:
        shown = tuple(ids[:k])
        return Remade(tuple(ids), scores, shown, (1.0,) * len(shown), "", ())
    listed = _listed(served, logged, model, rules_of, scores=scores, ranked=ranked)
    ids_listed = [ids[place] for place in listed.order.tolist()]
    reranked = listed.reranked
    return Remade(
        tuple(ids_listed),
        scores[listed.order],
        tuple(ids_listed[: listed.listed]),
        tuple(reranked.propensities.tolist()),
        reranked.rules_version,
        tuple(
            RuleEffect(item_id=ids[effect.candidate], rule=effect.rule, before=effect.before, after=effect.after)
            for effect in reranked.effects
        ),
    )


def score(served: ServedList, logged: Logged, model: ReplayModel) -> tuple[_Floats, _Ints]:
    """Scores of the candidates in the order in which ranking gets them, and their order, best first.

    Raises:
        NotReplayable: the release takes other features.
    """
    trace, rows = logged.trace, logged.rows
    if trace.at_hand:
        if not len(rows):
            return np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
        return np.nanmax(logged.by_source, axis=1, initial=0.0).astype(np.float32), np.arange(len(rows))
    ranked = None
    if logged.ranked:
        names = served.feature_names[: served.feature_names.index(LIFT)]
        if names != model.names:
            other = next((name for name in (*names, *model.names) if (name in names) != (name in model.names)), "order")
            raise NotReplayable(f"release {model.release_id} ranks by other features than were logged: {other}")
        ranked = model.ranker(logged.features)
    if ranked is not None and set(trace.weights) == {"ranker"}:
        scores = ranked
    else:
        scores = weighed(trace.weights, logged.by_source, logged.sources, ranked, logged.text)
    if ranked is not None:
        scores = scores + logged.lift
    scores = scores - logged.discount
    order = np.lexsort((rows, -scores)) if ranked is not None else np.argsort(-scores, kind="stable")
    return scores, order


def _listed(
    served: ServedList,
    logged: Logged,
    model: ReplayModel,
    rules_of: RulesOf,
    *,
    scores: _Floats,
    ranked: _Ints,
) -> ListedOrder:
    """Put the list together from the ranked candidates.

    Raises:
        NotReplayable: the rules of that version, or the policy's fields, are not there any more.
    """
    facts = logged.trace.facts
    assert facts is not None, "a list that was put together has them"
    at = logged.at[ranked]  # from the order of the ranking to that of the log, which the facts are in
    rows = logged.rows[ranked]
    n = len(rows)
    try:
        rules = rules_of(served.rules_version)
        policy = None if logged.trace.policy is None else RerankPolicy.model_validate(logged.trace.policy)
        numbers = unpack(facts.numbers, n, len(FACTS))[at]
        category, brand = (np.frombuffer(one, "<i2").astype(np.int64)[at] for one in (facts.category, facts.brand))
        vectors = _vectors(served, facts, model)[at] if policy is not None and policy.diversity is not None else None
    except ValidationError as error:
        raise NotReplayable(f"its policy is none that this version knows: {error.errors()[0]['msg']}") from error
    except (DataError, ValueError, IndexError) as error:
        raise NotReplayable(str(error)) from error
    ids = [served.candidates[place].item_id for place in at.tolist()]
    known = CatalogueFacts(
        served.request_id,
        dict(zip(ids, rows.tolist(), strict=True)),
        _by_row(rows, category),
        facts.categories,
        _by_row(rows, brand),
        facts.brands,
    )
    active = compile_rules(rules, known).at(served.request.surface, to_us(served.served_at))
    price, age, stock, margin = (np.ascontiguousarray(column) for column in numbers.T)
    given = RerankInput(
        rows,
        scores,
        vectors,
        category,
        brand,
        price,
        age,
        stock,
        margin,
        dict(zip(rows.tolist(), ids, strict=True)).__getitem__,
    )
    return listed_order(given, policy, active, seed_of(served.request_id), served.request.k)


def _by_row(rows: _Ints, codes: _Ints) -> _Ints:
    """Codes by catalogue row; -1 for rows that are no candidates."""
    found = np.full(int(rows.max(initial=-1)) + 1, -1, dtype=np.int64)
    found[rows] = codes
    return found


def _vectors(served: ServedList, facts: Facts, model: ReplayModel) -> _Floats:
    """Vectors of the logged candidates: the release's own, and those that were logged because they differ."""
    row_of = model.row_of
    own = np.array([row_of.get(candidate.item_id, -1) for candidate in served.candidates], dtype=np.int64)
    found = model.vectors[own]
    found[own < 0] = 0.0
    changed = np.frombuffer(facts.changed, "<u2")
    if len(changed):
        found[changed] = np.frombuffer(facts.vectors, "<f4").reshape(len(changed), -1)
    return found
