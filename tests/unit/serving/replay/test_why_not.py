"""Why not that: every way in which an item can miss a list has an answer that says so."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tastemaker.clock import to_us
from tastemaker.events.item import Item
from tastemaker.serving.contract import Candidate, Filters, RecommendationRequest, RuleEffect, ServedList
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.replay.finding import ItemThen
from tastemaker.serving.replay.trace import Trace
from tastemaker.serving.replay.why import why_these
from tastemaker.serving.replay.why_not import WhyNot, why_not

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOME = load_recipes()["home"]
# Ranked by score d, a, b, c; the list shows a, b, because a rule takes d out.
SERVED = ServedList(
    request_id="r",
    served_at=NOW,
    request=RecommendationRequest(user="u1", k=2, exclude=("z",)),
    release="one",
    tier="full",
    candidates=(
        Candidate(item_id="a", sources={"trending": 0.9, "two_tower": 0.2}, score=3.0),
        Candidate(item_id="b", sources={"trending": 0.8}, score=2.0),
        Candidate(item_id="d", sources={"two_tower": 0.5}, score=4.0),
        Candidate(item_id="c", sources={"trending": 0.5}, score=1.5),
    ),
    histories={"user_history": (("just", "purchase", to_us(NOW - timedelta(minutes=5))),)},
    items=("a", "b"),
    item_sources=("trending", "trending"),
    reasons=("Popular this week", "Popular this week"),
    propensities=(1.0, 1.0),
    effects=(RuleEffect(item_id="d", rule="no-d", before=1), RuleEffect(item_id="a", rule="no-d", before=2, after=1)),
    trace=Trace(recipe=HOME.version, passed_over={"co_visitation": {"p": 7, "gone": 2}}),
)


def of(item_id: str, item: Item | None = None, **changes: object) -> WhyNot:
    item = item or Item(item_id=item_id, title=item_id, created_at=NOW, category=("tea",), price=3.0)
    served = msgspec.structs.replace(SERVED, **changes)
    return why_not(served, item_id, ItemThen(True, item), HOME, None, bought=False)


def test_a_shown_item_has_its_place() -> None:
    assert of("a").answer == "it is in the list, at 1; by its score it was 2nd of 4"


def test_a_candidate_below_the_last_shown_one_has_the_distance() -> None:
    found = of("c")
    assert (
        found.answer
        == "it was a candidate (of trending) and 4th of 4 by its score, 0.5 below the last one that is shown"
    )
    assert (found.candidate.score, found.last_shown) == (1.5, 2.0)


def test_a_candidate_that_a_rule_takes_out_names_the_rule() -> None:
    assert "1st of 4 by its score; no-d took it from 1 to out of the list" in of("d").answer


def test_an_item_that_sources_named_but_ranking_never_saw_says_which_and_where() -> None:
    found = of("p")
    assert found.passed_over == {"co_visitation": 7}
    assert "co_visitation (7th)" in found.answer
    assert "only the first 4" in found.answer


def test_an_item_that_sources_named_and_a_rule_took_out_names_the_rule() -> None:
    gone = Item(item_id="gone", title="gone", created_at=NOW, available=False)
    found = of("gone", gone)
    assert found.rules == ("available",)
    assert found.answer.endswith("it could not be bought")


@pytest.mark.parametrize(
    ("item_id", "changes", "rule"),
    [
        ("z", {}, "not_excluded"),
        ("just", {}, "not_just_bought"),
        ("q", {"request": RecommendationRequest(user="u1", filters=Filters(price_max=2.0))}, "within_filters"),
        ("q", {"request": RecommendationRequest(user="u1", filters=Filters(categories=("mugs",)))}, "within_filters"),
        ("q", {"request": RecommendationRequest(user="u1", filters=Filters(bought=True))}, "within_filters"),
        ("q", {"histories": {"user_exposure": (("q", "dislike", to_us(NOW) - 1),)}}, "not_dismissed"),
    ],
)
def test_an_item_that_no_source_named_says_which_rule_would_take_it_out(
    item_id: str, changes: dict[str, object], rule: str
) -> None:
    found = of(item_id, **changes)
    assert found.rules == (rule,)
    assert "could not have been one" in found.answer


def test_an_item_that_no_source_named_says_what_would_have_been_needed() -> None:
    found = of("q")
    assert found.answer == "no source named it"
    assert set(found.needed) == {"repeat_purchase", "co_visitation", "two_tower", "trending"}
    # Of the candidates three are trending's, the least of them with 0.5.
    assert (
        found.needed["trending"]
        == "would have to sell better at present; it named 3, the least of those that were ranked with 0.5"
    )
    assert found.as_of_now == ""


def test_an_item_that_nobody_knew_says_so() -> None:
    found = why_not(SERVED, "x", ItemThen(False, None), HOME, None, bought=False)
    assert found.answer == "the lake had no such item at the time of the list"
    assert found.rules[0] == "in_catalogue"


def test_a_recipe_that_has_changed_or_gone_is_told() -> None:
    changed = of("q", trace=Trace(recipe="another"))
    assert "as of now" in changed.as_of_now
    gone = why_not(SERVED, "q", ItemThen(True, None), None, None, bought=False)
    assert "no recipe any more" in gone.as_of_now


def test_why_this_has_places_before_and_after_each_rule() -> None:
    first, second = why_these(SERVED, None, SERVED.items)
    assert (first.place, first.ranked, first.source, first.reason) == (1, 2, "trending", "Popular this week")
    assert [(one.rule, one.before, one.after) for one in first.effects] == [("no-d", 2, 1)]
    assert second.contributions == ()


def test_lists_of_before_reasons_were_logged_still_answer() -> None:
    old = msgspec.structs.replace(SERVED, reasons=(), item_sources=(), trace=None)
    (first, _) = why_these(old, None, old.items)
    assert (first.source, first.reason, dict(first.sources)) == ("", "", {"trending": 0.9, "two_tower": 0.2})
    assert (
        "was not logged"
        in why_not(
            old, "q", ItemThen(True, Item(item_id="q", title="q", created_at=NOW)), HOME, None, bought=False
        ).answer
    )
