"""What happens only the first time: machine code is compiled or loaded, and models meet what they are for."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from tastemaker.events.contract import EventType
from tastemaker.serving.making import Parts
from tastemaker.serving.model_services.contract import HistoryEvent
from tastemaker.serving.rerank import rerank
from tastemaker.serving.shop_state import ShopState

__all__ = ["trial_history", "warm_up"]

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
