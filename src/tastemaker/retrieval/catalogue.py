"""The catalogue as serving holds it: every item known, its vector, and whether it may be shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tastemaker.clock import to_us
from tastemaker.events.item import Item

__all__ = ["Catalogue"]

Encoder = Callable[[Sequence[Item], Sequence[int]], npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """An immutable snapshot; a change makes a new one, so that a request sees one state from begin to end.

    Rows never move: the first ones are the release's vocabulary in its order, new items are appended.

    Attributes:
        item_ids: id of each row.
        items: the newest known state of each row; None for an item that was removed.
        vectors: float32 ``[rows, dimension]`` of the item tower.
        vocabulary: how many of the rows were known in training.
    """

    item_ids: tuple[str, ...]
    items: tuple[Item | None, ...]
    vectors: npt.NDArray[np.float32]
    vocabulary: int

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """The row of each id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    @cached_property
    def servable(self) -> npt.NDArray[np.bool_]:
        """Bool ``[rows]``: known, not removed, and available."""
        return np.array([item is not None and item.available for item in self.items], dtype=np.bool_)

    @cached_property
    def leaf(self) -> npt.NDArray[np.int64]:
        """int64 ``[rows]``: number of the item's category path; -1 without one."""
        codes: dict[tuple[str, ...], int] = {}
        return np.array(
            [codes.setdefault(item.category, len(codes)) if item and item.category else -1 for item in self.items],
            dtype=np.int64,
        )

    @cached_property
    def log_price(self) -> npt.NDArray[np.float32]:
        """float32 ``[rows]``: ``log(1 + price)``, NaN where it is not known."""
        return np.array(
            [np.log1p(item.price) if item and item.price is not None else np.nan for item in self.items],
            dtype=np.float32,
        )

    @cached_property
    def created_us(self) -> npt.NDArray[np.int64]:
        """int64 ``[rows]``: when the item entered the catalogue; 0 for removed ones."""
        return np.array([to_us(item.created_at) if item else 0 for item in self.items], dtype=np.int64)

    def rows(self, item_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Rows of some ids, -1 for unknown ones."""
        return np.array([self.row_of.get(item_id, -1) for item_id in item_ids], dtype=np.int64)

    def updated(self, changes: Iterable[tuple[str, Item | None]], encode: Encoder) -> "Catalogue":
        """The catalogue after some changes.

        Args:
            changes: item id and its new state, None for a removal; the last one of an id counts.
            encode: gives the vectors ``[n, dimension]`` of items with their rows in the vocabulary, -1 for others.

        Returns:
            A new catalogue, or this one when nothing changed. Vectors are computed for new and changed items.
        """
        newest = {item_id: item for item_id, item in changes}
        changed = {
            item_id: item
            for item_id, item in newest.items()
            if (row := self.row_of.get(item_id, -1)) < 0 or self.items[row] != item
        }
        fresh = [item_id for item_id, item in changed.items() if item_id not in self.row_of and item is not None]
        touched = [item_id for item_id in changed if item_id in self.row_of]
        if not fresh and not touched:
            return self
        item_ids = self.item_ids + tuple(fresh)
        items = list(self.items) + [None] * len(fresh)
        rows = [self.row_of[item_id] for item_id in touched] + list(range(len(self), len(item_ids)))
        for row in rows:
            items[row] = changed[item_ids[row]]
        vectors = np.concatenate([self.vectors, np.zeros((len(fresh), self.vectors.shape[1]), dtype=np.float32)])
        present = [(row, item) for row in rows if (item := items[row]) is not None]
        if present:
            known = [row if row < self.vocabulary else -1 for row, _ in present]
            vectors[[row for row, _ in present]] = encode([item for _, item in present], known)
        return Catalogue(item_ids, tuple(items), vectors, self.vocabulary)
