import numpy as np
import pytest

from tastemaker.retrieval.blend import blend
from tastemaker.retrieval.covisitation import Covisitation
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.repeat import RepeatPurchases
from tastemaker.retrieval.source import Query
from tastemaker.retrieval.trending import Trending

ALL = np.ones(4, dtype=np.bool_)


def rows(*values):
    return np.array(values, dtype=np.int64)


def floats(*values):
    return np.array(values, dtype=np.float32)


def query(**known):
    nothing = dict.fromkeys(("anchors", "habits", "intent", "owned"), rows())
    nothing |= dict.fromkeys(("anchor_weights", "habit_weights", "intent_weights", "owned_scores"), floats())
    return Query(**{"vector": None, **nothing, **known})


@pytest.fixture
def table():
    # 0 goes with 1 (.5) and 2 (.2); 1 goes with 0 (.4); 2 goes with 3 (.9); 3 with nothing.
    items = np.array([[1, 2], [0, -1], [3, -1], [-1, -1]], dtype=np.int32)
    weights = np.array([[0.5, 0.2], [0.4, 0.0], [0.9, 0.0], [0.0, 0.0]], dtype=np.float32)
    return Covisitation(items, weights)


def test_covisitation_sums_the_neighbourhoods_of_the_anchors(table):
    asked = query(anchors=rows(0, 2), anchor_weights=floats(0.5, 0.5))
    found = table.retrieve(asked, 10)
    # 3: .5 × .9 = .45; 1: .5 × .5 = .25; 2: .5 × .2 = .1; 0 is nobody's neighbour here.
    assert found.rows.tolist() == [3, 1, 2]
    np.testing.assert_allclose(found.scores, [0.45, 0.25, 0.1], rtol=1e-6)
    assert table.because(found.rows, asked.anchors, asked.anchor_weights) == {3: 2, 1: 0, 2: 0}


def test_covisitation_knows_nothing_of_items_that_training_did_not_know(table):
    new = 7
    assert not len(table.retrieve(query(anchors=rows(new), anchor_weights=floats(1.0)), 10).rows)
    assert table.of(rows(new, 1), rows(0), floats(1.0)).tolist() == [0.0, 0.5]


def test_covisitation_names_the_anchor_with_the_largest_share(table):
    both = query(anchors=rows(0, 1), anchor_weights=floats(0.1, 0.9))
    assert table.because(rows(0, 1), both.anchors, both.anchor_weights) == {0: 1, 1: 0}


def test_index_finds_what_points_the_same_way_and_only_what_is_servable():
    vectors = np.eye(4, dtype=np.float32)
    servable = np.array([True, True, False, True])
    towards_two = floats(0.1, 0.2, 0.9, 0.3)
    found = VectorIndex(vectors, servable).retrieve(query(vector=towards_two), 2)
    assert found.rows.tolist() == [3, 1]
    np.testing.assert_allclose(found.scores, [0.3, 0.2])


def test_index_has_nothing_for_a_shopper_without_vector():
    assert not len(VectorIndex(np.eye(4, dtype=np.float32), ALL).retrieve(query(), 2).rows)


def test_index_of_an_empty_catalogue_answers_nothing():
    empty = VectorIndex(np.eye(4, dtype=np.float32), ~ALL)
    assert not len(empty.retrieve(query(vector=floats(1, 0, 0, 0)), 2).rows)


def test_repeat_orders_by_decayed_count_and_breaks_ties_by_row():
    found = RepeatPurchases().retrieve(query(owned=rows(5, 2, 9), owned_scores=floats(1.0, 1.0, 3.0)), 2)
    assert found.rows.tolist() == [9, 2]


def test_trending_is_relative_to_the_most_popular_and_leaves_out_what_is_not_servable():
    source = Trending(floats(2, 8, 4, 0), np.array([True, False, True, True]))
    found = source.retrieve(query(), 2)
    assert found.rows.tolist() == [2, 0]
    assert found.scores.tolist() == [0.5, 0.25]


def test_trending_of_a_shop_without_sales_lists_items_in_order():
    assert Trending(floats(0, 0, 0, 0), ALL).retrieve(query(), 3).rows.tolist() == [0, 1, 2]


def test_blend_keeps_each_item_once_with_the_scores_of_all_its_sources(table):
    asked = query(anchors=rows(0), anchor_weights=floats(1.0), owned=rows(1), owned_scores=floats(2.0))
    trending = Trending(floats(1, 2, 3, 4), ALL)
    quotas = {"repeat_purchase": 5, "co_visitation": 5, "trending": 2}
    found = blend([RepeatPurchases(), table, trending], quotas, asked)
    # Turns: repeat 1; co-visitation 1 (known), 2; trending 3, 2.
    assert found.rows.tolist() == [1, 3, 2]
    assert found.sources == ("repeat_purchase", "co_visitation", "trending")
    expected = [[2.0, 0.5, np.nan], [np.nan, np.nan, 1.0], [np.nan, 0.2, 0.75]]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


def test_blend_does_not_ask_a_source_without_quota(table):
    found = blend([table, Trending(floats(1, 2, 3, 4), ALL)], {"trending": 1}, query())
    assert found.rows.tolist() == [3]
    assert set(found.retrieved) == {"trending"}


def test_blend_of_nothing_is_empty():
    found = blend([RepeatPurchases()], {"repeat_purchase": 5}, query())
    assert found.rows.shape == (0,)
    assert found.scores.shape == (0, 1)
