"""What users with similar histories took: the loop that user-kNN and session-kNN share."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Floats, Histories
from tastemaker.models.inputs import moments, recency
from tastemaker.models.jit import compiled, in_threads

__all__ = ["HistoryIndex", "score_by_neighbours"]

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HistoryIndex:
    """Training histories, each item once per history, ordered so that a later number means a later end.

    Attributes:
        offsets: int64 ``[histories + 1]``.
        items: int32 ``[n]``, of each history.
        places: int32 ``[n]``: moment of its history at which the item was taken last, from 0.
        weights: float32 ``[histories]``: what each history's vote counts.
        item_offsets: int64 ``[items + 1]``.
        item_histories: int32 ``[n]``: the histories of each item, rising.
        item_places: int32 ``[n]``: the place of the item in each of those.
    """

    offsets: Int64s
    items: Int32s
    places: Int32s
    weights: Floats
    item_offsets: Int64s
    item_histories: Int32s
    item_places: Int32s

    @classmethod
    def of(cls, train: Histories, *, normalise: float, half_life: float | None) -> "HistoryIndex":
        """Index the histories.

        Args:
            train: every user's interactions.
            normalise: a history of ``n`` items counts ``n ** -normalise``.
            half_life: of a history by its end, as a share of the time that the ends span; None: all count the same.
        """
        filled = np.flatnonzero(train.lengths > 0)
        train = train.take(filled)
        weights = np.ones(train.n_users, np.float64)
        if train.times is not None:
            ends = train.times[train.offsets[1:] - 1]
            order = np.argsort(ends, kind="stable")
            train, ends = train.take(order), ends[order]
            if half_life is not None:
                weights = np.exp2(-(ends[-1] - ends) / (half_life * max(float(np.ptp(ends)), 1e-9)))
        numbered = moments(train)
        places = numbered - np.repeat(
            numbered[np.minimum(train.offsets[:-1], max(len(numbered) - 1, 0))], train.lengths
        )
        order = np.lexsort((places, train.items, train.rows))
        rows, items = train.rows[order], train.items[order]
        last = np.ones(len(order), bool)
        last[:-1] = (rows[1:] != rows[:-1]) | (items[1:] != items[:-1])
        rows, items, places = rows[last], items[last], places[order][last]
        sizes = np.bincount(rows, minlength=train.n_users)
        by_item = np.argsort(items, kind="stable")
        return cls(
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            items=items.astype(np.int32),
            places=places.astype(np.int32),
            weights=(weights * sizes ** -float(normalise)).astype(np.float32),
            item_offsets=np.concatenate([[0], np.cumsum(np.bincount(items, minlength=train.n_items))]).astype(np.int64),
            item_histories=rows[by_item].astype(np.int32),
            item_places=places[by_item].astype(np.int32),
        )


def score_by_neighbours(
    index: HistoryIndex,
    asked: Histories,
    item_weights: Floats,
    *,
    neighbours: int,
    sample: int,
    half_life: float | None,
    spread: float | None,
    power: float,
) -> Floats:
    """float32 ``[users, items]``: votes of the nearest training histories.

    Similarity is the sum over common items of ``item_weights * recency`` in the asked history, times the training
    history's weight. A neighbour votes for each of its items with its similarity to ``power``, halved every ``spread``
    moments away from the newest common item.

    Args:
        index: of the training histories.
        asked: whom to score for.
        item_weights: float32 ``[items]``.
        neighbours: that vote.
        sample: latest training histories looked at per item.
        half_life: in interactions of the asked history; None: all items count the same.
        spread: in moments; None: all items of a neighbour get the same vote.
        power: above 1 gives the nearest a larger say.
    """
    scores = np.zeros((asked.n_users, asked.n_items), np.float32)
    weights = recency(asked, half_life)
    ordered = asked.times is not None
    fade = np.float32(1.0 if spread is None or not ordered else 2.0 ** (-1.0 / spread))

    def work(start: int, stop: int) -> None:
        _vote(
            start, stop, asked.offsets, asked.items, weights, item_weights, index.offsets, index.items, index.places,
            index.weights, index.item_offsets, index.item_histories, index.item_places, neighbours, sample, fade,
            np.float32(power), scores,
        )  # fmt: skip

    in_threads(work, asked.n_users, pieces_per_thread=2)
    return scores


@compiled
def _vote(  # noqa: PLR0917 - compiled functions take their arguments by position
    start: int,
    stop: int,
    offsets: Int64s,
    items: Int32s,
    weights: Floats,
    item_weights: Floats,
    their_offsets: Int64s,
    their_items: Int32s,
    their_places: Int32s,
    their_weights: Floats,
    item_offsets: Int64s,
    item_histories: Int32s,
    item_places: Int32s,
    neighbours: int,
    sample: int,
    fade: np.float32,
    power: np.float32,
    scores: Floats,
) -> None:
    """Users from ``start`` up to ``stop``."""
    n_histories = len(their_offsets) - 1
    similar = np.zeros(n_histories, np.float32)
    place = np.empty(n_histories, np.int32)
    met = np.empty(n_histories, np.int32)
    taken = np.zeros(len(item_weights), np.bool_)
    for user in range(start, stop):
        n_met = 0
        first, end = offsets[user], offsets[user + 1]
        for p in range(end - 1, first - 1, -1):  # newest first: the first match is the newest common item
            item = items[p]
            if taken[item]:
                continue
            taken[item] = True
            gain = weights[p] * item_weights[item]
            if gain <= 0.0:
                continue
            last = item_offsets[item + 1]
            for q in range(max(item_offsets[item], last - sample), last):
                history = item_histories[q]
                if similar[history] == 0.0:
                    met[n_met] = history
                    n_met += 1
                    place[history] = item_places[q]
                similar[history] += gain
        for p in range(first, end):
            taken[items[p]] = False
        near = np.empty(n_met, np.float32)
        for m in range(n_met):
            near[m] = similar[met[m]] * their_weights[met[m]]
            similar[met[m]] = 0.0
        bound = np.float32(0.0)
        if n_met > neighbours:
            bound = np.partition(near, n_met - neighbours)[n_met - neighbours]
        row = scores[user]
        voted = 0
        for m in range(n_met - 1, -1, -1):
            if near[m] < bound or voted >= neighbours:
                continue
            voted += 1
            history = met[m]
            vote = near[m] if power == 1.0 else near[m] ** power
            for q in range(their_offsets[history], their_offsets[history + 1]):
                row[their_items[q]] += vote * fade ** abs(their_places[q] - place[history])
