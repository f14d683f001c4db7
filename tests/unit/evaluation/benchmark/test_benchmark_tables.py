from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.benchmark.tables import as_moments, read_interactions, read_table

DAY = 86_400.0


def test_all_columns_are_read(files):
    path = files.write(
        "t",
        user_id=[1, 2],
        item_id=["a", "b"],
        timestamp=[5, 6],
        event_type=["view", "buy"],
        weight=[1, 2.5],
        other=[0, 0],
    )
    rows = read_interactions(path)
    assert len(rows) == 2
    assert rows.users.to_pylist() == [1, 2]
    assert rows.items.to_pylist() == ["a", "b"]
    assert rows.times.tolist() == [5, 6]
    assert rows.times_are_numbers
    assert rows.types.to_pylist() == ["view", "buy"]
    assert rows.weights.tolist() == [1, 2.5]


def test_optional_columns_may_be_absent(files):
    rows = read_interactions(files.write("t", user_id=["u"], item_id=[7]))
    assert (rows.times, rows.types, rows.weights) == (None, None, None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([0, 1], pa.timestamp("ms")), [0, 0.001]),
        (pa.array([datetime(1970, 1, 2, tzinfo=UTC)], pa.timestamp("us", "UTC")), [DAY]),
        (pa.array([date(1970, 1, 3)], pa.date32()), [2 * DAY]),
        (pa.array([timedelta(minutes=1)], pa.duration("ns")), [60]),
        (pa.array(["1970-01-01 00:00:01", "1970-01-02"]), [1, DAY]),
    ],
)
def test_times_become_seconds(values, expected):
    found, numbers = as_moments(pa.chunked_array([values]), "t")
    assert found.tolist() == expected
    assert not numbers


@pytest.mark.parametrize("values", [pa.array([3, 2**63 - 1]), pa.array([1.5, -2.0]), pa.array([Decimal("2.50")])])
def test_numbers_stay_what_they_are(values):
    found, numbers = as_moments(pa.chunked_array([values]), "t")
    assert found.tolist() == [float(value) for value in values.to_pylist()]
    assert numbers


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("user_id", pa.array([1, None]), "1 of 2 values are missing; drop those rows"),
        ("item_id", pa.array([1.0, 2.0]), "not double .*cast the column"),
        ("item_id", pa.array([2**64 - 1, 0], pa.uint64()), "does not fit into 64 bits"),
        ("user_id", pa.array([True, False]), "not bool"),
        ("timestamp", pa.array([1.0, float("nan")]), "1 values are NaN or infinite"),
        ("timestamp", pa.array(["yesterday", "today"]), "no ISO 8601 time"),
        ("timestamp", pa.array([True, False]), "give numbers or times"),
        ("weight", pa.array([1.0, float("nan")]), "row 1 first"),
        ("weight", pa.array([0.0, 1.0]), "0 or below, row 0 first"),
        ("weight", pa.array(["a", "b"]), "give numbers above 0"),
        ("event_type", pa.array([[1], [2]]), "give strings"),
    ],
)
def test_a_bad_column_is_named_with_its_remedy(files, column, values, message):
    columns = {"user_id": [1, 2], "item_id": [1, 2]} | {column: values}
    with pytest.raises(DataError, match=message) as caught:
        read_interactions(files.write("bad", **columns))
    assert "bad.parquet" in str(caught.value)
    assert column in str(caught.value)


def test_ids_of_any_integer_or_dictionary_type_are_read(files):
    path = files.write("t", user_id=pa.array([1, 2], pa.uint8()), item_id=pa.array(["a", "b"]).dictionary_encode())
    rows = read_interactions(path)
    assert rows.users.type == pa.int64()
    assert rows.items.to_pylist() == ["a", "b"]


def test_a_csv_file_is_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("user_id,item_id,timestamp\nu,1,2024-01-01\nv,2,2024-01-02\n")
    rows = read_interactions(path)
    assert np.diff(rows.times).tolist() == [DAY]


def test_a_missing_file_a_directory_and_a_wrong_format_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.parquet", ("a",))
    with pytest.raises(DataError, match="is a directory"):
        read_table(tmp_path, ("a",))
    wrong = tmp_path / "wrong.parquet"
    wrong.write_text("not Parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_table(wrong, ("a",))


def test_missing_and_doubled_columns_and_no_rows_are_refused(files, tmp_path):
    with pytest.raises(DataError, match="no column item_id; it has user_id, product"):
        read_interactions(files.write("t", user_id=[1], product=[1]))
    with pytest.raises(DataError, match="no rows"):
        read_interactions(files.write("t", user_id=pa.array([], pa.int64()), item_id=pa.array([], pa.int64())))
    twice = tmp_path / "twice.csv"
    twice.write_text("user_id,item_id,item_id\n1,2,3\n")
    with pytest.raises(DataError, match="more than once"):
        read_interactions(twice)
