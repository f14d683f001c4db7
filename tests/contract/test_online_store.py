"""What every online store does, whatever holds its rows: the file, and its twin in memory."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from tastemaker.clock import from_us, to_us
from tastemaker.errors import DataError
from tastemaker.events.contract import Event, EventType
from tastemaker.features import database
from tastemaker.features.feast_online import PackedOnlineStore
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.reader import FeatureReader
from tastemaker.features.semantics import DAY_US
from tastemaker.features.state import ConsumedEvent, FeatureState, WriterFenced

_names = count()
START_US = to_us(datetime(2011, 12, 9, 12, tzinfo=UTC))
TYPES = ("purchase", "view")


def view(name: str, kind: str, entities: tuple[str, ...], *features: FeatureSpec, ttl_us: int = 0) -> ViewPlan:
    return ViewPlan(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        entities=entities,
        join_keys=tuple(f"{entity}_id" for entity in entities),
        features=features,
        table="items" if kind == "batch" else "events",
        timestamp_field="updated_at" if kind == "batch" else "occurred_at",
        ttl_us=ttl_us,
    )


def counted(name: str, *types: str, default: float = 0) -> FeatureSpec:
    return FeatureSpec(name=name, dtype="int64", function="count", column="event_id", types=types, default=default)


PLAN = FeaturePlan(
    views=(
        view("user", "aggregate", ("user",), counted("bought", "purchase"), counted("seen", "view"), ttl_us=DAY_US),
        view("pair", "aggregate", ("user", "item"), counted("times", *TYPES, default=-1)),
        view(
            "list",
            "history",
            ("user",),
            *(
                FeatureSpec(name=column, dtype="list[string]", function="last_n", column=column, types=TYPES, n=3)
                for column in ("item_id", "type")
            ),
        ),
        view(
            "profile",
            "batch",
            ("item",),
            FeatureSpec(name="price", dtype="float64", column="price"),
            FeatureSpec(name="available", dtype="bool", column="available", default=0),
            ttl_us=DAY_US,
        ),
    )
)


class Store:
    """One online store with its writer, a reader, and Feast's interface."""

    def __init__(self, location: Path | str, directory: Path) -> None:
        self.location = location
        PLAN.save(directory / "plan.json")
        self.state = FeatureState.open(location, PLAN)
        self.reader = FeatureReader(location, PLAN)
        self.feast = PackedOnlineStore()
        self.config = SimpleNamespace(
            online_store=SimpleNamespace(path=str(location), plan=str(directory / "plan.json"), clock_offset_us=0)
        )
        self._offset = 0

    def happens(self, *events: tuple[str, EventType, str, int]) -> None:
        """Apply ``(user, type, item, seconds after the start)``."""
        records = []
        for user, kind, item, seconds in events:
            at = from_us(START_US + seconds * 1_000_000)
            event = Event(event_id=f"e{self._offset}", type=kind, user_id=user, item_id=item, occurred_at=at)
            records.append(ConsumedEvent(event, 0, self._offset))
            self._offset += 1
        self.state.apply(records, {0: self._offset})

    def write_profile(self, item: str, price: float | None, at_us: int) -> None:
        key = EntityKey(join_keys=["item_id"], entity_values=[Value(string_val=item)])
        values = {"price": Value() if price is None else Value(double_val=price), "available": Value(bool_val=True)}
        table: Any = SimpleNamespace(name="profile")
        self.feast.online_write_batch(self.config, table, [(key, values, from_us(at_us), None)], None)

    def price(self, item: str, now_us: int) -> float:
        return float(self.reader.row("profile", item, now_us)["price"])


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    memory = database.memory_location(f"contract-{next(_names)}")
    opened = Store(tmp_path / "online.sqlite" if request.param == "file" else memory, tmp_path)
    yield opened
    opened.reader.close()
    opened.state.close()


NOW_US = START_US + 3_600_000_000


def test_values_come_back_in_the_order_asked_for(store: Store) -> None:
    store.happens(("u1", "purchase", "i1", 0), ("u2", "view", "i1", 1), ("u1", "purchase", "i2", 2))
    found = store.reader.matrix("user", ["u2", "nobody", "u1", "u2"], NOW_US)
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 1], [0, 0], [2, 0], [0, 1]]


def test_no_keys_give_an_empty_matrix(store: Store) -> None:
    assert store.reader.matrix("user", [], NOW_US).shape == (0, 2)
    assert store.reader.matrix("profile", [], NOW_US).shape == (0, 2)
    ids, found = store.reader.scan("pair", "nobody", NOW_US)
    assert ids == []
    assert found.shape == (0, 1)


def test_rows_are_plain_values_by_name(store: Store) -> None:
    store.happens(("u1", "purchase", "i1", 0))
    row = store.reader.row("user", "u1", NOW_US)
    assert row == {"bought": 1, "seen": 0}
    assert {type(value) for value in row.values()} == {int}


def test_scan_finds_the_second_ids_of_one_first_id_only(store: Store) -> None:
    store.happens(
        ("u1", "view", "i2", 0),
        ("u1", "view", "i1", 1),
        ("u1", "view", "i2", 2),
        ("u10", "view", "i3", 3),
        ("u", "view", "i4", 4),
    )
    ids, found = store.reader.scan("pair", "u1", NOW_US)
    assert dict(zip(ids, found.tolist(), strict=True)) == {"i1": [1], "i2": [2]}
    assert store.reader.matrix("pair", [("u1", "i2"), ("u1", "i3")], NOW_US).tolist() == [[2], [-1]]


def test_history_is_newest_first_and_ends_before_now(store: Store) -> None:
    store.happens(*(("u1", "view", f"i{number}", number) for number in range(6)))
    at = [START_US + number * 1_000_000 for number in range(6)]
    assert store.reader.history("list", "u1") == [(f"i{n}", "view", at[n]) for n in (5, 4, 3)]
    assert [item for item, _, _ in store.reader.history("list", "u1", at[4])] == ["i3", "i2", "i1"]
    assert store.reader.row("list", "u1", NOW_US) == {"item_id": ["i5", "i4", "i3"], "type": ["view"] * 3}
    assert store.reader.history("list", "nobody") == []


def test_stale_entity_reads_as_its_defaults(store: Store) -> None:
    store.happens(("u1", "purchase", "i1", 0))
    # Inclusive: exactly one TTL after the event it still counts.
    assert store.reader.matrix("user", ["u1"], START_US + DAY_US).tolist() == [[1, 0]]
    assert store.reader.matrix("user", ["u1"], START_US + DAY_US + 1).tolist() == [[0, 0]]


def test_stale_or_null_column_reads_as_its_default(store: Store) -> None:
    store.write_profile("i1", 2.5, START_US)
    store.write_profile("i2", None, START_US)
    assert store.price("i1", START_US + DAY_US) == 2.5
    assert np.isnan(store.price("i1", START_US + DAY_US + 1))
    assert store.reader.row("profile", "i2", NOW_US)["available"] is True
    assert np.isnan(store.price("i2", NOW_US))


def test_older_row_never_replaces_a_newer_one(store: Store) -> None:
    store.write_profile("i1", 2.0, START_US)
    store.write_profile("i1", 1.0, START_US - 1)
    assert store.price("i1", NOW_US) == 2.0
    store.write_profile("i1", 3.0, START_US)
    assert store.price("i1", NOW_US) == 3.0


def test_feast_reads_what_the_reader_reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.clock.Clock.now_us", lambda _: NOW_US)
    store.happens(("u1", "purchase", "i1", 0), ("u1", "view", "i2", 7))
    keys = [EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=name)]) for name in ("u1", "nobody")]
    table: Any = SimpleNamespace(name="user")
    (at, known), (never, unknown) = store.feast.online_read(store.config, table, keys, ["seen"])
    assert (at, never) == (from_us(START_US + 7_000_000), None)
    assert known == {"seen": Value(int64_val=1)}
    assert unknown == {"seen": Value(int64_val=0)}
    # Feast's keys are in no particular order; the view's is what counts.
    pair = EntityKey(join_keys=["item_id", "user_id"], entity_values=[Value(string_val="i2"), Value(string_val="u1")])
    ((_, values),) = store.feast.online_read(store.config, SimpleNamespace(name="pair"), [pair])
    assert values == {"times": Value(int64_val=1)}


def test_deleted_view_leaves_the_others(store: Store) -> None:
    store.happens(("u1", "purchase", "i1", 0))
    store.feast.teardown(store.config, [SimpleNamespace(name="user")], [])
    assert store.reader.matrix("user", ["u1"], NOW_US).tolist() == [[0, 0]]
    assert store.reader.matrix("pair", [("u1", "i1")], NOW_US).tolist() == [[1]]


def test_new_writer_fences_the_old_one(store: Store) -> None:
    store.happens(("u1", "purchase", "i1", 0))
    successor = FeatureState.open(store.location, PLAN)
    with pytest.raises(WriterFenced):
        store.happens(("u1", "purchase", "i1", 1))
    assert store.reader.matrix("user", ["u1"], NOW_US).tolist() == [[1, 0]]
    successor.close()


def test_numbers_are_not_read_from_lists(store: Store) -> None:
    with pytest.raises(DataError, match=r"rows\(\) or history\(\)"):
        store.reader.matrix("list", ["u1"], NOW_US)


def test_threads_read_while_the_writer_writes(store: Store) -> None:
    torn: list[list[float]] = []
    ready, done = threading.Barrier(3), threading.Event()

    def read() -> None:
        ready.wait()
        while not done.is_set():
            # Each batch holds one purchase and one view: a reader never sees half of one.
            (row,) = store.reader.matrix("user", ["u1"], NOW_US).tolist()
            if row[0] != row[1]:
                torn.append(row)
        store.reader.close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready.wait()
    for second in range(60):
        store.happens(("u1", "purchase", "i1", second), ("u1", "view", "i1", second))
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []
    assert store.reader.matrix("user", ["u1"], NOW_US).tolist() == [[60, 60]]
