"""From a batch of events to new rows of the online store, one view at a time."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.events.contract import RETRACTION
from tastemaker.features.plan import ViewPlan
from tastemaker.features.stores.protocol import StoreTransaction
from tastemaker.features.stores.tailed import TailedTransaction, as_tailed
from tastemaker.features.streaming.batch import TYPE_BITS, EventBatch
from tastemaker.features.streaming.history_merge import merge_history
from tastemaker.features.streaming.packed import Merged
from tastemaker.features.streaming.row_cache import RowCache
from tastemaker.features.streaming.tails import fold_states, held_by, make_tails
from tastemaker.features.streaming.tiles import labels_noted, merge_tiles

__all__ = ["Change", "ViewUpdater"]

_Ints = npt.NDArray[np.int64]
# Label numbers that are known to be stored, by view; forgotten all at once when there are more.
_MOST_LABELS: Final = 1 << 15
_PIECE_BYTES: Final = 4 << 20
_FOLDED: Final = 500  # rows that are read whole at once


class Change(NamedTuple):
    """What a transaction writes of one view, to be remembered once it is committed.

    Attributes:
        keys: of the rows.
        kept: what the writer keeps of each: its state, or of one that was added to, the offsets that it holds; nothing
            where it need not know.
        labels: texts of labels by number.
    """

    keys: list[str]
    kept: list[bytes]
    labels: dict[int, str]


class ViewUpdater:
    """Applies events to one view.

    Args:
        view: an aggregate or a history view.
        cache: the rows that this writer keeps, of all views.
        piece_bytes: of old states that are merged at once, about.
    """

    def __init__(self, view: ViewPlan, cache: RowCache, piece_bytes: int = _PIECE_BYTES) -> None:
        self.view = view
        self._piece_bytes = piece_bytes
        self._cache = cache
        self._sees = np.zeros(len(TYPE_BITS), np.bool_)
        for event_type in view.types - {RETRACTION}:
            self._sees[TYPE_BITS[event_type]] = True
        self._known_labels: set[int] = set()

    def update(
        self,
        tx: StoreTransaction,
        batch: EventBatch,
        only: Callable[[str], bool] | None = None,
        *,
        new: bool = False,
    ) -> Change | None:
        """Write the new state of every entity that the events touch.

        Args:
            tx: the running transaction.
            batch: first occurrences that are not corrected.
            only: keys to leave out where this is false; the lake gives their rows later.
            new: the batch follows everything that rows hold, so that nobody need look for it there.

        Returns:
            What was written, for :meth:`committed`; None when nothing was.
        """
        from tastemaker.features.streaming.grouping import group_events

        view = self.view
        codes, entities, names_of = batch.keys(view.join_keys)
        allowed = self._sees[batch.types]
        if view.lateness_us:
            allowed &= batch.delay_us <= view.lateness_us
        if view.kind == "history":
            allowed &= batch.encoded(names.ITEM_ID).codes >= 0
        order, starts, present = group_events(codes, allowed, entities)
        if not len(present):
            return None
        keys = names_of(present)
        if only is not None:
            wanted = np.zeros(entities, np.bool_)
            wanted[present] = list(map(only, keys))
            order, starts, present = group_events(codes, allowed & wanted[codes], entities)
            keys = names_of(present)
            if not keys:
                return None
        tailed = as_tailed(tx)
        if tailed is not None:
            merged, kept = make_tails(view, batch, order, starts, None if new else self._held(tx, keys))
        else:
            merged = self._merge(batch, order, starts, self._read(tx, keys))
            kept = merged.states
        if len(merged.states) < len(keys):
            keys = [keys[place] for place in merged.changed.tolist()]
        if not keys:
            return None
        if tailed is not None:
            tailed.append(view.signature, keys, merged.newest_us, merged.states)
        else:
            tx.put(view.signature, keys, merged.newest_us, merged.states)
        labels = {} if view.kind == "history" else labels_noted(view, batch, order)
        labels = {number: label for number, label in labels.items() if number not in self._known_labels}
        if labels:
            tx.put_labels(labels)
        return Change(keys, kept, labels)

    def fold(self, tx: StoreTransaction, tailed: TailedTransaction, keys: Sequence[str]) -> None:
        """Write rows that have had tails for long as one state each.

        Args:
            tx: the running transaction.
            tailed: the same.
            keys: of the rows.
        """
        signature = self.view.signature
        for begin in range(0, len(keys), _FOLDED):
            piece = keys[begin : begin + _FOLDED]
            states = [state or b"" for state in tx.get(signature, piece)]
            tailed.fold(signature, piece, fold_states(self.view, states))

    def committed(self, change: Change) -> None:
        """Remember what is stored now."""
        if change.kept:
            self._cache.put(self.view.signature, change.keys, change.kept)
        else:
            self._cache.drop(self.view.signature, change.keys)
        if len(self._known_labels) > _MOST_LABELS:
            self._known_labels.clear()
        self._known_labels.update(change.labels)

    def forget(self) -> None:
        """Forget what is stored, because the store may hold something else."""
        self._known_labels.clear()

    def _merge(self, batch: EventBatch, order: _Ints, starts: _Ints, old: list[bytes]) -> Merged:
        """The new states, made in pieces: what a merge needs beside them must not grow with what the store holds."""
        merge = merge_tiles if self.view.kind == "aggregate" else merge_history
        pieces = np.cumsum(np.fromiter(map(len, old), np.int64, len(old))) // self._piece_bytes
        ends = [*(np.flatnonzero(np.diff(pieces)) + 1).tolist(), len(old)]
        if len(ends) == 1:
            return merge(self.view, batch, order, starts, old)
        merged = Merged(np.zeros(0, np.int64), [], [])
        begin = 0
        for end in ends:
            own = order[starts[begin] : starts[end]].copy()
            changed, newest_us, states = merge(
                self.view, batch, own, starts[begin : end + 1] - starts[begin], old[begin:end]
            )
            merged = Merged(
                np.concatenate((merged.changed, changed + begin)), merged.newest_us + newest_us, merged.states + states
            )
            begin = end
        return merged

    def _held(self, tx: StoreTransaction, keys: list[str]) -> list[bytes]:
        """The offsets that rows hold, which is all of them that their tails are made of."""
        if self.view.kind == "history":
            return []
        found = self._cache.get(self.view.signature, keys)
        missing = [place for place, held in enumerate(found) if held is None]
        for begin in range(0, len(missing), _FOLDED):
            piece = missing[begin : begin + _FOLDED]
            states = [state or b"" for state in tx.get(self.view.signature, [keys[place] for place in piece])]
            for place, held in zip(piece, held_by(states), strict=True):
                found[place] = held
        return [held or b"" for held in found]

    def _read(self, tx: StoreTransaction, keys: list[str]) -> list[bytes]:
        found = self._cache.get(self.view.signature, keys)
        missing = [place for place, state in enumerate(found) if state is None]
        if missing:
            for place, state in zip(missing, tx.get(self.view.signature, [keys[p] for p in missing]), strict=True):
                found[place] = state
        return [state or b"" for state in found]
