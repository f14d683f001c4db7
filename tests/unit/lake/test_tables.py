from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.lake.tables import SCHEMAS, Lake


def _events(*ids: str) -> pa.Table:
    moment = datetime(2011, 11, 1, tzinfo=UTC)
    known = {names.EVENT_ID: list(ids), names.OCCURRED_AT: [moment] * len(ids)}
    schema = SCHEMAS[names.TABLE_EVENTS]
    return pa.table({field.name: pa.array(known.get(field.name, [None] * len(ids)), field.type) for field in schema})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.create()
    return lake


def _ids(lake: Lake) -> list[str]:
    rows = lake.connect().execute(f"SELECT {names.EVENT_ID} FROM events ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def test_append_a_redelivered_batch_changes_nothing(lake: Lake) -> None:
    assert lake.append(names.TABLE_EVENTS, _events("a", "b"), {"worker:0": 1})
    assert not lake.append(names.TABLE_EVENTS, _events("a", "b"), {"worker:0": 1})
    assert _ids(lake) == ["a", "b"]


def test_append_a_newer_version_is_written(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a"), {"worker:0": 1})
    assert lake.append(names.TABLE_EVENTS, _events("b"), {"worker:0": 2})
    assert _ids(lake) == ["a", "b"]
    assert lake.versions(names.TABLE_EVENTS, ["worker:0", "worker:1"]) == {"worker:0": 2}


def test_create_twice_keeps_the_rows(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a"), {"x": 1})
    lake.create()
    assert _ids(lake) == ["a"]


def test_open_before_create_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="import data first"):
        Lake(tmp_path).open(names.TABLE_EVENTS)


def test_path_unknown_table_lists_the_known_ones(lake: Lake) -> None:
    with pytest.raises(DataError, match=r"events, items, .*served_lists"):
        lake.path("clicks")


def test_connect_sees_times_in_utc(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a"), {"x": 1})
    row = lake.connect().execute(f"SELECT {names.OCCURRED_AT}::VARCHAR FROM events").fetchone()
    assert row == ("2011-11-01 00:00:00+00",)


_NEWER = {names.CATEGORY, names.PRICE, names.CORRECTS}
# The events as the table's first layout had them.
_FORMER = pa.schema([field for field in SCHEMAS[names.TABLE_EVENTS] if field.name not in _NEWER])


@pytest.fixture
def former(tmp_path: Path) -> Lake:
    """A lake of the former version, with the event "old"."""
    lake = Lake(tmp_path / "former")
    DeltaTable.create(str(lake.path(names.TABLE_EVENTS)), schema=_FORMER)
    write_deltalake(str(lake.path(names.TABLE_EVENTS)), _events("old").select(_FORMER.names), mode="append")
    return lake


def test_create_adds_the_columns_that_a_former_table_lacks_and_appends_go_on(former: Lake) -> None:
    former.create()
    row = {names.CATEGORY: "kitchen", names.PRICE: 2.5, names.CORRECTS: "old"}
    new = _events("new").to_pylist()[0] | row

    former.append(names.TABLE_EVENTS, pa.Table.from_pylist([new], SCHEMAS[names.TABLE_EVENTS]), {"worker:0": 1})

    rows = former.connect().execute("SELECT event_id, category, price, corrects FROM events ORDER BY 1").fetchall()
    assert rows == [("new", "kitchen", 2.5, "old"), ("old", None, None, None)]
    # Whoever reads the Delta table without DuckDB sees the same.
    assert former.open(names.TABLE_EVENTS).to_pyarrow_table()[names.CATEGORY].to_pylist() == ["kitchen", None]


def test_create_on_an_up_to_date_lake_commits_nothing(former: Lake) -> None:
    former.create()
    versions = {table: former.open(table).version() for table in SCHEMAS}
    former.create()
    assert {table: former.open(table).version() for table in SCHEMAS} == versions


def test_connect_reads_a_former_table_before_it_is_evolved(former: Lake) -> None:
    rows = former.connect().execute("SELECT event_id, price FROM events WHERE category IS NULL").fetchall()
    assert rows == [("old", None)]


def test_create_a_column_of_another_type_says_which(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    DeltaTable.create(str(lake.path(names.TABLE_EVENTS)), schema=pa.schema([(names.EVENT_ID, pa.int64())]))
    with pytest.raises(DataError, match=r"column 'event_id' .* is int64, but this version needs string"):
        lake.create()


@pytest.mark.parametrize("rows", [0, 1])
def test_connect_has_the_columns_and_types_of_the_schemas(lake: Lake, rows: int) -> None:
    if rows:
        for table, schema in SCHEMAS.items():
            lake.append(table, pa.Table.from_pylist([{}], schema), {"x": 1})
    for table, schema in SCHEMAS.items():
        read = lake.connect().execute(f"FROM {table}").to_arrow_table()
        assert (read.num_rows, read.schema.names, read.schema.types) == (rows, schema.names, schema.types)


def test_connect_a_directory_with_quotes_stars_and_spaces_is_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "it's *a* lake")
    lake.create()
    lake.append(names.TABLE_EVENTS, _events("a"), {"x": 1})
    assert _ids(lake) == ["a"]


def test_connect_sees_its_version_while_the_table_moves_on(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a"), {"x": 1})
    before = lake.connect()
    lake.append(names.TABLE_EVENTS, _events("b"), {"x": 2})
    assert before.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    assert _ids(lake) == ["a", "b"]


def test_connect_after_a_delete_leaves_the_rows_out(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a", "b"), {"x": 1})
    lake.open(names.TABLE_EVENTS).delete("event_id = 'a'")
    assert _ids(lake) == ["b"]


def test_connect_limits_are_those_asked_for_and_large_sorts_spill(lake: Lake) -> None:
    with lake.connect(memory_limit="100MiB", threads=1) as connection:
        limits = "SELECT current_setting('memory_limit'), current_setting('threads')"
        assert connection.execute(limits).fetchone() == ("100.0 MiB", 1)
        # 3 million rows of 8 + 64 bytes are more than 200 MB, twice the limit.
        sort = "SELECT range AS n, repeat(md5(range::VARCHAR), 2) AS text FROM range(3_000_000) ORDER BY text"
        assert connection.execute(f"SELECT count(text) FROM ({sort} LIMIT 2_900_000)").fetchone() == (2_900_000,)
    assert [path.name for path in lake.root.iterdir() if path.name not in SCHEMAS] == []


def test_connect_a_wrong_limit_is_refused(lake: Lake) -> None:
    with pytest.raises(duckdb.Error, match=r"(?i)memory"):
        lake.connect(memory_limit="much")
