"""Retrieval and ranking alone say what the recommender says, for whoever asks."""

import pytest
from recommender_shop import category_of, item, staple_of

from tastemaker.features.stores.protocol import StoreUnavailable
from tastemaker.serving.contract import Filters, RecommendationRequest
from tastemaker.serving.model_services.contract import (
    HistoryEvent,
    RankingRequest,
    RetrievalRequest,
    ToRank,
)
from tastemaker.serving.problems import ApiProblem

PAGES = {
    "home": {},
    "similar": {"items": ("toys-1",)},
    "bought_together": {"items": ("toys-1",)},
    "also_viewed": {"items": ("toys-1",)},
    "category": {"category": "shop/toys"},
    "search": {"items": ("toys-1", "garden-2", "toys-3"), "query": "number3"},
    "cart": {"items": ("toys-1", "toys-2")},
    "buy_again": {},
    "email": {},
}


def listed(alone, **fields) -> list[tuple[str, float]]:
    response, _ = alone.recommender.recommend(RecommendationRequest(**fields))
    return [(shown.item_id, shown.score) for shown in response.items]


@pytest.mark.parametrize("surface", PAGES)
@pytest.mark.parametrize(
    "whose", [{"user": "u3"}, {"user": "new", "session": "s1"}, {}], ids=["known", "visit", "nobody"]
)
def test_one_after_the_other_they_make_the_recommenders_list(alone, surface, whose):
    alone.opened.send("view", "toys-5", session="s1")
    found, ranked = alone.chain(RetrievalRequest(surface=surface, **PAGES[surface], **whose))
    expected = listed(alone, surface=surface, **PAGES[surface], **whose)
    assert [shown.item_id for shown in ranked.items] == [item_id for item_id, _ in expected]
    assert [shown.score for shown in ranked.items] == [score for _, score in expected]
    assert ranked.tier == found.tier == ("full" if whose else "cold_start")
    assert ranked.request_id == found.request_id
    assert ranked.retrieved_by == ""


def test_a_history_that_is_given_counts_as_one_that_is_stored(alone):
    alone.opened.send("view", "garden-3", session="s2")  # ten seconds ago
    alone.opened.send("cart_add", "garden-4", session="s2")
    stored = alone.chain(RetrievalRequest(session="s2"))
    events = (
        HistoryEvent(item_id="garden-3", type="view", age_s=10),
        HistoryEvent(item_id="garden-4", type="cart_add", age_s=10),
    )
    for request in (RetrievalRequest(history=events), RetrievalRequest(history=events[::-1], session="other")):
        given = alone.chain(request)
        assert {found.item_id for found in given[0].candidates} == {found.item_id for found in stored[0].candidates}
        assert [shown.item_id for shown in given[1].items] == [shown.item_id for shown in stored[1].items]
        assert given[1].tier == "full"


def test_a_history_takes_the_place_of_the_stored_one_and_leaves_purchases_of_long_ago(alone):
    # u3 buys office things alone; the given history is of toys.
    toys = (HistoryEvent(item_id="toys-1", type="view", age_s=5),)
    found = alone.retrieval.answer(RetrievalRequest(user="u3", history=toys))
    owned = {one.item_id for one in found.candidates if "repeat_purchase" in one.sources}
    assert {item_id.partition("-")[0] for item_id in owned} == {category_of(3)}
    assert staple_of(3) in owned
    near = sorted(found.candidates, key=lambda one: -one.sources.get("two_tower", -1.0))
    first = [one.item_id for one in near[:5]]
    assert {item_id.partition("-")[0] for item_id in first} == {"toys"}


def test_an_empty_history_is_that_of_nobody(alone):
    found, ranked = alone.chain(RetrievalRequest(history=()))
    assert (found.tier, ranked.tier) == ("cold_start", "cold_start")
    assert len(ranked.items) == 10


def test_candidates_are_as_many_as_are_asked_for_and_within_rules(alone):
    found = alone.retrieval.answer(RetrievalRequest(user="u3", limit=7))
    assert len(found.candidates) == 7
    whole = alone.retrieval.answer(RetrievalRequest(user="u3"))
    assert found.candidates == whole.candidates[:7]
    narrow = alone.retrieval.answer(
        RetrievalRequest(user="u3", filters=Filters(categories=("shop/toys",)), exclude=("toys-1", "nothing"))
    )
    ids = [one.item_id for one in narrow.candidates]
    assert {item_id.partition("-")[0] for item_id in ids} == {"toys"}
    assert "toys-1" not in ids
    assert len(ids) == 11  # the category has twelve


def test_ids_that_nobody_knows_are_left_out_and_told(alone):
    events = (HistoryEvent(item_id="gone", type="view", age_s=1), HistoryEvent(item_id="toys-1", type="view", age_s=1))
    found, ranked = alone.chain(RetrievalRequest(surface="similar", items=("toys-1", "attic"), history=events))
    assert found.unknown_items == ranked.unknown_items == ("attic", "gone")
    ranked = alone.ranking.answer(
        RankingRequest(
            user="u3", candidates=(ToRank(item_id="toys-1"), ToRank(item_id="attic"), ToRank(item_id="toys-1"))
        )
    )
    assert [shown.item_id for shown in ranked.items] == ["toys-1"]
    assert ranked.unknown_items == ("attic",)


def test_ranking_of_nothing_is_empty(alone):
    ranked = alone.ranking.answer(RankingRequest(user="u3", candidates=()))
    assert (ranked.items, ranked.tier) == ((), "full")


def test_ranking_orders_bare_ids_by_the_shopper(alone):
    ids = [f"{category}-{number}" for number in (1, 2) for category in ("toys", "garden", "kitchen", "office")]
    candidates = tuple(ToRank(item_id=item_id) for item_id in ids)
    ranked = alone.ranking.answer(RankingRequest(user="u3", candidates=candidates))
    # u3 buys office things alone.
    assert {shown.item_id for shown in ranked.items[:2]} == {"office-1", "office-2"}
    nobody = alone.ranking.answer(RankingRequest(candidates=candidates, k=3))
    assert [shown.item_id for shown in nobody.items] == ids[:3]
    assert nobody.tier_reason == "nothing is known of the shopper: in the order of the request"


def test_new_items_are_found_and_ranked_after_a_look(fresh):
    made = item("toys", 77, item_id="toys-new", title="Toys thing fresh")
    fresh.opened.change("toys-new", made)
    for model in (fresh.retrieval, fresh.ranking):
        model.refresh()
    found, ranked = fresh.chain(RetrievalRequest(surface="category", category="shop/toys", k=50))
    assert "toys-new" in {one.item_id for one in found.candidates}
    assert "toys-new" in {shown.item_id for shown in ranked.items}


def test_a_store_that_is_away_leaves_candidates_for_nobody_in_their_order(fresh, monkeypatch):
    def away(*arguments, **named):
        raise StoreUnavailable("it is away")

    for reader in fresh.readers[1:]:
        monkeypatch.setattr(reader, "history", away)
    found, ranked = fresh.chain(RetrievalRequest(user="u3"))
    assert found.tier == "popular"
    assert "it is away" in found.tier_reason
    assert [shown.item_id for shown in ranked.items] == [one.item_id for one in found.candidates[:10]]
    assert (ranked.tier, ranked.tier_reason) == (found.tier, found.tier_reason)
    ranked_alone = fresh.ranking.answer(RankingRequest(user="u3", candidates=(ToRank(item_id="toys-1"),)))
    assert ranked_alone.tier == "unranked"
    assert ranked_alone.tier_reason.endswith("in the order of the request")
    monkeypatch.undo()
    for model in (fresh.retrieval, fresh.ranking):
        model.refresh()  # closes the breaker
    assert fresh.chain(RetrievalRequest(user="u3"))[1].tier == "full"


def test_another_release_of_retrieval_is_told(alone):
    ranked = alone.ranking.answer(RankingRequest(user="u3", release="before", candidates=(ToRank(item_id="toys-1"),)))
    assert ranked.retrieved_by == "before"


@pytest.mark.parametrize(
    ("model", "request_", "field"),
    [
        ("retrieval", RetrievalRequest(surface="attic"), "instances[1].surface"),
        ("retrieval", RetrievalRequest(surface="similar"), "instances[1].items"),
        ("ranking", RankingRequest(surface="cart", candidates=()), "instances[1].items"),
        (
            "ranking",
            RankingRequest(candidates=(ToRank(item_id="a"), ToRank(item_id="b", sources={"cellar": 1.0}))),
            "instances[1].candidates[1].sources",
        ),
    ],
)
def test_what_a_surface_needs_is_told(alone, model, request_, field):
    with pytest.raises(ApiProblem) as refused:
        getattr(alone, model).check(request_, "instances[1].")
    assert (refused.value.status, refused.value.field) == (422, field)
    assert refused.value.remedy


@pytest.mark.parametrize("model", ["retrieval", "ranking"])
def test_warming_up_answers_for_every_surface(alone, model, monkeypatch):
    warmed, answered = getattr(alone, model), set()
    answer = warmed._answer

    def noted(request, order):
        answered.add(request.surface)
        return answer(request, order)

    monkeypatch.setattr(warmed, "_answer", noted)
    warmed.warm_up()
    assert answered == set(PAGES)
