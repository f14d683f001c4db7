"""The sources of pages: similar items, neighbours by kind, a category's favourites, new items, what is due again."""

from dataclasses import replace

import numpy as np
import pytest
from test_retrieval_sources import floats, query, rows

from tastemaker.clock import from_us
from tastemaker.events.item import Item
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.categories import Categories
from tastemaker.retrieval.category import CategoryPopular
from tastemaker.retrieval.covisitation import Covisitation, ItemNeighbours
from tastemaker.retrieval.fresh import NewItems
from tastemaker.retrieval.given import GivenItems
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.repeat import DueAgain
from tastemaker.retrieval.similar import SimilarItems
from tastemaker.retrieval.trending import Trending, most

DAY_US = 86_400_000_000
ALL = np.ones(4, dtype=np.bool_)


def asked(**known):
    page = {name: known.pop(name) for name in ("items", "category", "now_us", "owned_due") if name in known}
    return replace(query(**known), **page)


def test_similar_items_are_near_the_mean_of_the_pages_items_and_not_these():
    vectors = np.array([[1, 0], [0, 1], [0.8, 0.6], [-1, 0]], dtype=np.float32)
    source = SimilarItems(VectorIndex(vectors, ALL), vectors)
    assert source.retrieve(asked(items=rows(0)), 2).rows.tolist() == [2, 1]
    both = source.retrieve(asked(items=rows(0, 1)), 9)
    assert both.rows.tolist() == [2, 3]
    # (1, 1) / √2 · (.8, .6) = 1.4 / √2
    np.testing.assert_allclose(both.scores[0], 1.4 / np.sqrt(2), rtol=1e-5)
    assert not len(source.retrieve(asked(), 5).rows)
    assert not len(source.retrieve(asked(items=rows(0, 3)), 5).rows)  # opposite directions point nowhere


def test_neighbours_of_a_cart_share_its_items_alike_and_name_the_one_they_go_with():
    table = Covisitation(
        np.array([[2, 3], [3, -1], [-1, -1], [-1, -1]], dtype=np.int32),
        np.array([[0.4, 0.2], [0.6, 0.0], [0.0, 0.0], [0.0, 0.0]], dtype=np.float32),
    )
    source = ItemNeighbours("bought_together", table)
    found = source.retrieve(asked(items=rows(0, 1)), 5)
    # 3: (.2 + .6) / 2 = .4; 2: .4 / 2 = .2
    assert found.rows.tolist() == [3, 2]
    np.testing.assert_allclose(found.scores, [0.4, 0.2], rtol=1e-6)
    assert source.because(asked(items=rows(0, 1)), found.rows) == {3: 1, 2: 0}


def test_nearest_neighbours_are_those_of_a_sum_over_the_whole_table():
    rng = np.random.default_rng(3)
    items = rng.integers(-1, 40, (40, 6)).astype(np.int32)
    weights = rng.integers(1, 4, (40, 6)).astype(np.float32)  # whole numbers, so that many sums tie
    table = Covisitation(items, weights)
    for asked_rows in (rows(1), rows(1, 5, 9), rows(7, 99, 3, 8, 20, 21)):
        share = np.full(len(asked_rows), 0.5, dtype=np.float32)
        sums = np.zeros(40)
        for row in asked_rows[asked_rows < 40]:  # 99 is newer than the table
            for neighbour, weight in zip(items[row], weights[row], strict=True):
                if neighbour >= 0:
                    sums[neighbour] += weight / 2
        best = sorted(np.flatnonzero(sums > 0).tolist(), key=lambda row, sums=sums: (-sums[row], row))
        for n in (1, 3, 100):
            found = table.nearest(asked_rows, share, n)
            assert found.rows.tolist() == best[:n]
            np.testing.assert_allclose(found.scores, sums[best[:n]])
        np.testing.assert_allclose(table.of(rows(*range(42)), asked_rows, share), [*sums, 0.0, 0.0])


def test_most_popular_takes_the_lowest_rows_of_a_tie():
    popularity = floats(1, 5, 3, 3, 3, 9)
    assert most(np.arange(6), popularity, 4).tolist() == [5, 1, 2, 3]
    assert most(np.arange(6), popularity, 0).tolist() == []
    assert most(np.arange(6), popularity, 10).tolist() == [5, 1, 2, 3, 4, 0]


def test_trending_beyond_its_head_is_the_whole_order():
    popularity = np.random.default_rng(1).integers(0, 50, 5_000).astype(np.float32)
    found = Trending(popularity, np.ones(5_000, dtype=np.bool_)).retrieve(asked(), 5_000).rows
    assert found.tolist() == np.lexsort((np.arange(5_000), -popularity)).tolist()


def test_categories_find_what_is_below_a_path_and_not_what_begins_alike():
    categories = Categories()
    codes = [categories.code(path) for path in (("a",), ("a", "b"), ("ab",), ("a", "b", "c"))]
    assert codes == [0, 1, 2, 3]
    assert categories.within("a").tolist() == [0, 1, 3]
    assert categories.within("a/b").tolist() == [1, 3]
    assert categories.within("x").tolist() == []
    categories.code(("a", "d"))
    assert categories.within("a").tolist() == [0, 1, 3, 4]
    assert categories.code(()) == -1


def test_popular_in_a_category_is_of_the_page_else_of_its_item():
    categories = Categories()
    leaf = np.array([categories.code(path) for path in (("a",), ("a", "b"), ("c",), ())])
    source = CategoryPopular(categories, leaf, np.array([True, True, True, True]), floats(0.1, 0.9, 1.0, 0.5))
    assert source.retrieve(asked(category="a"), 5).rows.tolist() == [1, 0]
    assert source.retrieve(asked(items=rows(2)), 5).rows.tolist() == [2]
    assert source.retrieve(asked(category="a", items=rows(2)), 1).rows.tolist() == [1]
    for nothing in (asked(), asked(category="x"), asked(items=rows(3))):
        assert not len(source.retrieve(nothing, 5).rows)


def test_new_items_are_young_and_first_those_that_are_like_the_shopper():
    created = np.array([0, 95, 99, 98], dtype=np.int64) * DAY_US
    source = NewItems(created, np.array([True, True, True, False]), np.eye(4, dtype=np.float32))
    assert source.retrieve(asked(now_us=100 * DAY_US), 5).rows.tolist() == [2, 1]
    liked = asked(now_us=100 * DAY_US, vector=floats(1, 1, 0, 0))
    assert source.retrieve(liked, 5).rows.tolist() == [1, 2]
    assert not len(source.retrieve(asked(now_us=200 * DAY_US), 5).rows)


def test_due_again_puts_what_is_due_before_what_was_just_bought():
    known = asked(owned=rows(4, 5, 6), owned_scores=floats(2.0, 2.0, 1.0), owned_due=floats(0.1, 1.5, np.nan))
    found = DueAgain().retrieve(known, 5)
    # 2 × .1 = .2, 2 × 1 = 2, 1 × .5 = .5
    assert found.rows.tolist() == [5, 6, 4]
    np.testing.assert_allclose(found.scores, [2.0, 0.5, 0.2], rtol=1e-6)
    assert not len(DueAgain().retrieve(asked(), 5).rows)


def test_given_items_keep_their_order_and_are_not_more_than_given():
    found = GivenItems().retrieve(asked(items=rows(9, 2, 5)), 2)
    assert found.rows.tolist() == [9, 2]
    np.testing.assert_allclose(found.scores, [1.0, 2 / 3], rtol=1e-6)


def item(item_id: str, **changes) -> Item:
    return Item(**{"item_id": item_id, "title": item_id, "created_at": from_us(DAY_US), "price": 2.0} | changes)


def encode(items, codes):
    return np.full((len(items), 2), 0.5, dtype=np.float32)


@pytest.mark.parametrize("looked", [True, False], ids=["columns known", "columns not known"])
def test_a_changed_catalogue_has_the_columns_of_one_made_anew(looked):
    known = (
        item("a", category=("x",), brand="acme"),
        item("b", available=False, attributes={"stock": "3", "margin": "much"}),
    )
    first = Catalogue(("a", "b"), known, np.eye(2, dtype=np.float32), 2)
    columns = ("present", "servable", "leaf", "brand", "stock", "margin", "price", "log_price", "created_us")
    if looked:
        for name in columns:
            getattr(first, name)
    new = item("c", category=("x",), brand="bolt", attributes={"stock": "0", "margin": "1.5"})
    changes = [("a", item("a", category=("y",), brand="bolt", price=None)), ("c", new), ("b", None)]
    following = first.updated(changes, encode)
    anew = Catalogue(following.item_ids, following.items, following.vectors, 2)
    for name in columns:
        if name not in {"leaf", "brand"}:
            np.testing.assert_array_equal(getattr(following, name), getattr(anew, name))
    named = [following.categories.paths[code] if code >= 0 else () for code in following.leaf]
    assert named == [("y",), (), ("x",)]
    assert [following.brands.paths[code] if code >= 0 else () for code in following.brand] == [("bolt",), (), ("bolt",)]
    np.testing.assert_array_equal(following.stock, np.array([np.nan, np.nan, 0.0], dtype=np.float32))
    np.testing.assert_array_equal(following.margin, np.array([np.nan, np.nan, 1.5], dtype=np.float32))


def test_two_states_that_follow_one_know_their_own_items_alone():
    first = Catalogue(("a",), (item("a"),), np.eye(1, 2, dtype=np.float32), 1)
    left, right = first.updated([("l", item("l"))], encode), first.updated([("r", item("r"))], encode)
    assert [left.row(name) for name in "alr"] == [0, 1, -1]
    assert [right.row(name) for name in "alr"] == [0, -1, 1]
    assert first.rows(["a", "l", "r"]).tolist() == [0, -1, -1]
    assert first.row("l") == -1
