from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.evaluation.benchmark.storage import load_task, save_task
from tastemaker.evaluation.benchmark.task import build

INTS = {"user_id": [1, 1, 2, 2], "item_id": [10, 20, 20, 30]}


def of_user(part, user):
    return part.items[part.offsets[user] : part.offsets[user + 1]].tolist()


def test_users_and_items_are_coded_in_the_order_of_their_ids(files):
    train = files.write("train", user_id=["b", "a", "b"], item_id=["y", "y", "x"])
    test = files.write("test", user_id=["b", "a"], item_id=["y", "x"])
    task = build(train, test)
    # Users a, b; items x = 0, y = 1.
    assert [of_user(task.train, user) for user in (0, 1)] == [[1], [1, 0]]
    assert [of_user(task.history, user) for user in (0, 1)] == [[1], [1, 0]]
    assert [of_user(task.relevant, user) for user in (0, 1)] == [[0], [1]]
    assert task.protocol == "random"


def test_what_cannot_count_is_dropped_and_counted(files):
    train = files.write("train", **INTS)
    test = files.write("test", user_id=[1, 1, 1, 3, 9], item_id=[30, 30, 99, 10, 99])
    task = build(train, test)
    # User 1: item 30 (twice) and an unknown one; user 3 is new; user 9 has an unknown item only.
    assert task.facts["test_users"] == 2
    assert task.facts["test_users_without_known_item"] == 1
    assert task.facts["dropped_test_rows_of_unknown_items"] == 2
    assert task.facts["dropped_test_rows_repeated"] == 1
    assert task.facts["test_users_without_history"] == 1
    assert [of_user(task.relevant, user) for user in (0, 1)] == [[2], [0]]
    assert of_user(task.history, 1) == []


def test_a_given_history_takes_the_place_of_the_rows_in_train(files):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4])
    history = files.write("history", user_id=[7, 7, 7, 8], item_id=[30, 10, 99, 10], timestamp=[9, 8, 7, 7])
    test = files.write("test", user_id=[7], item_id=[20], timestamp=[10])
    task = build(train, test, history)
    assert task.protocol == "session"
    assert of_user(task.history, 0) == [0, 2]
    assert task.history.now.tolist() == [9]
    assert task.facts["dropped_history_rows_of_unknown_items"] == 1


def test_sessions_that_are_numbered_as_those_of_train_are_others(files):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4])
    history = files.write("history", user_id=[1, 2], item_id=[30, 10], timestamp=[7, 8])
    test = files.write("test", user_id=[1, 2], item_id=[20, 20], timestamp=[8, 9])
    task = build(train, test, history)
    assert task.protocol == "session"
    assert task.history.now.tolist() == [7, 8]


def test_a_history_that_goes_on_after_train_moves_the_moment_of_asking(files):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4])
    history = files.write("history", user_id=[1, 1, 1], item_id=[10, 20, 30], timestamp=[1, 2, 6])
    task = build(train, files.write("test", user_id=[1], item_id=[30], timestamp=[7]), history)
    assert task.protocol == "temporal"
    assert task.history.now.tolist() == [6]


def test_users_whom_nobody_knows_are_asked_at_the_end_of_train(files):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4])
    task = build(train, files.write("test", user_id=[7], item_id=[20], timestamp=[10]))
    assert task.history.lengths.tolist() == [0]
    assert task.history.now.tolist() == [4]


@pytest.mark.parametrize(
    ("test_users", "test_times", "protocol", "horizon"),
    [
        ([1, 2], [5, 9], "temporal", 5.0),  # all after 4, the end of train; 9 - 4
        ([1, 2], [3, 5], "last-one", None),  # after each user's own end, 2 and 4
        ([1, 2], [0, 0], "random", None),  # before them
        ([1, 2], None, "last-one", None),  # one each, of everybody
        ([1, 1], None, "temporal", None),
    ],
)
def test_the_protocol_is_found_from_the_times(files, test_users, test_times, protocol, horizon):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4])
    columns = {"user_id": test_users, "item_id": [30, 10]} | ({"timestamp": test_times} if test_times else {})
    task = build(train, files.write("test", **columns))
    assert (task.protocol, task.horizon) == (protocol, horizon)
    # At a cut everybody is asked at the end of train, else each at the end of the own history.
    assert task.history.now.tolist()[0] == (4 if protocol == "temporal" else 2)


@pytest.mark.parametrize(("items", "expected"), [([1, 2, 3, 4], True), ([1, 1, 3, 4], False)])
def test_seen_items_are_left_out_unless_train_repeats(files, items, expected):
    train = files.write("train", user_id=[1, 1, 2, 2], item_id=items)
    test = files.write("test", user_id=[1], item_id=[3])
    assert build(train, test).exclude_seen is expected
    assert build(train, test, exclude_seen=not expected).exclude_seen is not expected


def test_one_kind_of_event_is_no_kind(files):
    test = files.write("test", user_id=[1], item_id=[10])
    one = build(files.write("a", **INTS, event_type=["buy"] * 4), test)
    assert one.train.types is None
    two = build(files.write("b", **INTS, event_type=["buy", "view", "buy", "buy"]), test)
    assert two.train.type_names == ("buy", "view")
    assert two.train.types.tolist() == [0, 1, 0, 0]


def test_items_are_described_in_the_order_of_their_codes(files):
    items = files.write(
        "items",
        item_id=[30, 10, 99],
        category=[["home", "lamp"], ["garden"], ["x"]],
        price=[3, 1, 9],
        title=["c", None, "z"],
        vector=[[3.0, 0.0], [1.0, 0.0], [9.0, 0.0]],
        created_at=[5.0, None, 1.0],
        colour=["red"] * 3,
    )
    task = build(files.write("train", **INTS), files.write("test", user_id=[1], item_id=[30]), items=items)
    assert task.items.num_rows == 3
    assert task.items["category"].to_pylist() == ["garden", None, "home > lamp"]
    assert task.items["price"].to_pylist() == [1, None, 3]
    assert task.items["vector"].to_pylist() == [[1, 0], None, [3, 0]]
    assert task.items["created_at"].to_pylist() == [None, None, 5]
    assert "colour" not in task.items.column_names
    assert task.facts["described_items"] == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"item_id": [10, 10], "title": ["a", "b"]}, "2 rows have the item_id 10"),
        ({"item_id": ["10"], "title": ["a"]}, "strings, the train table holds integers"),
        ({"item_id": [10], "price": ["cheap"]}, "give numbers"),
        ({"item_id": [10, 20], "vector": [[1.0], [1.0, 2.0]]}, "the same length"),
        ({"item_id": [10], "vector": [[float("nan")]]}, "NaN"),
        ({"item_id": [10], "vector": ["[1, 2]"]}, "lists of numbers"),
        ({"item_id": [10], "colour": ["red"]}, "leave --items out"),
        ({"item_id": [10], "title": [{"de": "Lampe"}]}, "give strings"),
    ],
)
def test_a_bad_items_file_is_refused(files, columns, message):
    train, test = files.write("train", **INTS), files.write("test", user_id=[1], item_id=[30])
    with pytest.raises(DataError, match=message):
        build(train, test, items=files.write("items", **columns))


def test_items_and_interactions_need_one_unit_of_time(files):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4])
    items = files.write("items", item_id=[10], created_at=[datetime(2024, 1, 1)])  # noqa: DTZ001
    with pytest.raises(DataError, match="one unit"):
        build(train, files.write("test", user_id=[1], item_id=[30]), items=items)


@pytest.mark.parametrize(
    ("test", "history", "message"),
    [
        ({"user_id": ["1"], "item_id": [10]}, None, "holds strings"),
        ({"user_id": [1], "item_id": ["10"]}, None, "holds strings"),
        ({"user_id": [1], "item_id": [99]}, None, "no row has an item of"),
        ({"user_id": [1], "item_id": [10], "timestamp": [datetime(2024, 1, 1)]}, None, "times in the other"),  # noqa: DTZ001
        ({"user_id": [1], "item_id": [10]}, {"user_id": [1], "item_id": [10]}, "has the column timestamp"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(files, test, history, message):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4])
    with pytest.raises(DataError, match=message):
        build(train, files.write("test", **test), files.write("history", **history) if history else None)


def test_a_task_comes_back_from_files_as_it_was(files, tmp_path):
    train = files.write("train", **INTS, timestamp=[1, 2, 3, 4], event_type=["a", "b", "a", "b"], weight=[1, 2, 3, 4])
    items = files.write("items", item_id=[10], vector=[[1.0, 2.0]], title=["t"])
    task = build(train, files.write("test", user_id=[1], item_id=[30], timestamp=[9]), items=items)
    save_task(task, tmp_path / "task")
    back = load_task(tmp_path / "task")
    for part in ("train", "history", "relevant"):
        one, other = getattr(task, part), getattr(back, part)
        for name in ("offsets", "items", "weights", "times", "types", "now"):
            assert np.array_equal(getattr(one, name), getattr(other, name)) or getattr(one, name) is getattr(
                other, name
            )
        assert (one.n_items, one.type_names) == (other.n_items, other.type_names)
    assert back.items.equals(task.items)
    assert (back.exclude_seen, back.protocol, back.horizon, back.facts) == (True, "temporal", 5.0, task.facts)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), min_size=1, max_size=20),
)
def test_what_is_relevant_is_what_the_test_says_of_known_items(tmp_path_factory, train, test):
    import pyarrow.parquet as pq

    directory = tmp_path_factory.mktemp("t")
    for name, rows in (("train", train), ("test", test)):
        users, items = zip(*rows, strict=True)
        pq.write_table(pa.table({"user_id": users, "item_id": items}), directory / f"{name}.parquet")
    known = sorted({item for _, item in train})
    wanted = {(user, item) for user, item in test if item in known}
    if not wanted:
        with pytest.raises(DataError):
            build(directory / "train.parquet", directory / "test.parquet")
        return
    task = build(directory / "train.parquet", directory / "test.parquet")
    users = sorted({user for user, _ in wanted})
    found = {(users[r], known[i]) for r, i in zip(task.relevant.rows, task.relevant.items, strict=True)}
    assert found == wanted
    for row, user in enumerate(users):
        assert sorted(known[i] for i in of_user(task.history, row)) == sorted(i for u, i in train if u == user)
