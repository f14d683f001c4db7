"""What models are asked: learn from these histories, rank for those, be judged by what followed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.errors import DataError
from tastemaker.evaluation.benchmark.catalogue import read_catalogue, same_kind
from tastemaker.evaluation.benchmark.protocol import detect
from tastemaker.evaluation.benchmark.tables import Interactions, read_interactions
from tastemaker.models.histories import Histories

__all__ = ["Task", "build"]


Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Task:
    """A benchmark's data, coded.

    Attributes:
        train: what models learn from.
        history: what is known of each test user when asked.
        relevant: user by user as in ``history``, the distinct items that followed; at least one each.
        items: row ``i`` describes item ``i``; None when nothing is known.
        exclude_seen: whether lists leave out the items of a user's own history.
        protocol: how the test was held out, one of :data:`~tastemaker.models.protocol.PROTOCOLS`.
        horizon: length of the test window in the unit of the times; for a temporal protocol.
        facts: what was read, dropped and chosen, for the report.
    """

    train: Histories
    history: Histories
    relevant: Histories
    items: pa.Table | None
    exclude_seen: bool
    protocol: str
    horizon: float | None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def relevant_per_user(self) -> float:
        """Mean number of distinct relevant items."""
        return len(self.relevant.items) / self.relevant.n_users


def build(
    train: Path, test: Path, history: Path | None = None, items: Path | None = None, *, exclude_seen: bool | None = None
) -> Task:
    """Read the files and code users and items.

    The catalogue is the items of train. Test rows of other items cannot be found by anybody and do not count; they are
    dropped, and the facts say how many.

    Args:
        train: interactions to learn from.
        test: interactions to be judged by.
        history: what is known of the test users at prediction time; their rows in train when left out.
        items: descriptions of items.
        exclude_seen: leave seen items out of the lists; None: unless train is
            :attr:`~tastemaker.models.histories.Histories.worth_repeating`.

    Raises:
        DataError: a file cannot be used, or no test row has an item of train.
    """
    learned, asked = read_interactions(train), read_interactions(test)
    known = read_interactions(history) if history else None
    for other in (asked, known):
        if other is not None:
            _compatible(learned, other, whole=other is known)
    item_ids, item_codes = _codes(learned.items)
    user_ids, user_codes = _codes(learned.users)
    type_names = _type_names(learned, known)
    described, n_described = (
        read_catalogue(items, item_ids, learned.times_are_numbers if learned.times is not None else None)
        if items
        else (None, 0)
    )
    full = _histories(
        learned, user_codes, item_codes, n_users=len(user_ids), n_items=len(item_ids), type_names=type_names
    )

    test_items = _lookup(asked.items, item_ids)
    judged = test_items >= 0
    if not judged.any():
        raise DataError(f"{test}: no row has an item of {train}; check that item_id means the same in both")
    test_ids, test_users = _codes(asked.users.filter(pa.array(judged)))
    relevant = _distinct(test_users, test_items[judged], len(test_ids), len(item_ids))
    rows_in_train = _lookup(test_ids, user_ids)
    unknown_history = 0
    if known is None:
        past = _taken(full, rows_in_train)
    else:
        past, unknown_history = _given(known, test_ids, item_ids, type_names)
    test_times = None if asked.times is None else asked.times[judged]
    protocol, horizon = detect(
        full, past, relevant, test_times, test_users, known_users=_known_share(full, past, rows_in_train)
    )
    if full.times is not None:
        past = past.at(_moments(full, past, protocol))
    exclude = not full.worth_repeating if exclude_seen is None else exclude_seen
    facts = {
        "train_rows": len(learned),
        "train_users": len(user_ids),
        "items": len(item_ids),
        "described_items": n_described,
        "test_rows": len(asked),
        "test_users": len(test_ids),
        "test_users_without_known_item": pc.count_distinct(asked.users).as_py() - len(test_ids),
        "test_user_ids_in_train": int((rows_in_train >= 0).sum()),
        "test_users_without_history": int((past.lengths == 0).sum()),
        "dropped_test_rows_of_unknown_items": int((~judged).sum()),
        "dropped_test_rows_repeated": int(judged.sum()) - len(relevant.items),
        "dropped_history_rows_of_unknown_items": unknown_history,
        "relevant_per_user": len(relevant.items) / len(test_ids),
        "relevant_seen_before": _seen_share(past, relevant),
        "repeated_train_rows": full.repeats,
        "has_times": full.times is not None,
        "event_types": list(type_names),
        "protocol": protocol,
        "horizon": horizon,
        "exclude_seen": exclude,
        "exclude_seen_chosen": "by the data" if exclude_seen is None else "by the caller",
    }
    return Task(full, past, relevant, described, exclude, protocol, horizon, facts)


def _compatible(train: Interactions, other: Interactions, *, whole: bool) -> None:
    """Check that two tables speak of the same things; ``whole``: in the same columns."""
    same_kind(other.users, train.users, f"{other.path}: user_id", f"{train.path}")
    same_kind(other.items, train.items, f"{other.path}: item_id", f"{train.path}")
    if train.times is not None and other.times is not None and train.times_are_numbers != other.times_are_numbers:
        raise DataError(f"{other.path} and {train.path}: timestamp has numbers in one and times in the other")
    for column, here, there in (("timestamp", other.times, train.times), ("event_type", other.types, train.types)):
        if whole and (here is None) != (there is None):
            has, lacks = (train.path, other.path) if here is None else (other.path, train.path)
            raise DataError(f"{has} has the column {column} and {lacks} has not; give it in both or in none")


def _codes(ids: pa.Array) -> tuple[pa.Array, Ints]:
    """The distinct ids in order, and the place of each row's id among them."""
    encoded = ids.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return encoded.dictionary.take(pa.array(order)), place[encoded.indices.to_numpy()]


def _lookup(ids: pa.Array, among: pa.Array) -> Ints:
    """The place of each id among the known ones, -1 if it is none of them."""
    return np.asarray(pc.fill_null(pc.index_in(ids, value_set=among), -1).to_numpy(), dtype=np.int64)


def _type_names(train: Interactions, history: Interactions | None) -> tuple[str, ...]:
    columns = [table.types for table in (train, history) if table is not None and table.types is not None]
    return tuple(sorted({name for column in columns for name in pc.unique(column).to_pylist()}))


def _histories(
    rows: Interactions, users: Ints, items: Ints, *, n_users: int, n_items: int, type_names: tuple[str, ...]
) -> Histories:
    types = None
    # One kind of event says nothing; models need not look at it.
    if rows.types is not None and len(type_names) > 1:
        types = pc.index_in(rows.types, value_set=pa.array(type_names, pa.large_string())).to_numpy()
    names = type_names if types is not None else ()
    return Histories.of(
        users,
        items,
        n_users=n_users,
        n_items=n_items,
        times=rows.times,
        weights=rows.weights,
        types=types,
        type_names=names,
    )


def _given(
    known: Interactions, test_ids: pa.Array, item_ids: pa.Array, type_names: tuple[str, ...]
) -> tuple[Histories, int]:
    """Histories from a file of their own, and how many of their rows name an item that train does not know."""
    users, items = _lookup(known.users, test_ids), _lookup(known.items, item_ids)
    keep = (users >= 0) & (items >= 0)
    chosen = pa.array(keep)
    rows = Interactions(
        path=known.path,
        users=known.users.filter(chosen),
        items=known.items.filter(chosen),
        times=None if known.times is None else known.times[keep],
        times_are_numbers=known.times_are_numbers,
        types=None if known.types is None else known.types.filter(chosen),
        weights=None if known.weights is None else known.weights[keep],
    )
    found = _histories(
        rows, users[keep], items[keep], n_users=len(test_ids), n_items=len(item_ids), type_names=type_names
    )
    return found, int(((users >= 0) & (items < 0)).sum())


def _taken(full: Histories, rows: Ints) -> Histories:
    """The histories at those rows; an empty one for -1."""
    found = full.take(np.maximum(rows, 0))
    return found.where((rows >= 0)[found.rows])


def _distinct(users: Ints, items: Ints, n_users: int, n_items: int) -> Histories:
    pairs = np.unique(users * n_items + items)
    return Histories.of(pairs // n_items, pairs % n_items, n_users=n_users, n_items=n_items)


def _known_share(full: Histories, past: Histories, rows: Ints) -> float:
    """Share of the test users whom training saw: their id is in train, and what they did there is in their history.

    Where sessions are numbered anew in every file, an id of train and the same id of test are two people.
    """
    there = _taken(full, rows)
    remembered = np.isin(there.rows * full.n_items + there.items, np.unique(past.rows * full.n_items + past.items))
    forgotten = np.bincount(there.rows[~remembered], minlength=there.n_users) > 0
    return float(((rows >= 0) & ~forgotten).mean())


def _moments(full: Histories, past: Histories, protocol: str) -> npt.NDArray[np.float64]:
    """When each is asked: at the cut, or when the last thing happened that is known of each, if that is later.

    Without a cut always the latter, and at the end of train those of whom nothing is known.
    """
    assert full.times is not None
    moments = np.full(past.n_users, full.times.max(initial=-np.inf))
    if past.times is not None:
        filled = past.lengths > 0
        last = past.times[past.offsets[1:][filled] - 1]
        moments[filled] = np.maximum(moments[filled], last) if protocol == "temporal" else last
    return moments


def _seen_share(past: Histories, relevant: Histories) -> float:
    seen = np.unique(past.rows * past.n_items + past.items)
    return float(np.isin(relevant.rows * past.n_items + relevant.items, seen).mean())
