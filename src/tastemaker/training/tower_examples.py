"""Training examples of the two-tower model: a shopper's history before a basket, and the basket's items."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.events.contract import EVENT_TYPES
from tastemaker.training.interactions import Interactions

__all__ = ["TowerExamples", "build_examples"]

_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class TowerExamples:
    """One row per basket.

    Attributes:
        items: int32 ``[baskets, history]``, newest first, -1 as padding.
        types: int32 ``[baskets, history]``, index into ``EVENT_TYPES``.
        age_days: float32 ``[baskets, history]``, from the event to the basket.
        starts: int64 ``[baskets + 1]``: the items of basket ``b`` are ``positives[starts[b]:starts[b + 1]]``.
        positives: int32, distinct within a basket.
        shopper: int32 ``[baskets]``.
        time_us: int64 ``[baskets]``, the basket's first moment.
    """

    items: npt.NDArray[np.int32]
    types: npt.NDArray[np.int32]
    age_days: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]
    positives: npt.NDArray[np.int32]
    shopper: npt.NDArray[np.int32]
    time_us: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.shopper)

    def sampling_probability(self, n_items: int, pairs_per_basket: int) -> npt.NDArray[np.float32]:
        """The chance of each item to be a drawn pair's item, ``[n_items]``; never 0, for logQ's logarithm."""
        sizes = np.diff(self.starts)
        share = np.minimum(1.0, pairs_per_basket / np.maximum(sizes, 1))
        drawn = np.bincount(self.positives, weights=np.repeat(share, sizes), minlength=n_items)
        return np.asarray(np.maximum(drawn, 1e-3) / drawn.sum(), dtype=np.float32)

    def batches(
        self, batch_pairs: int, pairs_per_basket: int, generator: np.random.Generator
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """One pass over the baskets in random order, up to ``pairs_per_basket`` random items of each.

        Yields:
            ``(baskets, basket, item)``: indices of the baskets of a batch, and for each pair the position of its
            basket in them and its item; about ``batch_pairs`` pairs.
        """
        sizes = np.diff(self.starts)
        # A random order within each basket: sort by basket, then by a random key; keep the first few.
        owner = np.repeat(np.arange(len(self)), sizes)
        order = np.lexsort((generator.random(len(owner)), owner))
        place = np.arange(len(owner)) - np.repeat(self.starts[:-1], sizes)
        kept = order[place < pairs_per_basket]
        taken = np.minimum(sizes, pairs_per_basket)
        first = np.concatenate([[0], np.cumsum(taken)])
        shuffled = generator.permutation(len(self))
        ends = np.cumsum(taken[shuffled])
        for group in np.split(shuffled, np.flatnonzero(np.diff(ends // batch_pairs)) + 1):
            counts = taken[group]
            basket = np.repeat(np.arange(len(group), dtype=np.int32), counts)
            offsets = np.arange(len(basket)) - np.repeat(np.cumsum(counts) - counts, counts)
            yield group, basket, self.positives[kept[np.repeat(first[group], counts) + offsets]]


def build_examples(interactions: Interactions, targets: tuple[str, ...], history: int) -> TowerExamples:
    """Examples from every basket of a target type before which the shopper did something.

    Args:
        interactions: sorted by shopper, then time.
        targets: event types that a list should lead to.
        history: newest events to keep.
    """
    is_target = np.isin(interactions.type, [EVENT_TYPES.index(name) for name in targets])
    basket = interactions.baskets()
    n = int(basket[-1]) + 1 if len(basket) else 0
    begin = np.searchsorted(basket, np.arange(n))  # first event of each basket
    shopper_begin = np.searchsorted(interactions.shopper, interactions.shopper[begin])
    pairs = np.unique(np.stack([basket[is_target], interactions.item[is_target]], axis=1), axis=0)
    has_history = begin > shopper_begin
    pairs = pairs[has_history[pairs[:, 0]]]
    chosen, sizes = np.unique(pairs[:, 0], return_counts=True)
    at = begin[chosen]
    back = at[:, None] - 1 - np.arange(history)[None, :]
    known = back >= shopper_begin[chosen][:, None]
    back = np.where(known, back, 0)
    time = interactions.time_us[at]
    return TowerExamples(
        items=np.where(known, interactions.item[back], -1).astype(np.int32),
        types=np.where(known, interactions.type[back], 0).astype(np.int32),
        age_days=np.where(known, (time[:, None] - interactions.time_us[back]) / _DAY_US, 0).astype(np.float32),
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        positives=pairs[:, 1].astype(np.int32),
        shopper=interactions.shopper[at],
        time_us=time,
    )
