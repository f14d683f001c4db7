"""What happens only the first time: machine code is compiled or loaded, and models meet what they are for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from tastemaker.events.contract import EventType
from tastemaker.serving.making import Parts
from tastemaker.serving.model_services.contract import HistoryEvent
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.requests import trial_requests
from tastemaker.serving.rerank import rerank
from tastemaker.serving.shop_state import ShopState

__all__ = ["trial_askings", "trial_history", "warm_up"]

_KINDS: Final[tuple[EventType, ...]] = ("view", "purchase")


def warm_up(parts: Parts, state: ShopState, now_us: int) -> None:
    """Run each model and each read once, so that no request pays for it."""
    release, reader = parts.release, parts.reader
    history = (np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    if len(state.catalogue):
        release.retrieval.queries([history], 1, state.catalogue.vectors)
        rerank.warm_up(state.catalogue.vectors.shape[1])
    parts.ranker(np.zeros((1, len(release.layout.names)), dtype=np.float32))
    for view in reader.plan.views:
        if view.kind == "aggregate":
            numeric = [feature.name for feature in view.features if feature.is_numeric]
            reader.matrix(view.name, [("warm-up",) * len(view.join_keys)], now_us, numeric)


def trial_history(item_ids: Sequence[str]) -> list[HistoryEvent]:
    """The newest events of somebody who has looked at some items, and bought some."""
    return [
        HistoryEvent(item_id=item_id, type=kind, age_s=60.0 * (place + 1))
        for place, (item_id, kind) in enumerate(zip(item_ids, _KINDS, strict=False))
    ]


def trial_askings(recipes: Mapping[str, Recipe], item_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Who asks a model alone, for what: the trial requests of all surfaces, each without a history and with one.

    Args:
        recipes: by surface.
        item_ids: of the catalogue.

    Yields:
        Fields of :class:`~tastemaker.serving.model_services.contract.Asking`.
    """
    history = tuple(trial_history(item_ids[:2]))
    for request in trial_requests(recipes, tuple(item_ids[:1])):
        asked = {name: getattr(request, name) for name in ("surface", "user", "items", "category", "query")}
        yield asked | {"history": None}
        yield asked | {"history": history}
