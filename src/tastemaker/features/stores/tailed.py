"""Transactions that add to rows, for stores where that costs less than writing them."""

from collections.abc import Sequence
from functools import cache
from typing import Protocol, cast, runtime_checkable

from tastemaker.features.stores.protocol import StoreTransaction

__all__ = ["TailedTransaction", "as_tailed"]


@runtime_checkable
class TailedTransaction(Protocol):
    """A transaction that adds to rows for less than it writes them; others are given whole rows."""

    def append(self, view: str, keys: Sequence[str], event_us: Sequence[int], tails: Sequence[bytes]) -> None:
        """Add to rows: each becomes what it was, and behind that its tail, a packed state of other events.

        Args:
            view: of the rows.
            keys: of the rows, which need not be there yet.
            event_us: time of the newest event in each tail.
            tails: packed states.
        """
        ...

    def due(self, everything: bool = False) -> dict[str, list[str]]:
        """Keys of rows, by view, that the writer should :meth:`fold` now: that have had tails for long, or all."""
        ...

    def fold(self, view: str, keys: Sequence[str], states: Sequence[bytes]) -> None:
        """Write rows with tails, which the transaction has read, as one state each; for readers nothing changes."""
        ...


@cache
def _is_tailed(kind: type[StoreTransaction]) -> bool:
    return issubclass(kind, TailedTransaction)


def as_tailed(tx: StoreTransaction) -> TailedTransaction | None:
    """The transaction as one that adds to rows, where it is one; faster than asking for the protocol each time."""
    return cast(TailedTransaction, tx) if _is_tailed(type(tx)) else None
