"""What every model of the registry promises. A new line there is tested here without a change."""

import inspect
import time
from functools import cache
from typing import Any

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext, Model
from tastemaker.models.ranking import rank
from tastemaker.models.registry import MODELS, create, load_class

# Enough to learn the little data here; what is left out keeps its default.
QUICK: dict[str, dict[str, Any]] = {
    "ials": {"dim": 16},
    "lightgbm-ranker": {"trees": 40, "leaves": 7},
    "two-tower": {"layers": 1, "dimension": 16, "epochs": 15},
    "tastemaker": {"sources": ("popularity", "item-knn", "co-visitation")},
}
# Of these the lists do not depend on what other users have in common with the one who asks.
IMPERSONAL = {"popularity", "recent-popularity", "own-frequency"}
CONTEXT = FitContext(seed=3)

GROUPS, SIZE = 6, 10
N_ITEMS = GROUPS * SIZE


def walks(users: int, *, seed: int, ordered: bool = True) -> Histories:
    """Users who walk through one group of items each, one item on at every step, six steps, one in ten a stray.

    What comes next for a user is known: other items of the group, the next one on first of all.
    """
    rng = np.random.default_rng(seed)
    steps = np.arange(6)
    codes = rng.integers(0, GROUPS, users)[:, None] * SIZE + (rng.integers(0, SIZE, users)[:, None] + steps) % SIZE
    stray = rng.random(codes.shape) < 0.1
    codes[stray] = rng.integers(0, N_ITEMS, int(stray.sum()))
    moments = 100.0 * np.arange(users)[:, None] + steps
    return Histories.of(
        np.repeat(np.arange(users), 6),
        codes.ravel(),
        n_users=users,
        n_items=N_ITEMS,
        times=moments.ravel() if ordered else None,
    )


def quick(name: str) -> Model:
    return create(name, **QUICK.get(name, {}))


@cache
def fitted(name: str) -> Model:
    return quick(name).fit(walks(300, seed=1), CONTEXT)


def asked(*rows: list[int], ordered: bool = True) -> Histories:
    """Histories of users that no model was fitted on."""
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = [item for row in rows for item in row]
    times = 40_000.0 + np.arange(len(items)) if ordered else None
    return Histories.of(users, items, n_users=len(rows), n_items=N_ITEMS, times=times).at(50_000.0)


pytestmark = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in {"two-tower", "tastemaker"} else ()) for name in MODELS],
)


def test_model_is_what_the_protocol_says(name: str) -> None:
    model = quick(name)
    assert isinstance(model, Model)
    assert model.name == name


@pytest.mark.parametrize("ordered", [True, False])
def test_space_values_construct_and_hold_the_default(name: str, *, ordered: bool) -> None:
    found = load_class(name)
    defaults = inspect.signature(found.__init__).parameters
    for parameter, values in found.space(walks(5, seed=1, ordered=ordered)).items():
        assert len(set(values)) == len(values) >= 2
        if parameter in defaults and defaults[parameter].default != "auto":
            assert defaults[parameter].default in values
        for value in values:
            create(name, **{parameter: value})


def test_score_shape_type_and_no_infinities(name: str) -> None:
    scores = fitted(name).score(asked([3, 4, 5], [], [7], [2, 2, 2, 2], list(range(N_ITEMS)) * 3))
    assert scores.shape == (5, N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_score_of_nobody_is_empty(name: str) -> None:
    assert fitted(name).score(asked()).shape == (0, N_ITEMS)


def test_score_changes_neither_the_histories_nor_the_model(name: str) -> None:
    model = fitted(name)
    histories = asked([3, 4, 5], [11, 3, 11])
    before = [histories.items.copy(), histories.weights.copy(), histories.offsets.copy()]
    first = model.score(histories)
    again = model.score(histories)
    np.testing.assert_array_equal(first, again)
    for old, new in zip(before, [histories.items, histories.weights, histories.offsets], strict=True):
        np.testing.assert_array_equal(old, new)


def test_score_may_be_written_to(name: str) -> None:
    model = fitted(name)
    kept = model.score(asked([3, 4]))
    model.score(asked([3, 4]))[:] = -np.inf  # ranking does so with what was seen
    np.testing.assert_array_equal(model.score(asked([3, 4])), kept)


def test_score_does_not_depend_on_who_else_asks(name: str) -> None:
    model = fitted(name)
    together = model.score(asked([3, 4, 5], [], [40, 41]))
    for place, row in enumerate(([3, 4, 5], [], [40, 41])):
        alone = model.score(asked(row).at(50_000.0))[0]
        assert np.corrcoef(alone, together[place])[0, 1] > 0.9999 or np.allclose(alone, together[place])


def test_same_seed_same_scores(name: str) -> None:
    other = quick(name).fit(walks(300, seed=1), CONTEXT)
    histories = walks(20, seed=5)
    np.testing.assert_allclose(other.score(histories), fitted(name).score(histories), rtol=1e-4, atol=1e-5)


def test_learns_the_groups_from_users_it_never_saw(name: str) -> None:
    if name in IMPERSONAL:
        pytest.skip("does not learn what users have in common")
    histories = asked(*[[g * SIZE + (s + step) % SIZE for step in range(4)] for g in range(GROUPS) for s in (0, 5)])
    first = rank(fitted(name), histories, 1, exclude_seen=True)[:, 0]
    assert ((first // SIZE) == np.repeat(np.arange(GROUPS), 2)).mean() > 0.8  # by chance: six of 56


def test_lists_are_not_worse_than_those_of_popularity(name: str) -> None:
    histories = walks(200, seed=8).at(50_000.0)
    first = histories.last(6)
    newest = np.zeros(len(first.items), bool)
    newest[first.offsets[1:] - 1] = True
    truth = first.items[newest]

    def hits(model: Model) -> float:
        return float((rank(model, first.where(~newest), 5, exclude_seen=True) == truth[:, None]).any(axis=1).mean())

    # Items are equally popular here, so popularity is chance; 200 users leave it a deviation of .02.
    assert hits(fitted(name)) >= hits(fitted("popularity")) - 0.06


def test_without_order_it_works_or_asks_for_a_timestamp(name: str) -> None:
    model = quick(name)
    try:
        model.fit(walks(200, seed=1, ordered=False), CONTEXT)
    except DataError as refused:
        assert "timestamp" in str(refused)  # noqa: PT017 - refusing is one of two right answers
        return
    scores = model.score(asked([3, 4, 5], [], ordered=False))
    assert scores.shape == (2, N_ITEMS)
    assert np.isfinite(scores).all()


def test_nothing_to_learn_from_is_refused(name: str) -> None:
    with pytest.raises(DataError):
        quick(name).fit(Histories.of([], [], n_users=3, n_items=4, times=[]), CONTEXT)


@pytest.mark.parametrize(
    "train",
    [
        Histories.of([0, 0, 0, 0], [0, 1, 2, 1], n_users=1, n_items=3, times=[1, 2, 3, 4]),
        Histories.of([0, 1, 1, 2], [0, 0, 0, 0], n_users=3, n_items=1, times=[1, 1, 2, 3]),
        Histories.of([0, 0, 1, 1], [0, 1, 0, 1], n_users=4, n_items=3, times=[1, 1, 1, 1]),
    ],
    ids=["one user", "one item", "one moment, users without interactions, an item that nobody took"],
)
def test_hardly_any_data_is_learned_or_refused(name: str, train: Histories) -> None:
    model = quick(name)
    try:
        model.fit(train, CONTEXT)
    except DataError as refused:
        assert str(refused)  # noqa: PT017 - refusing is one of two right answers
        return
    scores = model.score(train)
    assert scores.shape == (train.n_users, train.n_items)
    assert np.isfinite(scores).all()


def test_deadline_that_has_passed_still_gives_a_model(name: str) -> None:
    if name == "tastemaker":
        pytest.skip("chooses by measuring: it refuses a deadline that leaves no time for that")
    context = FitContext(seed=3, deadline=time.monotonic() - 1.0)
    scores = quick(name).fit(walks(300, seed=1), context).score(asked([3, 4], []))
    assert np.isfinite(scores).all()
