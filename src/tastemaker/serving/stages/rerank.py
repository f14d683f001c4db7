"""The rerank stage: from the best candidates to the best list, by the shop's rules, diversity, caps and exploration.

:mod:`tastemaker.serving.rerank` does the work; here it is given what the catalogue knows of the candidates.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.features.semantics import DAY_US
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.compiled_rules import ActiveRules
from tastemaker.serving.rerank.given import RerankInput
from tastemaker.serving.rerank.policy import RerankPolicy
from tastemaker.serving.rerank.rerank import rerank
from tastemaker.serving.rerank.reranked import Reranked

__all__ = ["ListedOrder", "RerankStageInput", "listed_order", "rerank_list"]

_RULES_ALONE: Final = RerankPolicy.model_validate({"drop_out_of_stock": False})


@dataclass(frozen=True, eq=False)
class RerankStageInput:
    """What the stage is given.

    Attributes:
        rows: int64 ``[n]``, catalogue rows, best first.
        scores: float32 ``[n]``.
        k: length of the list.
        catalogue: what the items are: vectors, prices, ages, stock, margins.
        policy: of the surface; None for none.
        rules: of the shop, for the surface and the moment.
        seed: of the list, for what is random in it.
        now_us: the moment, in microseconds.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    k: int
    catalogue: Catalogue
    policy: RerankPolicy | None
    rules: ActiveRules
    seed: int
    now_us: int


@dataclass(frozen=True, eq=False)
class ListedOrder:
    """The order of the list.

    Attributes:
        order: int64 ``[n]``, places of the candidates: those of the list, then all others as they were ranked.
        listed: how many are of the list.
        reranked: the list, and what each rule did to it.
        given: what it was made from, in the order of the ranking.
        facts: of the catalogue, which its categories and brands are numbers of.
    """

    order: npt.NDArray[np.int64]
    listed: int
    reranked: Reranked
    given: RerankInput
    facts: CatalogueFacts


def rerank_list(given: RerankStageInput) -> ListedOrder | None:
    """The order of the list; None where nothing asks for another than the ranking's."""
    n = len(given.rows)
    if not n or (given.policy is None and not given.rules.any):
        return None
    catalogue, rows = given.catalogue, given.rows
    categories, brands = given.rules.compiled.facts.codes(rows)
    return listed_order(
        RerankInput(
            rows=rows,
            scores=given.scores,
            vectors=catalogue.vectors[rows],
            categories=categories,
            brands=brands,
            prices=catalogue.price[rows].astype(np.float32),
            age_days=((given.now_us - catalogue.created_us[rows]) / DAY_US).astype(np.float32),
            stock=catalogue.stock[rows],
            margins=catalogue.margin[rows],
            item_ids=catalogue.item_ids.__getitem__,
        ),
        given.policy,
        given.rules,
        given.seed,
        given.k,
    )


def listed_order(given: RerankInput, policy: RerankPolicy | None, rules: ActiveRules, seed: int, k: int) -> ListedOrder:
    """The order of the list, and all candidates behind it.

    Args:
        given: what is known of the candidates, best first.
        policy: of the surface; None where the rules alone count.
        rules: of the shop, for the surface and the moment.
        seed: of the list.
        k: length of the list.
    """
    reranked = rerank(given, policy or _RULES_ALONE, rules, seed, k)
    others = np.ones(len(given), dtype=np.bool_)
    others[reranked.order] = False
    order = np.concatenate([reranked.order, np.flatnonzero(others)])
    return ListedOrder(order, len(reranked.order), reranked, given, rules.compiled.facts)
