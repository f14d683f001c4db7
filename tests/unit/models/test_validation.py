import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import PROTOCOLS
from tastemaker.models.validation import Validation, guess_protocol, validation_part


def histories(users, items, times=None, n_items=10):
    n_users = max(users) + 1 if users else 0
    return Histories.of(users, items, n_users=n_users, n_items=n_items, times=times)


def of_user(part: Histories, user: int) -> list[int]:
    return part.items[part.offsets[user] : part.offsets[user + 1]].tolist()


def pairs(part: Histories) -> set[tuple[int, int]]:
    return set(zip(part.rows.tolist(), part.items.tolist(), strict=True))


def many(seed: int, n: int = 600, n_users: int = 60, n_items: int = 12, timed: bool = True) -> Histories:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.random(n)) * 1000 if timed else None
    return Histories.of(
        rng.integers(0, n_users, n), rng.integers(0, n_items, n), n_users=n_users, n_items=n_items, times=times
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(PROTOCOLS), st.sampled_from([None, 1.0, 3.0]))
def test_every_protocol_gives_answerable_questions(seed, protocol, relevant_per_user):
    part = validation_part(many(seed), seed=seed, protocol=protocol, relevant_per_user=relevant_per_user, users=20)
    assert part.protocol == protocol
    assert part.history.n_users == part.relevant.n_users <= 20
    assert (part.history.lengths > 0).all()
    assert (part.relevant.lengths > 0).all()
    assert len(pairs(part.relevant)) == len(part.relevant.items)
    assert (part.train.popularity()[part.relevant.items] > 0).all()
    assert part.history.now is not None
    assert (part.history.times <= np.repeat(part.history.now, part.history.lengths)).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_seed_holds_out_the_same(protocol):
    one, other = (validation_part(many(5), seed=3, protocol=protocol, users=15) for _ in range(2))
    for field in ("train", "history", "relevant"):
        assert np.array_equal(getattr(one, field).items, getattr(other, field).items)
        assert np.array_equal(getattr(one, field).offsets, getattr(other, field).offsets)


def test_random_items_are_held_out_with_all_their_interactions_also_of_users_who_are_not_asked_about():
    full = many(1, timed=False)
    part = validation_part(full, seed=0, users=10)
    assert part.protocol == "random"
    assert part.train.n_users == full.n_users
    assert part.history.n_users == 10
    # A user lost pairs, never a part of one: what is left is disjoint from what is asked for.
    distinct = np.diff(full.matrix(binary=True).indptr)
    assert (part.train.lengths < full.lengths)[distinct >= 3].all()
    assert (part.train.lengths == full.lengths)[distinct < 3].all()
    before, after = pairs(full), pairs(part.train)
    lost = before - after
    for user, item in lost:
        assert item not in of_user(part.train, user)


def test_random_takes_the_share_that_the_test_has():
    # 200 users with 20 items each; the test has 5 per user: a share of 5 / 25 of what there was, 4 of these 20.
    users = np.repeat(np.arange(200), 20)
    items = np.tile(np.arange(20), 200)
    full = Histories.of(users, items, n_users=200, n_items=20)
    part = validation_part(full, seed=0, relevant_per_user=5, users=200)
    assert part.relevant.lengths.mean() == pytest.approx(4, abs=0.5)


def test_the_last_item_of_every_user_is_held_out():
    full = histories([0, 0, 0, 1, 1, 2], [1, 2, 3, 3, 2, 3], times=[0, 1, 2, 0, 1, 0])
    part = validation_part(full, seed=0, protocol="last-one")
    assert [of_user(part.train, user) for user in range(3)] == [[1, 2], [3], [3]]
    # User 2 has nothing to spare.
    assert [of_user(part.history, row) for row in range(2)] == [[1, 2], [3]]
    assert [of_user(part.relevant, row) for row in range(2)] == [[3], [2]]
    assert part.history.now.tolist() == [1, 0]


def test_last_items_are_as_many_as_the_test_has_per_user():
    full = histories([0] * 6 + [1] * 6, [0, 1, 2, 3, 4, 5, 4, 5, 0, 1, 2, 3], times=[*range(6), *range(6)])
    part = validation_part(full, seed=0, protocol="last-one", relevant_per_user=1.8)
    assert of_user(part.relevant, 0) == [4, 5]


def test_a_window_as_long_as_the_tests_is_held_out_and_all_are_asked_at_its_start():
    full = histories([0, 0, 0, 1, 1, 2], [1, 2, 1, 2, 1, 1], times=[0, 5, 9, 1, 8, 9])
    part = validation_part(full, seed=0, protocol="temporal", horizon=2)
    # The cut is 9 - 2 = 7: user 0 goes on with item 1, which it had before, and user 1 with item 1; nothing is known
    # of user 2 before the cut.
    assert part.train.lengths.tolist() == [2, 1, 0]
    assert [of_user(part.relevant, row) for row in range(part.relevant.n_users)] == [[1], [1]]
    assert part.history.now.tolist() == [7, 7]


def test_a_window_that_would_leave_little_to_learn_from_is_shortened():
    part = validation_part(many(2), seed=0, protocol="temporal", horizon=900)
    assert len(part.train.items) >= 300


def test_sessions_are_held_out_whole_and_asked_about_at_every_prefix():
    users = np.repeat(np.arange(20), 3)
    items = np.tile([1, 2, 3], 20)
    times = np.arange(60)
    full = Histories.of(users, items, n_users=20, n_items=5, times=times)
    part = validation_part(full, seed=0, protocol="session", users=4)
    # At most every tenth of 20 users: the last two, with two prefixes each.
    assert part.train.n_users == 20
    assert part.train.lengths.tolist() == [3] * 18 + [0] * 2
    assert [of_user(part.history, row) for row in range(4)] == [[1], [1, 2]] * 2
    assert [of_user(part.relevant, row) for row in range(4)] == [[2], [3]] * 2
    assert part.history.now.tolist() == [54, 55, 57, 58]


def test_sessions_are_asked_for_all_that_follows_where_the_test_is():
    users = np.repeat(np.arange(20), 3)
    full = Histories.of(users, np.tile([1, 2, 3], 20), n_users=20, n_items=5, times=np.arange(60))
    part = validation_part(full, seed=0, protocol="session", users=4, relevant_per_user=2.5)
    assert [of_user(part.relevant, row) for row in range(2)] == [[2, 3], [3]]


def test_sessions_without_times_are_asked_for_random_items_of_users_that_training_lacks():
    part = validation_part(many(3, timed=False), seed=0, protocol="session", users=50)
    out = np.flatnonzero(part.train.lengths == 0)
    assert len(out) >= part.history.n_users >= 1


@pytest.mark.parametrize(
    ("made", "protocol"),
    [
        (histories([0, 0, 1], [0, 1, 1]), "random"),
        (histories([], [], times=[]), "random"),
        (histories([0, 0, 1, 1, 1], [0, 1, 1, 2, 3], times=[0, 1, 0, 1, 2]), "last-one"),
        (histories([0, 0, 1, 1], [0, 1, 1, 2], times=[0, 1, 9_000, 9_001]), "session"),
        (histories([0, 0, 1, 1], [0, 1, 1, 2], times=[0, 8_000, 500, 9_001]), "temporal"),
    ],
)
def test_the_protocol_is_guessed_from_the_times(made, protocol):
    assert guess_protocol(made) == protocol


def test_a_protocol_is_refused_that_does_not_exist_or_needs_times():
    with pytest.raises(DataError, match="it is one of random"):
        validation_part(many(0), seed=0, protocol="k-fold")
    with pytest.raises(DataError, match="needs times"):
        validation_part(many(0, timed=False), seed=0, protocol="temporal")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_too_little_to_hold_out_is_an_error(protocol):
    with pytest.raises(DataError, match="longer histories"):
        validation_part(histories([0, 1], [0, 1], times=[0, 1]), seed=0, protocol=protocol)


def test_the_parts_are_of_one_catalogue():
    part: Validation = validation_part(many(4), seed=0)
    assert part.train.n_items == part.history.n_items == part.relevant.n_items == 12
