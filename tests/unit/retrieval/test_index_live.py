"""The index that serves, while the catalogue changes."""

import threading

import numpy as np
import pytest
from test_retrieval_sources import query

from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.index import IndexParameters, VectorIndex
from tastemaker.retrieval.index import live as live_module
from tastemaker.retrieval.index.build import BuildParameters

NOTHING = np.zeros(0, dtype=np.int64)
HOW = IndexParameters(
    exact_limit=500, beside=20, build=BuildParameters(cells=16, iterations=3, tuning_queries=30, recall=0.9)
)


def unit(n, seed):
    found = np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors():
    return unit(1_000, 1)


@pytest.fixture
def index(vectors):
    return VectorIndex(vectors, np.ones(len(vectors), dtype=np.bool_), parameters=HOW)


def all_of(index, towards):
    return index.search(towards, 5).rows.tolist()


def test_a_small_catalogue_is_searched_exactly_and_a_large_one_by_cells(vectors, index):
    assert index.main is not None
    small = VectorIndex(vectors[:500], np.ones(500, dtype=np.bool_), parameters=HOW)
    assert small.main is None
    expected = np.argsort(-(vectors[:500] @ vectors[3]))[:5]
    assert all_of(small, vectors[3]) == expected.tolist()


def test_a_new_item_is_found_at_the_next_state_and_not_before(vectors, index):
    item = -vectors[:1]
    following = index.updated(np.concatenate([vectors, item]), np.ones(1_001, dtype=np.bool_), np.array([1_000]))
    assert all_of(following, item[0])[0] == 1_000
    assert 1_000 not in all_of(index, item[0])
    assert following.main is index.main


def test_a_changed_item_is_found_where_it_is_now_and_once(vectors, index):
    changed = vectors.copy()
    changed[7] = -vectors[7]
    following = index.updated(changed, np.ones(1_000, dtype=np.bool_), np.array([7]))
    assert all_of(following, changed[7])[0] == 7
    assert 7 not in all_of(following, vectors[7])
    found = following.search(changed[7], 1_000).rows
    assert len(np.unique(found)) == len(found)


def test_an_item_that_is_sold_out_disappears_and_comes_back(vectors, index):
    servable = np.ones(1_000, dtype=np.bool_)
    servable[7] = False
    without = index.updated(vectors, servable, np.array([7]))
    assert 7 not in all_of(without, vectors[7])
    again = without.updated(vectors, np.ones(1_000, dtype=np.bool_), np.array([7]))
    assert all_of(again, vectors[7])[0] == 7
    assert again.main is index.main


def test_filters_hold_for_the_items_beside_too(vectors, index):
    more = np.concatenate([vectors, vectors[:2]])
    following = index.updated(more, np.ones(1_002, dtype=np.bool_), np.array([1_000, 1_001]))
    allowed = Allowed.only(np.array([5, 1_001]), 1_002)
    assert sorted(following.search(vectors[0], 10, allowed=allowed).rows.tolist()) == [5, 1_001]
    assert following.retrieve(query(vector=vectors[1], allowed=allowed), 1).rows.tolist() == [1_001]


def test_many_new_items_are_taken_in_beside_the_searches(vectors, index):
    more = np.concatenate([vectors, unit(30, 2)])
    servable, changed = np.ones(1_030, dtype=np.bool_), np.arange(1_000, 1_030)
    meanwhile = index.updated(more, servable, changed)
    assert all_of(meanwhile, more[1_010])[0] == 1_010  # found before they are taken in
    meanwhile._upkeep.join()
    assert meanwhile.waiting
    # What changes while an index is made is found with the new index too.
    moved = more.copy()
    moved[1_003] = -more[1_003]
    after = meanwhile.updated(moved, servable, np.array([1_003]))
    assert not after.waiting
    assert after.main is not index.main
    assert after.main.card.items == 1_030
    assert all_of(after, moved[1_003])[0] == 1_003
    assert 1_003 not in all_of(after, more[1_003])
    for row in (3, 1_010):
        assert all_of(after, moved[row])[0] == row


def test_a_catalogue_that_grows_beyond_the_exact_limit_gets_cells_in_the_background(vectors):
    small = VectorIndex(vectors[:490], np.ones(490, dtype=np.bool_), parameters=HOW)
    grown = small.updated(vectors, np.ones(1_000, dtype=np.bool_), np.arange(490, 1_000))
    assert grown.main is None
    assert all_of(grown, vectors[900])[0] == 900
    grown._upkeep.join()
    after = grown.updated(vectors, np.ones(1_000, dtype=np.bool_), NOTHING)
    assert after.main is not None
    assert all_of(after, vectors[900])[0] == 900


def test_an_index_that_was_outgrown_learns_its_cells_anew(vectors, index):
    more = np.concatenate([vectors, unit(1_100, 3)])
    servable = np.ones(2_100, dtype=np.bool_)
    meanwhile = index.updated(more, servable, np.arange(1_000, 2_100))
    meanwhile._upkeep.join()
    after = meanwhile.updated(more, servable, NOTHING)
    assert after.main.card.built_with == 2_100


def test_an_index_that_cannot_be_made_leaves_the_present_one(vectors, index, monkeypatch, caplog):
    def fails(*_):
        raise MemoryError("there is none")

    monkeypatch.setattr(live_module, "merged", fails)
    more = np.concatenate([vectors, unit(30, 2)])
    servable = np.ones(1_030, dtype=np.bool_)
    meanwhile = index.updated(more, servable, np.arange(1_000, 1_030))
    meanwhile._upkeep.join()
    assert "cannot be made" in caplog.text
    monkeypatch.undo()
    after = meanwhile.updated(more, servable, NOTHING)
    assert after.main is index.main
    assert all_of(after, more[1_010])[0] == 1_010
    after._upkeep.join()  # it is tried again
    assert after.updated(more, servable, NOTHING).main.card.items == 1_030


def test_searches_in_other_threads_never_fail_while_indexes_are_swapped(vectors, index):
    """Each search sees one whole state: the row that it is pointed at is in its answer, whatever is swapped."""
    state, stop, failures = [index], threading.Event(), []

    def ask():
        while not stop.is_set():
            found = state[0].search(vectors[0], 3).rows
            if len(found) != 3 or found[0] != 0:
                failures.append(found)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    now, swapped = vectors, set()
    for step in range(6):
        now = np.concatenate([now, unit(25, 10 + step)])
        state[0] = state[0].updated(now, np.ones(len(now), dtype=np.bool_), np.arange(len(now) - 25, len(now)))
        state[0]._upkeep.join()
        swapped.add(id(state[0].main))
    stop.set()
    for asker in askers:
        asker.join()
    assert not failures
    assert len(swapped) > 2


def test_an_index_of_a_catalogue_without_servable_items_finds_nothing(vectors):
    empty = VectorIndex(vectors, np.zeros(1_000, dtype=np.bool_), parameters=HOW)
    assert not len(empty.search(vectors[0], 5).rows)
    assert not len(empty.updated(vectors, np.zeros(1_000, dtype=np.bool_), NOTHING).search(vectors[0], 5).rows)


def test_a_shopper_without_vector_gets_nothing(index):
    assert not len(index.retrieve(query(), 5).rows)


def test_what_it_holds_is_told(index, vectors):
    # 2 bytes for each of 8 numbers, half a byte of codes for each, 8 of id, 4 of cell, 4 of place: 36 at least.
    assert len(vectors) * 36 <= index.nbytes < len(vectors) * 60
