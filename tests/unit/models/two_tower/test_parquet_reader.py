"""Histories from Parquet in batches."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.errors import DataError
from tastemaker.models.two_tower.parquet_reader import histories_from_parquet


def _written(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "events.parquet", row_group_size=2)
    return folder / "events.parquet"


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_rows_become_histories_in_order_of_time(tmp_path: Path, batch_rows: int) -> None:
    path = _written(
        tmp_path,
        user_id=["b", "a", "b", "a", "b"],
        item_id=["x", "z", "y", "x", "x"],
        timestamp=[3, 1, 1, 0, 2],
        event_type=["view", "cart", "view", "view", "cart"],
        weight=[1.0, 2.0, 3.0, 4.0, 5.0],
    )
    read = histories_from_parquet(path, batch_rows=batch_rows)
    assert read.users.to_pylist() == ["a", "b"]
    assert read.items.to_pylist() == ["x", "y", "z"]
    histories = read.histories
    # a: x at 0, z at 1; b: y at 1, x at 2, x at 3.
    assert histories.offsets.tolist() == [0, 2, 5]
    assert histories.items.tolist() == [0, 2, 1, 0, 0]
    assert histories.weights.tolist() == [4.0, 2.0, 3.0, 5.0, 1.0]
    assert histories.times is not None
    assert histories.times.tolist() == [0, 1, 1, 2, 3]
    assert histories.types is not None
    assert [histories.type_names[kind] for kind in histories.types] == ["view", "cart", "view", "cart", "view"]


def test_times_may_be_moments_and_ids_numbers(tmp_path: Path) -> None:
    moments = [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC)]
    path = _written(tmp_path, user_id=[9, 9], item_id=[70, 7], timestamp=pa.array(moments, pa.timestamp("ms", "UTC")))
    read = histories_from_parquet(path)
    assert read.items.to_pylist() == [7, 70]
    assert read.histories.items.tolist() == [1, 0]
    assert read.histories.times is not None
    np.testing.assert_array_equal(np.diff(read.histories.times), [1_000_000])  # one second in microseconds


def test_without_timestamps_there_is_no_order(tmp_path: Path) -> None:
    read = histories_from_parquet(_written(tmp_path, user_id=[1, 1], item_id=[2, 3]))
    assert read.histories.times is None
    assert read.histories.types is None


def test_an_empty_table_has_nobody(tmp_path: Path) -> None:
    path = _written(tmp_path, user_id=pa.array([], pa.int64()), item_id=pa.array([], pa.int64()))
    assert histories_from_parquet(path).histories.n_users == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": [1]}, "item_id"),
        ({"user_id": [1, None], "item_id": [1, 2]}, "user_id"),
        ({"user_id": [1], "item_id": [1], "timestamp": ["yesterday"]}, "timestamp"),
        ({"user_id": [1], "item_id": [1], "weight": pa.array([None], pa.float64())}, "weight"),
    ],
)
def test_unusable_columns_are_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        histories_from_parquet(_written(tmp_path, **columns))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        histories_from_parquet(tmp_path / "nothing.parquet")
