"""The catalogue as serving holds it: every item known, its vector, and whether it may be shown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.clock import to_us
from tastemaker.events.item import Item
from tastemaker.retrieval.categories import Categories

__all__ = ["Catalogue"]

Encoder = Callable[[Sequence[Item], Sequence[int]], npt.NDArray[np.float32]]
# The type of a column, and what it says of an item; None is one that was removed.
_Column = tuple[type[np.generic], Callable[[Item | None], Any]]


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
    def row_of(self) -> dict[str, int]:
        """The row of each id; shared with the states that follow, so it may know ids of rows beyond this one's."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    @cached_property
    def present(self) -> npt.NDArray[np.bool_]:
        """Bool ``[rows]``: known and not removed."""
        return self._worked_out("present")

    @cached_property
    def servable(self) -> npt.NDArray[np.bool_]:
        """Bool ``[rows]``: known, not removed, and available."""
        return self._worked_out("servable")

    @cached_property
    def categories(self) -> Categories:
        """The category paths, shared with the states that follow."""
        return Categories()

    @cached_property
    def leaf(self) -> npt.NDArray[np.int64]:
        """int64 ``[rows]``: number of the item's category path; -1 without one."""
        return self._worked_out("leaf")

    @cached_property
    def brands(self) -> Categories:
        """The brands, as paths of one level, shared with the states that follow."""
        return Categories()

    @cached_property
    def brand(self) -> npt.NDArray[np.int64]:
        """int64 ``[rows]``: number of the item's brand; -1 without one."""
        return self._worked_out("brand")

    @cached_property
    def stock(self) -> npt.NDArray[np.float32]:
        """float32 ``[rows]``: pieces, of the attribute ``stock``; NaN where it is not known or no number."""
        return self._worked_out("stock")

    @cached_property
    def margin(self) -> npt.NDArray[np.float32]:
        """float32 ``[rows]``: in any one unit, of the attribute ``margin``; NaN where not known or no number."""
        return self._worked_out("margin")

    @cached_property
    def price(self) -> npt.NDArray[np.float64]:
        """float64 ``[rows]``: price, NaN where it is not known."""
        return self._worked_out("price")

    @cached_property
    def log_price(self) -> npt.NDArray[np.float32]:
        """float32 ``[rows]``: ``log(1 + price)``, NaN where it is not known."""
        return np.log1p(self.price).astype(np.float32)

    @cached_property
    def created_us(self) -> npt.NDArray[np.int64]:
        """int64 ``[rows]``: when the item entered the catalogue; 0 for removed ones."""
        return self._worked_out("created_us")

    def _columns(self) -> dict[str, _Column]:
        """What is read off each item, by the name of the property."""
        category, brand = self.categories.code, self.brands.code
        return {
            "present": (np.bool_, lambda item: item is not None),
            "servable": (np.bool_, lambda item: item is not None and item.available),
            "leaf": (np.int64, lambda item: category(item.category) if item else -1),
            "brand": (np.int64, lambda item: brand((item.brand,)) if item and item.brand is not None else -1),
            "stock": (np.float32, lambda item: _number(item, "stock")),
            "margin": (np.float32, lambda item: _number(item, "margin")),
            "price": (np.float64, lambda item: np.nan if item is None or item.price is None else item.price),
            "created_us": (np.int64, lambda item: to_us(item.created_at) if item else 0),
        }

    def _worked_out(self, name: str) -> npt.NDArray[Any]:
        dtype, value_of = self._columns()[name]
        return np.array([value_of(item) for item in self.items], dtype=dtype)

    def row(self, item_id: str) -> int:
        """The row of an id, -1 for an unknown one."""
        row = self.row_of.get(item_id, -1)
        return row if row < len(self.item_ids) else -1

    def rows(self, item_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Rows of some ids, -1 for unknown ones."""
        find = self.row_of.get
        found = np.array([find(item_id, -1) for item_id in item_ids], dtype=np.int64)
        found[found >= len(self.item_ids)] = -1
        return found

    def updated(self, changes: Iterable[tuple[str, Item | None]], encode: Encoder) -> "Catalogue":
        """The catalogue after some changes.

        Args:
            changes: item id and its new state, None for a removal; the last one of an id counts.
            encode: gives the vectors ``[n, dimension]`` of items with their rows in the vocabulary, -1 for others.

        Returns:
            A new catalogue, or this one when nothing changed. Vectors are computed for new and changed items.
        """
        newest = {item_id: item for item_id, item in changes}
        known = {item_id: row for item_id in newest if (row := self.row(item_id)) >= 0}
        fresh = [item_id for item_id, item in newest.items() if item_id not in known and item is not None]
        touched = [item_id for item_id, row in known.items() if self.items[row] != newest[item_id]]
        if not fresh and not touched:
            return self
        item_ids = self.item_ids + tuple(fresh)
        items = list(self.items)
        rows = [known[item_id] for item_id in touched] + list(range(len(self), len(item_ids)))
        items.extend([None] * len(fresh))
        for row in rows:
            items[row] = newest[item_ids[row]]
        vectors = np.concatenate([self.vectors, np.zeros((len(fresh), self.vectors.shape[1]), dtype=np.float32)])
        present = [(row, item) for row in rows if (item := items[row]) is not None]
        if present:
            trained = [row if row < self.vocabulary else -1 for row, _ in present]
            vectors[[row for row, _ in present]] = encode([item for _, item in present], trained)
        following = Catalogue(item_ids, tuple(items), vectors, self.vocabulary)
        self._hand_over(following, rows)
        return following

    def _hand_over(self, following: "Catalogue", rows: Sequence[int]) -> None:
        """Give the next state what this one has worked out, with the changed rows worked out anew.

        A look at every item in Python takes a second of a large shop; a few items change at a time.
        """
        own, given = self.__dict__, following.__dict__
        row_of = self.row_of
        if len(row_of) > len(self):  # another state has followed this one, and added its own items
            row_of = {item_id: row for row, item_id in enumerate(self.item_ids)}
        row_of.update((following.item_ids[row], row) for row in rows if row >= len(self))
        given["row_of"] = row_of
        given["categories"], given["brands"] = self.categories, self.brands
        for name, (dtype, value_of) in self._columns().items():
            if name in own:
                column = np.zeros(len(following), dtype=dtype)
                column[: len(self)] = own[name]
                column[rows] = [value_of(following.items[row]) for row in rows]
                given[name] = column
        if "log_price" in own and "price" in given:
            column = np.zeros(len(following), dtype=np.float32)
            column[: len(self)] = own["log_price"]
            column[rows] = np.log1p(given["price"][rows])
            given["log_price"] = column


def _number(item: Item | None, attribute: str) -> float:
    """An attribute as a number; attributes are text, and shops write what they like."""
    if item is None or attribute not in item.attributes:
        return np.nan
    try:
        return float(item.attributes[attribute])
    except ValueError:
        return np.nan
