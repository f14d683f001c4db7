"""The ranker's matrix: what the sources say of a candidate, what is known of the item, and of the user and the item."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.candidates import Candidates
from tastemaker.models.pipeline.facts import ItemFacts

__all__ = ["feature_names", "ranking_features"]

Features = npt.NDArray[np.float32]

_USER = ("events", "items")
_HALF_LIVES = (0.02, 0.1, 0.4)  # shares of the time that training spans
_PAIR = ("times_taken", "position", "since", "overdue", *(f"recency_{share:g}" for share in _HALF_LIVES))
_CONTENT = ("category_share", "last_category", "price_gap")


def feature_names(sources: Sequence[str], facts: ItemFacts) -> tuple[str, ...]:
    """Columns of :func:`ranking_features`; those of the sources' scores come first."""
    return (
        *(f"score_{source}" for source in sources),
        *(f"rank_{source}" for source in sources),
        *facts.names,
        *_USER,
        *_PAIR,
        *(_CONTENT if facts.category is not None or facts.log_price is not None else ()),
    )


def ranking_features(candidates: Candidates, histories: Histories, facts: ItemFacts) -> Features:
    """Features of every candidate.

    Args:
        candidates: of a block of users.
        histories: of the same users.
        facts: of the catalogue.

    Returns:
        float32 ``[users, n, features]``; NaN where something is not known, anything at padding.
    """
    real = candidates.items >= 0
    items = np.maximum(candidates.items, 0)
    shape = (*items.shape, 1)
    lengths = histories.lengths.astype(np.float32)
    distinct = np.diff(histories.matrix(binary=True).indptr)
    columns: list[Features] = [
        _standardised(candidates.scores, real),
        -np.log1p(candidates.ranks).astype(np.float32),
        facts.columns[items],
        np.broadcast_to(np.log1p(lengths)[:, None, None], shape),
        np.broadcast_to(np.log1p(distinct)[:, None, None], shape),
        _pairs(items, histories, facts.span),
    ]
    if facts.category is not None or facts.log_price is not None:
        columns.append(_content(items, histories, facts))
    return np.concatenate(columns, axis=2, dtype=np.float32)


def _standardised(scores: Features, real: npt.NDArray[np.bool_]) -> Features:
    """Scores of each source and user with mean 0 and spread 1 over the candidates; 0 at padding."""
    weight = real[:, :, None].astype(np.float32)
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
    centred = (scores - (scores * weight).sum(axis=1, keepdims=True) / count) * weight
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    return np.asarray(centred / np.maximum(spread, 1e-9), dtype=np.float32)


def _pairs(items: npt.NDArray[np.int32], histories: Histories, span: float) -> Features:
    """What each user did with each candidate before: ``[users, n, 7]``; NaN where it is new to them.

    How often; how many events ago; how long ago, as a share of the user's own mean gap between events; that time in
    mean intervals between the user's purchases of the item, where there were several; and how often with exponential
    decay, for several half-lives.
    """
    found = np.full((*items.shape, len(_PAIR)), np.nan, dtype=np.float32)
    found[:, :, 0] = 0.0
    if not len(histories.items):
        return found
    keys = histories.rows * histories.n_items + histories.items
    order = np.argsort(keys, kind="stable")
    unique, first, count = np.unique(keys[order], return_index=True, return_counts=True)
    earliest, latest = order[first], order[first + count - 1]
    asked = np.arange(len(items))[:, None] * histories.n_items + items
    at = np.minimum(np.searchsorted(unique, asked), len(unique) - 1)
    user, place = np.nonzero(unique[at] == asked)
    pair = at[user, place]
    found[user, place, 0] = np.log1p(count[pair])
    found[user, place, 1] = np.log1p(histories.offsets[1:][user] - 1 - latest[pair])
    ages = histories.ages
    if ages is None:
        return found
    lengths = histories.lengths
    oldest = np.zeros(histories.n_users)
    oldest[lengths > 0] = ages[histories.offsets[:-1][lengths > 0]]
    gap = np.maximum(oldest / np.maximum(lengths, 1), 1e-9)
    since = ages[latest]
    interval = (ages[earliest] - since) / np.maximum(count - 1, 1)
    several = interval > 0
    overdue = np.where(several, np.log1p(since / np.where(several, interval, 1.0)), np.nan)
    found[user, place, 2] = np.log1p(since[pair] / gap[user])
    found[user, place, 3] = overdue[pair]
    for column, share in enumerate(_HALF_LIVES, start=4):
        decayed = np.add.reduceat(np.exp2(-ages / (share * span))[order], first)
        found[user, place, column] = np.log1p(decayed[pair])
    return found


def _content(items: npt.NDArray[np.int32], histories: Histories, facts: ItemFacts) -> Features:
    """How a candidate fits what the user deals with: ``[users, n, 3]``."""
    found = np.full((*items.shape, len(_CONTENT)), np.nan, dtype=np.float32)
    rows, filled = histories.rows, histories.lengths > 0
    if facts.category is not None:
        own = facts.category[histories.items]
        width = int(facts.category.max(initial=0)) + 1
        counts = np.bincount(rows[own >= 0] * width + own[own >= 0], minlength=histories.n_users * width)
        share = counts.reshape(-1, width) / np.maximum(histories.lengths, 1)[:, None]
        wanted = facts.category[items]
        found[:, :, 0] = np.where(wanted >= 0, np.take_along_axis(share, np.maximum(wanted, 0), axis=1), np.nan)
        last = np.full(histories.n_users, -2)
        last[filled] = own[histories.offsets[1:][filled] - 1]
        found[:, :, 1] = wanted == last[:, None]
    if facts.log_price is not None:
        own_price = facts.log_price[histories.items]
        known = ~np.isnan(own_price)
        count = np.bincount(rows[known], minlength=histories.n_users)
        usual = np.bincount(rows[known], weights=own_price[known], minlength=histories.n_users)
        mean = np.where(count > 0, usual / np.maximum(count, 1), np.nan)
        found[:, :, 2] = np.abs(facts.log_price[items] - mean[:, None])
    return found
