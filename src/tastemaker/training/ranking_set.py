"""Training lists of the ranker: what retrieval would have offered at moments of the past, and what followed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.features.bootstrap.snapshot import SnapshotReader
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.ranking_features import RankingLayout, ranking_matrix
from tastemaker.release.retrieval import LoadedRetrieval
from tastemaker.retrieval.blend import Blend
from tastemaker.serving.candidates import CandidateSources, find_candidates
from tastemaker.serving.context import ShopperContext, encode_queries, read_shopper
from tastemaker.serving.ranking import read_stored, stored_items
from tastemaker.serving.signals import Signals
from tastemaker.settings import Settings
from tastemaker.training.outcomes import outcomes_between, positions_between

__all__ = ["RankingSet", "lists_at", "merge_sets"]

_PARITY_USERS = 20


@dataclass(frozen=True, eq=False)
class RankingSet:
    """Lists with labels.

    Attributes:
        features: float32 ``[lists, limit, features]``; 0 as padding.
        labels: float32 ``[lists, limit, outcomes]``: 1 it followed, 0 it did not, -1 padding.
        positions: int32 ``[lists, limit]``: at which place an item was shown in the label window, from 1; 0 where it
            was not, or nobody knows.
        trained: float32 ``[rows, stored]``: a sample of stored features as the point-in-time join gave them.
        served: float32 ``[rows, stored]``: the same cells as serving reads them.
        recall: share of what the last outcome took that retrieval had offered.
    """

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]
    positions: npt.NDArray[np.int32]
    trained: npt.NDArray[np.float32]
    served: npt.NDArray[np.float32]
    recall: float


def merge_sets(sets: Sequence[RankingSet]) -> RankingSet:
    """All lists of several moments."""
    return RankingSet(
        features=np.concatenate([one.features for one in sets]),
        labels=np.concatenate([one.labels for one in sets]),
        positions=np.concatenate([one.positions for one in sets]),
        trained=np.concatenate([one.trained for one in sets]),
        served=np.concatenate([one.served for one in sets]),
        recall=float(np.mean([one.recall for one in sets])),
    )


def lists_at(
    settings: Settings,
    plan: FeaturePlan,
    retrieval: LoadedRetrieval,
    parameters: TrainingParameters,
    *,
    at: datetime,
    seed: int,
    progress: Callable[[str], None] = lambda message: None,
) -> RankingSet:
    """Lists of the shoppers to whom one of the ranker's outcomes happened in the label window after a moment.

    Candidates and derived features come from serving's own stages over a snapshot of the online store at that
    moment; stored features come from Feast's point-in-time join.

    Args:
        settings: where lake and feature repository are.
        plan: the feature plan.
        retrieval: fitted on data before ``at``; nothing of the label window may be in it.
        parameters: see there.
        at: the moment.
        seed: of the choice of shoppers, where there are more than ``max_lists``.
        progress: told what happens.

    Raises:
        DataError: no outcome happened in the window to anybody who was known before the moment.
    """
    # What serving would have known at that moment: events take a while to arrive.
    lake, now_us = Lake(settings.lake_dir), to_us(at) - round(settings.processing_delay_seconds * 1_000_000)
    window, kinds = (at, at + timedelta(days=parameters.ranker.label_days)), parameters.ranker.outcomes
    outcomes, shown = outcomes_between(lake, *window, kinds), positions_between(lake, *window)
    signals, layout = Signals.of(plan), RankingLayout.of(plan)
    views = plan.views_of(names.SERVICE_RANKING, names.SERVICE_RETRIEVAL)
    reader = SnapshotReader.as_of(lake, plan, now_us, views)
    try:
        catalogue = retrieval.catalogue.updated(reader.items_changed()[1], retrieval.items)
        trend = plan.view(names.VIEW_ITEM_ACTIVITY).feature_names[signals.trend]
        popularity = reader.matrix(names.VIEW_ITEM_ACTIVITY, list(catalogue.item_ids), now_us, [trend])[:, 0]
        sources = CandidateSources.over(catalogue, retrieval.covisitation, popularity)
        users = sorted(set().union(*outcomes.values()))
        if len(users) > parameters.ranker.max_lists:
            chosen = np.random.default_rng(seed).choice(len(users), parameters.ranker.max_lists, replace=False)
            users = [users[index] for index in np.sort(chosen)]
        read = (
            read_shopper(reader, signals, catalogue, user=user, session=None, now_us=now_us, intent=parameters.intent)
            for user in users
        )
        contexts = encode_queries([shopper for shopper in read if shopper.known], retrieval.queries, catalogue, now_us)
        if not contexts:
            raise DataError(
                f"there is no {' or '.join(kinds)} of anybody known before {at.isoformat()} in the"
                f" {parameters.ranker.label_days} days after it; import more history, or train at a later cut"
            )
        offered = [find_candidates(sources, parameters.retrieval, shopper.query) for shopper in contexts]
        stored = _stored(settings, layout, contexts, offered, item_ids=catalogue.item_ids, at=at)
        sample = np.linspace(0, len(contexts) - 1, min(_PARITY_USERS, len(contexts))).astype(int)
        read_items = stored_items(reader, catalogue.item_ids)
        served = [
            read_stored(
                reader,
                layout,
                contexts[index],
                rows=offered[index].rows,
                now_us=now_us,
                read_items=read_items,
            )
            for index in sample
        ]
    finally:
        reader.close()
    limit = parameters.retrieval.limit
    features = np.zeros((len(contexts), limit, len(layout.names)), dtype=np.float32)
    labels = np.full((len(contexts), limit, len(kinds)), -1.0, dtype=np.float32)
    positions = np.zeros((len(contexts), limit), dtype=np.int32)
    hits, last = 0, outcomes[kinds[-1]]
    for index, (shopper, candidates) in enumerate(zip(contexts, offered, strict=True)):
        n = len(candidates.rows)
        features[index, :n] = ranking_matrix(
            stored[index],
            shopper.query,
            candidates,
            catalogue=catalogue,
            covisitation=sources.covisitation,
            trending=sources.trending,
            now_us=now_us,
        )
        ids, user = [catalogue.item_ids[row] for row in candidates.rows.tolist()], shopper.user or ""
        for place, kind in enumerate(kinds):
            wanted = outcomes[kind].get(user, ())
            labels[index, :n, place] = [item in wanted for item in ids]
        places = shown.get(user, {})
        positions[index, :n] = [places.get(item, 0) for item in ids]
        hits += int((labels[index, :n, -1] == 1).sum())
    recall = hits / max(1, sum(len(last.get(shopper.user or "", ())) for shopper in contexts))
    progress(f"{len(contexts):,} lists as of {at:%Y-%m-%d}: retrieval offers {recall:.1%} of each {kinds[-1]} then")
    sampled = np.concatenate([stored[i] for i in sample])
    return RankingSet(features, labels, positions, sampled, np.concatenate(served), recall)


def _stored(
    settings: Settings,
    layout: RankingLayout,
    contexts: Sequence[ShopperContext],
    offered: Sequence[Blend],
    *,
    item_ids: Sequence[str],
    at: datetime,
) -> list[npt.NDArray[np.float32]]:
    """Stored features of each list's candidates as of ``at``, through Feast: ``[candidates, stored]`` per list."""
    import pandas as pd

    from tastemaker.features.repository import training_frame

    sizes = [len(candidates.rows) for candidates in offered]
    rows = np.concatenate([candidates.rows for candidates in offered])
    frame = training_frame(
        settings,
        pd.DataFrame(
            {
                names.USER_ID: np.repeat([shopper.user for shopper in contexts], sizes),
                names.ITEM_ID: np.asarray(item_ids, dtype=object)[rows],
                "event_timestamp": pd.Timestamp(at),
            }
        ),
        names.SERVICE_RANKING,
    )
    columns = [frame[feature].to_numpy(zero_copy_only=False).astype(np.float32) for _, feature, _ in layout.stored]
    matrix = np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=np.float32)
    return np.split(matrix, np.cumsum(sizes)[:-1])
