import numpy as np
import pytest
from msgspec.structs import replace
from recommender_shop import (
    CATEGORIES,
    CUT,
    PER_CATEGORY,
    USERS,
    StoppedClock,
    category_of,
    item,
    staple_of,
)

from tastemaker import names
from tastemaker.clock import Clock, to_us
from tastemaker.errors import DataError, ServingError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.recommender import Recommender
from tastemaker.serving.release import load_release
from tastemaker.training.pipeline import train_release
from tastemaker.training.served_rankings import served_rankings


def ask(opened, **fields):
    return opened.recommender.recommend(RecommendationRequest(**fields))


def ids(response):
    return [shown.item_id for shown in response.items]


def test_every_shopper_gets_their_category_with_the_staple_at_the_top(shop):
    users = [f"u{user}" for user in range(USERS)]
    plan = FeaturePlan.load(shop.settings.plan_path)
    lists = served_rankings(shop.settings, shop.trained.directory, plan, CUT, user_ids=users, k=10)
    own = [sum(shown.startswith(category_of(u)) for shown in lists[f"u{u}"]) for u in range(USERS)]
    # Shoppers buy from one of four categories of twelve: a list of 10 can be all theirs, and chance gives 2.5.
    assert np.mean(own) >= 9.5
    # Within the ranker's 28 days a shopper buys the staple for certain, any other item with chance 1 - (11/12)^4 = .29.
    assert np.mean([lists[f"u{u}"][0] == staple_of(u) for u in range(USERS)]) >= 0.95


def test_stored_features_of_training_equal_those_of_serving(shop):
    trained, served = shop.trained.ranking_set.trained, shop.trained.ranking_set.served
    assert trained.shape == served.shape
    assert len(trained) > 100
    np.testing.assert_array_equal(trained, served)


def test_two_loads_of_a_release_give_the_same_list(shop, opened, tmp_path):
    again = shop.open(tmp_path / "again.sqlite")
    first, second = ask(opened, user="u3")[0], ask(again, user="u3")[0]
    assert [(shown.item_id, shown.score) for shown in first.items] == [
        (shown.item_id, shown.score) for shown in second.items
    ]
    again.state.close()


def test_unknown_user_gets_popular_items_and_is_told_so(opened):
    response, served = ask(opened, user="stranger")
    assert response.tier == served.tier == "cold_start"
    assert "stranger" in response.tier_reason
    assert len(response.items) == 10
    assert {shown.reason for shown in response.items} == {"Popular in the last 28 days"}
    assert {shown.source for shown in response.items} == {"trending"}


def test_nobody_in_particular_gets_popular_items(opened):
    response, _ = ask(opened)
    assert response.tier == "cold_start"
    assert "no user" in response.tier_reason


def test_known_user_gets_the_full_tier_without_a_reason_for_less(opened):
    response, _ = ask(opened, user="u3")
    assert (response.tier, response.tier_reason) == ("full", "")


def test_one_look_of_an_unknown_session_makes_a_list_of_its_category(opened):
    opened.send("view", "toys-1", session="s1")
    response, _ = ask(opened, session="s1")
    assert response.tier == "full"
    assert sum(shown.startswith("toys") for shown in ids(response)) >= 8
    assert any("Toys thing number1" in shown.reason for shown in response.items)


def test_a_click_changes_the_next_list_and_is_its_reason(opened):
    before = ids(ask(opened, user="u0")[0])
    assert not any(shown.startswith("office") for shown in before)
    opened.send("cart_add", "office-2", user="u0", session="s1")
    response, _ = ask(opened, user="u0", session="s1")
    lifted = [shown for shown in response.items if shown.item_id.startswith("office")]
    assert lifted
    assert all("in your cart: Office thing number2" in shown.reason for shown in lifted if shown.item_id != "office-2")


def test_a_click_says_nothing_anymore_hours_later(shop, tmp_path):
    from datetime import timedelta

    opened = shop.open(tmp_path / "online.sqlite")
    opened.send("cart_add", "office-2", user="u0")
    later = shop.open(tmp_path / "online.sqlite", now=CUT + timedelta(hours=4))
    later.send("cart_add", "office-3", user="u4")
    _, served = ask(later, user="u0")
    lift = served.feature_names.index("intent_lift")
    assert all(values[lift] == 0 for values in served.features.values())
    opened.state.close()
    later.state.close()


def test_excluded_items_do_not_appear_and_are_counted(opened):
    before = ids(ask(opened, user="u1")[0])
    response, served = ask(opened, user="u1", exclude=tuple(before[:3]))
    assert not set(before[:3]) & set(ids(response))
    assert len(response.items) == 10
    assert served.rules["not_excluded"] >= 3


def test_unavailable_item_disappears_and_comes_back(opened):
    first = ids(ask(opened, user="u1")[0])[0]
    category, number = first.split("-")
    opened.change(first, item(category, int(number), available=False))
    response, served = ask(opened, user="u1", k=40)
    assert first not in ids(response)
    assert served.rules["available"] == 1
    opened.change(first, item(category, int(number)))
    assert first in ids(ask(opened, user="u1")[0])


def test_removed_item_disappears_from_every_list(opened):
    first = ids(ask(opened, user="u1")[0])[0]
    assert opened.recommender.knows_item(first)
    opened.change(first, None)
    assert not opened.recommender.knows_item(first)
    assert first not in ids(ask(opened, user="u1", k=40)[0])
    assert first not in ids(ask(opened, k=48)[0])


def test_new_item_is_recommended_by_its_content(opened):
    opened.change("kitchen-new", item("kitchen", 99, item_id="kitchen-new", title="Kitchen thing fresh"))
    assert opened.recommender.knows_item("kitchen-new")
    places = {}
    for user in ("u0", "u1"):  # of kitchen, of garden
        _, served = ask(opened, user=user, k=40)
        found = {candidate.item_id: place for place, candidate in enumerate(served.candidates)}
        places[user] = found.get("kitchen-new", len(found))
    # After the twelve kitchen items that u0 may have bought before, and before everything else.
    assert places["u0"] <= PER_CATEGORY + 2
    assert places["u0"] < places["u1"]


def test_list_is_as_long_as_the_catalogue_allows(opened):
    assert len(ask(opened, user="u1", k=48)[0].items) == len(CATEGORIES) * PER_CATEGORY
    assert len(ask(opened, user="stranger", k=100)[0].items) == len(CATEGORIES) * PER_CATEGORY


def test_repeat_purchases_are_explained_with_their_number(opened):
    response, _ = ask(opened, user="u2")
    staple = next(shown for shown in response.items if shown.item_id == staple_of(2))
    # u2 buys on days 2, 9, … 93, 100 > 99 no more: 14 times, the staple once each.
    assert staple.reason == "You bought this 14 times"
    assert staple.source == "repeat_purchase"


def test_served_list_says_what_was_answered(opened):
    response, served = ask(opened, user="u2", k=5)
    assert served.request_id == response.request_id
    assert served.items == tuple(ids(response))
    assert served.items == tuple(candidate.item_id for candidate in served.candidates[:5])
    assert [candidate.score for candidate in served.candidates] == sorted(
        (candidate.score for candidate in served.candidates), reverse=True
    )
    assert set(served.features) == set(served.items)
    assert all(len(values) == len(served.feature_names) for values in served.features.values())
    assert served.propensities == (1.0,) * 5
    assert served.served_at == CUT


def test_explained_items_bring_source_scores_and_feature_values(opened):
    shown = ask(opened, user="u2", explain=True)[0].items[0]
    assert shown.details is not None
    assert shown.details["source.repeat_purchase"] > 0
    assert shown.details["user_item_purchases"] == 14
    assert ask(opened, user="u2")[0].items[0].details is None


def test_release_of_other_declarations_is_refused(shop, tmp_path):
    plan = FeaturePlan.load(shop.settings.plan_path)
    other = FeaturePlan(views=plan.views[1:], services=plan.services)
    opened = shop.open(tmp_path / "online.sqlite")
    with pytest.raises(ServingError, match="feature plan"):
        Recommender(shop.trained.directory, FeatureReader(tmp_path / "online.sqlite", other), Clock())
    opened.state.close()


def test_release_reads_a_view_that_has_features_more_than_it_was_trained_with(shop, opened):
    plan = FeaturePlan.load(shop.settings.plan_path)
    owned = plan.view(names.VIEW_USER_ITEM_ACTIVITY)
    newer = next(feature for feature in owned.features if feature.function == "count")
    newer = replace(newer, name="added", types=("like",))  # in the first place, so that all others move by one
    wider = replace(owned, features=(newer, *owned.features))
    other = replace(plan, views=tuple(wider if view.name == wider.name else view for view in plan.views))
    before = ids(ask(opened, user="u2")[0])
    state = FeatureState(opened.state.store, other, lake=Lake(shop.settings.lake_dir))
    while state.building:
        state.build_step(Lake(shop.settings.lake_dir))
    reader = FeatureReader(opened.state.store.reader(), other)
    recommender = Recommender(shop.trained.directory, reader, StoppedClock(to_us(CUT)))
    response, served = recommender.recommend(RecommendationRequest(user="u2", explain=True))
    assert ids(response) == before
    assert response.items[0].details["user_item_purchases"] == 14
    assert "added" not in served.feature_names


def test_empty_directory_is_no_release(tmp_path):
    with pytest.raises(ServingError, match=r"no release.*tastemaker train"):
        load_release(tmp_path)


def test_release_of_another_format_is_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"format": 99}')
    with pytest.raises(ServingError, match="format 99"):
        load_release(tmp_path)


def test_release_is_written_once(shop):
    plan = FeaturePlan.load(shop.settings.plan_path)
    with pytest.raises(DataError, match="not empty"):
        train_release(shop.settings, plan, CUT, shop.trained.directory, seed=1)
