"""Fit everything that retrieval needs on the data before one moment, and write it where serving loads it from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.errors import DataError
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.release.files import COVISITATION, ITEMS, TOGETHER, TOWERS
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.tower_report import TowerReport
from tastemaker.retrieval.interest import TYPE_WEIGHTS
from tastemaker.training.interactions import load_interactions
from tastemaker.training.item_item import fit_item_item, fit_together
from tastemaker.training.items import load_items
from tastemaker.training.tower_fit import TowerStart, fit_towers, search_values

__all__ = ["RetrievalFit", "fit_retrieval"]


@dataclass(frozen=True)
class RetrievalFit:
    """What was fitted, and on what.

    Attributes:
        directory: holds the files.
        item_ids: the vocabulary.
        data_from: time of the first event.
        interactions: events.
        users: that they are of.
        towers: how the towers were fitted.
        start: what they began from, with the values that a search found.
    """

    directory: Path
    item_ids: tuple[str, ...]
    data_from: datetime
    interactions: int
    users: int
    towers: TowerReport
    start: TowerStart


def fit_retrieval(
    lake: Lake,
    plan: FeaturePlan,
    cut: datetime,
    directory: Path,
    *,
    parameters: TrainingParameters,
    seed: int,
    start: TowerStart | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> RetrievalFit:
    """Fit the towers and the item-to-item table on everything before ``cut``.

    Args:
        lake: the data.
        plan: says which events make a history.
        cut: nothing from this moment on is read.
        directory: gets the files; made when missing.
        parameters: see there.
        seed: see there.
        start: what the towers begin from; with None, their values are searched for where the parameters give minutes.
        progress: told what happens.

    Raises:
        DataError: there is not enough to learn from.
    """
    directory.mkdir(parents=True, exist_ok=True)
    items = load_items(lake, cut)
    if not items:
        raise DataError(f"the lake at {lake.root} has no item before {cut.isoformat()}; import a catalogue")
    item_ids = tuple(item.item_id for item in items)
    types = sorted(plan.view(names.VIEW_USER_HISTORY).types & TYPE_WEIGHTS.keys())
    interactions = load_interactions(lake, item_ids, cut, types)
    progress(f"{len(interactions):,} events of {interactions.n_users:,} users with {len(items):,} items")
    neighbours = fit_item_item(interactions, len(items), parameters.item_item)
    tables = {"items": neighbours.items, "weights": neighbours.weights}
    for name, event_type in TOGETHER.items():
        kind = EVENT_TYPES.index(event_type)
        if (interactions.type == kind).any():
            typed = fit_together(interactions, len(items), kind, parameters.item_item)
            tables |= {f"{name}_items": typed.items, f"{name}_weights": typed.weights}
    np.savez(directory / COVISITATION, **tables)  # type: ignore[arg-type]  # numpy's stub takes a flag for a table
    progress("item-to-item tables fitted")
    begin = start or TowerStart()
    if begin.values is None and begin.earlier is None:
        found = search_values(interactions, items, parameters.towers, seed=seed, progress=progress)
        begin = replace(begin, values=found.values, trials=found.trials)
    towers = fit_towers(
        interactions,
        items,
        parameters.towers,
        directory / TOWERS,
        seed=seed,
        about={
            "feature_service": names.SERVICE_RETRIEVAL,
            "feature_plan": plan.hash,
            "cut": cut.isoformat(),
        },
        start=begin,
        progress=progress,
    )
    (directory / ITEMS).write_bytes(msgspec.json.encode(items))
    return RetrievalFit(
        directory=directory,
        item_ids=item_ids,
        data_from=from_us(int(interactions.time_us.min())),
        interactions=len(interactions),
        users=interactions.n_users,
        towers=towers,
        start=begin,
    )
