"""Read features from the online store, as of now, straight into numpy: the serving path's view of it, without Feast."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, cast

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.events.item import Item, decode_item
from tastemaker.features.keys import join_key, join_keys, second_ids, split_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.at_hand import RowsAtHand
from tastemaker.features.reading.collapse import collapse_packed
from tastemaker.features.reading.row_values import items_of, numbers_of, values_of
from tastemaker.features.stores.opening import open_online_reader
from tastemaker.features.stores.protocol import GlancingReader, PackedReader, Row, StoreReader
from tastemaker.features.stores.view_ages import read_ages

__all__ = ["FeatureReader", "Key"]

# The ids of one entity: a text, or a tuple of them for a view of several entities.
Key = str | tuple[str, ...]
_MAX_LABELS: Final = 1 << 18


class FeatureReader:
    """Reads an online store; safe beside writers in other processes, and from several threads.

    Args:
        store: a reader of a store, or the location of one, as
            :func:`tastemaker.features.stores.opening.open_online_reader` takes it.
        plan: the applied declarations.

    Raises:
        DataError: there is no store, or it was built for other declarations.
    """

    def __init__(self, store: StoreReader | Path | str, plan: FeaturePlan) -> None:
        self.plan = plan
        self.store: StoreReader = open_online_reader(store) if isinstance(store, Path | str) else store
        self._packed = self.store if isinstance(self.store, PackedReader) else None
        self._labels: dict[int, str] = {}
        self._check_plan()

    def close(self) -> None:
        """Close this thread's connection."""
        self.store.close()

    def ahead(self, rows: Sequence[tuple[str, Key]], scans: Sequence[tuple[str, str]]) -> Self:
        """A reader that has read some rows in one look at the store; it asks the store for all others.

        Args:
            rows: view and key of each row.
            scans: view and first id of each scan.

        Returns:
            A reader for the questions of one moment; this one, of a store that cannot look at all of it at once.
        """
        if not isinstance(self.store, GlancingReader):
            return self
        asked = [(self.plan.view(view).signature, join_key(key)) for view, key in rows]
        scanned = [(self.plan.view(view).signature, first) for view, first in scans]
        found, listed = self.store.glance(asked, scanned)
        reader = copy.copy(self)
        reader.store = cast(
            StoreReader,
            RowsAtHand(self.store, dict(zip(asked, found, strict=True)), dict(zip(scanned, listed, strict=True))),
        )
        reader._packed = None
        return reader

    def values(
        self, view: str, keys: Sequence[Key], now_us: int, features: Sequence[str] | None = None
    ) -> npt.NDArray[np.float64]:
        """Numeric features of many entities.

        Args:
            view: an aggregate or batch view.
            keys: one per entity; a tuple of ids in the order of the view's entities where it has several.
            now_us: the platform's time in microseconds.
            features: which, in which order; None for all in declared order.

        Returns:
            Shape ``[len(keys), features]``, with defaults for what is not known.

        Raises:
            DataError: a feature is no number, or the view has none of that name.
        """
        plan = self.plan.view(view)
        if plan.kind == "aggregate" and self._packed is not None:
            packed = self._packed.packed_states(plan.signature, join_keys(keys))
            if packed is not None:
                return collapse_packed(plan, packed, now_us, _tuple(features))
        return numbers_of(plan, self._rows(plan, keys), now_us, _tuple(features))

    def matrix(
        self, view: str, keys: Sequence[Key], now_us: int, features: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """As :meth:`values`, in the single precision that models take."""
        return self.values(view, keys, now_us, features).astype(np.float32)

    def scan(
        self, view: str, first: str, now_us: int, features: Sequence[str] | None = None
    ) -> tuple[list[str], npt.NDArray[np.float32]]:
        """All entities of a two-entity view that begin with one id, such as all items of a user.

        Returns:
            The second ids, and their features: shape ``[ids, features]``.
        """
        plan = self.plan.view(view)
        found = self.store.scan(plan.signature, first)
        numbers = numbers_of(plan, [row for _, row in found], now_us, _tuple(features))
        return second_ids([key for key, _ in found], first), numbers.astype(np.float32)

    def row(self, view: str, key: Key, now_us: int, features: Sequence[str] | None = None) -> dict[str, Any]:
        """Features of one entity by name, as plain Python values."""
        return self.rows(view, [key], now_us, features)[0]

    def rows(
        self, view: str, keys: Sequence[Key], now_us: int, features: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Features of any kind of some entities by name, as plain Python values; arguments as of :meth:`values`.

        Raises:
            DataError: the view has no feature of that name, or the store does not know the text of a label.
        """
        plan = self.plan.view(view)
        return values_of(plan, self._rows(plan, keys), now_us, self._texts, _tuple(features))

    def rows_and_times(
        self, view: str, keys: Sequence[Key], now_us: int, features: Sequence[str] | None = None
    ) -> list[tuple[dict[str, Any], int | None]]:
        """As :meth:`rows`, each with the time of the entity's newest event or table row; of one look at the store."""
        plan = self.plan.view(view)
        rows = self._rows(plan, keys)
        found = values_of(plan, rows, now_us, self._texts, _tuple(features))
        return [(values, row and row.event_us) for values, row in zip(found, rows, strict=True)]

    def newest_us(self, view: str, keys: Sequence[Key]) -> list[int | None]:
        """The time of each entity's newest event or table row, where there is one."""
        return [row and row.event_us for row in self._rows(self.plan.view(view), keys)]

    def history(self, view: str, key: Key, now_us: int | None = None) -> list[tuple[str, str, int]]:
        """The newest events of an entity: ``(item_id, type, occurred_at in microseconds)``, newest first.

        Args:
            view: a history view.
            key: the entity.
            now_us: leave out events at or after this moment; None takes what is there.
        """
        plan = self.plan.view(view)
        (row,) = self._rows(plan, [key])
        return items_of(plan, row, now_us)

    def derived(
        self, name: str, keys: Mapping[str, Sequence[Key]], request: Mapping[str, Sequence[Any]], now_us: int
    ) -> dict[str, npt.NDArray[Any]]:
        """Features that are derived while they are read.

        Args:
            name: an on-demand view of the plan.
            keys: for each stored view that it takes from, the entity of each row.
            request: for each field of the request that it takes, the value of each row.
            now_us: the moment that the stored features are of, in microseconds.

        Returns:
            By feature, an array with a value per row.

        Raises:
            DataError: no such on-demand view, an input is missing, or its function fails.
        """
        from tastemaker.features.reading.derived import derive, on_demand_view

        derived = on_demand_view(self.plan, name)
        inputs: dict[str, Any] = {}
        for view in dict.fromkeys(view for view, _ in derived.inputs):
            wanted = [feature for origin, feature in derived.inputs if origin == view]
            if view not in keys:
                raise DataError(f"on-demand view {name} takes {', '.join(wanted)} of {view}; give the keys of {view}")
            rows = self.rows(view, keys[view], now_us, wanted)
            inputs |= {feature: [row[feature] for row in rows] for feature in wanted}
        sizes = {len(column) for column in (*inputs.values(), *request.values())}
        if len(sizes) != 1:
            raise DataError(f"on-demand view {name}: keys and request have {sorted(sizes)} rows; give one each per row")
        return derive(derived, inputs, request, sizes.pop())

    def items_changed(self, since_rev: int = 0) -> tuple[int, list[tuple[str, Item | None]]]:
        """Items that changed after a revision, None for removed ones, and the revision that this is as of."""
        rev, items = self.store.items_changed(since_rev)
        return rev, [(one.item_id, None if one.item is None else decode_item(one.item)) for one in items]

    def changed(self, view: str, since_rev: int = 0) -> tuple[int, list[Key]]:
        """Keys whose rows changed after a revision, and the revision that this is as of.

        All keys of the view when the revision is 0, or so old that the store cannot tell.

        Raises:
            DataError: the store was rebuilt for other declarations.
        """
        self._check_plan()
        plan = self.plan.view(view)
        rev, keys = self.store.changes(plan.signature, since_rev)
        found: Iterable[str] = (key for key, _ in self.store.all_rows(plan.signature)) if keys is None else keys
        parts = map(split_key, found)
        return rev, list(parts) if len(plan.join_keys) > 1 else [one for (one,) in parts]

    def _check_plan(self) -> None:
        ages = read_ages(self.store)
        known = {*ages.current, *ages.former} if ages else set()
        missing = [view.name for view in self.plan.views if view.signature not in known]
        if missing:
            raise DataError(
                f"the online store was built for other declarations of {', '.join(missing)}; rebuild it from the lake,"
                " or train and promote a release with the declarations in force"
            )

    def _rows(self, plan: ViewPlan, keys: Sequence[Key]) -> list[Row | None]:
        return self.store.rows(plan.signature, join_keys(keys))

    def _texts(self, numbers: Iterable[int]) -> Mapping[int, str]:
        """The texts of label numbers; those of a label never change."""
        labels = self._labels
        if missing := [number for number in numbers if number not in labels]:
            if len(labels) > _MAX_LABELS:
                labels = self._labels = {number: labels[number] for number in numbers if number in labels}
            labels.update(self.store.labels(missing))
        return labels


def _tuple(features: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if features is None else tuple(features)
