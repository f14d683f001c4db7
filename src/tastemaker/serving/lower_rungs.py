"""The lower rungs of the ladder: a list from what is in process, without any dependency, in under a millisecond."""

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.blend import Blend
from tastemaker.serving.at_hand import CachedLists, StaticList, cached, fixed, one_source, popular_in_context
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.contract import Tier
from tastemaker.serving.filters import FilterInput, apply_filters
from tastemaker.serving.making import Made, Order
from tastemaker.serving.stages.context import with_page

__all__ = ["list_at_hand"]

_log = logging.getLogger(__name__)
# Filters that need to know the shopper decide nothing here, since nothing is known of them.


def list_at_hand(order: Order, nobody: ShopperContext, lists: CachedLists, static: StaticList, why: str) -> Made:
    """The best list that needs nothing but this process.

    A rung that fails is passed over: the last one, a list of fixed rows, does little that could.

    Args:
        order: the request.
        nobody: the shopper of whom nothing is known.
        lists: kept ones.
        static: the last resort.
        why: why no higher tier answers.
    """
    shopper, unknown_items = with_page(nobody, order.request, order.state.catalogue)

    def kept() -> Blend | None:
        found = lists.get(order.request)
        return None if found is None else cached(found)

    def popular() -> Blend | None:
        n = order.request.k + len(order.excluded) + len(shopper.query.items) + 100
        return popular_in_context(order.state.sources, shopper.query, n, fill=order.recipe.fill)

    def given() -> Blend | None:
        source = order.state.sources.others[names.SOURCE_GIVEN]
        return one_source(source.name, source.retrieve(shopper.query, len(shopper.query.items)))

    rungs: list[tuple[Tier, str, Callable[[], Blend | None]]] = [
        ("cached", "the list made last", kept),
        ("popular", "popular items", popular),
        ("static", "a fixed list", lambda: fixed(static)),
    ]
    if order.recipe.only_given:
        rungs = [("unranked", "the given items in their order", given)]
    made = Made(rungs[-1][0], why, _nothing(), np.zeros(0, np.float32), shopper, unknown_items=unknown_items)
    for tier, instead, rung in rungs:
        try:
            candidates = rung()
            if candidates is None:
                continue
            keep, removed = _filtered(order, shopper, candidates)
        except Exception:
            _log.exception("the rung %s of the ladder fails", tier)
            continue
        candidates = candidates.only(keep)
        made = Made(
            tier,
            f"{why}: {instead}",
            candidates,
            np.nanmax(candidates.scores, axis=1, initial=0.0).astype(np.float32),
            shopper,
            removed=removed,
            unknown_items=unknown_items,
        )
        if len(candidates.rows):
            break
    return made


def _filtered(order: Order, shopper: ShopperContext, candidates: Blend) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    return apply_filters(
        FilterInput(
            candidates.rows,
            order.state.catalogue,
            order.excluded,
            given=shopper.query.items,
            category=shopper.query.category,
            asked=order.request.filters,
        ),
        order.recipe.filters,
    )


def _nothing() -> Blend:
    return Blend(np.zeros(0, np.int64), np.zeros((0, 0), np.float32), (), {})
