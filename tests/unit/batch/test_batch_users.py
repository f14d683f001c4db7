"""Whose lists a batch makes: each once, ordered, from the lake or a file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker import names
from tastemaker.batch.run import run_batch
from tastemaker.batch.users import user_slices, write_users
from tastemaker.errors import DataError
from tastemaker.lake.tables import Lake
from tests.unit.batch.batch_shop import NOW, batch, fill, made


@pytest.fixture
def lake(tmp_path):
    return fill(Lake(tmp_path / "lake"), ["b", "a", None, "é", "b", "10", "9"])


def write(path, values, column="user_id", kind=None):
    pq.write_table(pa.table({column: pa.array(values, kind)}), path)
    return path


def found(path, size=100):
    return [user for users in user_slices(path, size) for user in users]


def test_users_of_the_lake_are_there_once_in_the_order_of_their_ids(tmp_path, lake):
    assert write_users(lake, None, None, tmp_path / "users") == 5
    assert found(tmp_path / "users") == ["10", "9", "a", "b", "é"]  # as bytes: digits, letters, others


def test_a_limit_takes_the_first_ids(tmp_path, lake):
    assert write_users(lake, None, 2, tmp_path / "users") == 2
    assert found(tmp_path / "users") == ["10", "9"]


def test_an_erased_user_is_left_out(tmp_path, lake):
    lake.open(names.TABLE_EVENTS).delete("user_id = 'b'")
    write_users(lake, None, None, tmp_path / "users")
    assert found(tmp_path / "users") == ["10", "9", "a", "é"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["u2", "u1", "u2", None, "nobody"], pa.string(), ["nobody", "u1", "u2"]),
        ([3, 1, 3, 20], pa.int64(), ["1", "20", "3"]),  # ids are text
        ([], pa.string(), []),
    ],
    ids=["duplicates and nulls", "numbers", "empty"],
)
def test_users_of_a_file_are_taken_once_known_or_not(tmp_path, lake, values, kind, expected):
    file = write(tmp_path / "some users' file.parquet", values, kind=kind)
    assert write_users(lake, file, None, tmp_path / "users") == len(expected)
    assert found(tmp_path / "users") == expected


def test_an_empty_file_makes_an_empty_table_of_lists(tmp_path, lake):
    for out in (tmp_path / "out", tmp_path / "lists.parquet"):
        nobody = write(tmp_path / "users.parquet", [], kind=pa.string())
        result = run_batch(batch(out, users=nobody), lake, NOW, lambda at: made)
        assert (result.manifest.users, result.manifest.finished) == (0, {})
        table = pq.read_table(out / "part-000000.parquet" if out.is_dir() else out)
        assert (table.num_rows, table.column_names[0]) == (0, "user_id")


def test_another_file_of_users_does_not_resume_a_batch(tmp_path, lake):
    file = write(tmp_path / "users.parquet", ["u1"])
    run_batch(batch(tmp_path / "out", users=file), lake, NOW, lambda at: made)
    write(file, ["u1", "u2"])
    with pytest.raises(DataError, match="the users' origin was 'file "):
        run_batch(batch(tmp_path / "out", users=file, resume=True), lake, NOW, lambda at: made)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_slices_hold_every_user_once(tmp_path, lake, size):
    write_users(lake, None, None, tmp_path / "users")
    slices = list(user_slices(tmp_path / "users", size))
    assert [len(users) for users in slices[:-1]] == [size] * (len(slices) - 1)
    assert found(tmp_path / "users", size) == ["10", "9", "a", "b", "é"]


def test_slices_cross_row_groups(tmp_path):
    ids = [f"{number:03}" for number in range(25)]
    pq.write_table(pa.table({"user_id": ids}), tmp_path / "users", row_group_size=7)
    assert list(user_slices(tmp_path / "users", 10)) == [ids[:10], ids[10:20], ids[20:]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.parquet", None, "there is no file of users"),
        ("text.parquet", b"u1\nu2\n", "is no Parquet file"),
        ("column.parquet", ("customer", ["u1"]), "has no column user_id, but customer"),
        ("long.parquet", ("user_id", ["u" * 257, "u1"]), "1 of the users in .*more than 256 characters"),
        ("nothing.parquet", ("user_id", [""]), "an empty id"),
    ],
)
def test_a_file_that_will_not_do_is_refused_in_words(tmp_path, lake, name, content, said):
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        write(file, content[1], content[0])
    with pytest.raises(DataError, match=said):
        run_batch(batch(tmp_path / "out", users=file), lake, NOW, lambda at: made)


def test_a_lake_without_users_is_told(tmp_path):
    with pytest.raises(DataError, match="import data first"):
        write_users(Lake(tmp_path / "none"), None, None, tmp_path / "users")
    with pytest.raises(DataError, match="name no user"):
        write_users(fill(Lake(tmp_path / "visits"), [None]), None, None, tmp_path / "users")
