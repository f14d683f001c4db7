"""A ranking is given again to an identical request, and never after anything that it was made from has changed."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from recommender_shop import CUT, OpenShop, Shop, StoppedClock, item

from tastemaker.clock import to_us
from tastemaker.serving.contract import Filters, RecommendationRequest
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.recommender import Recommender
from tastemaker.serving.rerank.rule import Rule, Where
from tastemaker.serving.rerank.rule_log import RuleLog
from tastemaker.serving.rerank.rule_watch import RuleWatch

HOME = RecommendationRequest(user="u4", session="s4", k=5)
NOBODY = RecommendationRequest(k=5)


class Asking:
    """A recommender that may give rankings again for five seconds, on a clock that is set by hand."""

    def __init__(self, shop: Shop, opened: OpenShop, **options) -> None:
        self.opened = opened
        self.made = Recommender(
            shop.trained.directory,
            opened.recommender._reader,
            StoppedClock(to_us(CUT)),
            repeat_s=5.0,
            **options,
        )
        opened.recommender = self.made  # whose refresh follows changed items

    def __call__(self, request: RecommendationRequest) -> tuple[str, list[str]]:
        response, record = self.made.answer(request)
        assert response.repeated == (record.kept == "hit")
        return record.kept, [item.item_id for item in response.items]

    def later(self, **pause) -> None:
        clock = self.made._clock
        self.made._clock = StoppedClock(clock.offset_us + timedelta(**pause) // timedelta(microseconds=1))


@pytest.fixture
def ask(shop: Shop, opened: OpenShop) -> Asking:
    return Asking(shop, opened)


@pytest.mark.parametrize("request_", [HOME, NOBODY], ids=["shopper", "nobody"])
def test_the_same_request_gets_the_same_list_with_an_id_and_a_log_of_its_own(ask, request_):
    first, record = ask.made.answer(request_)
    again, again_record = ask.made.answer(request_)
    assert (record.kept, again_record.kept) == ("miss", "hit")
    assert again.items == first.items
    assert again.tier == first.tier
    assert (first.repeated, again.repeated) == (False, True)
    assert first.request_id != again.request_id
    logged, logged_again = record.build(), again_record.build()
    assert logged_again.repeated
    assert logged_again.request_id == again.request_id
    same = ("candidates", "features", "feature_names", "histories", "items", "propensities", "rules", "effects")
    assert {name: getattr(logged_again, name) for name in same} == {name: getattr(logged, name) for name in same}
    # Neither found nor ranked again, but read (for the comparison), put together and explained.
    assert set(logged_again.stages) == {"context", "rerank", "explain"}


def test_an_event_of_the_shopper_or_their_visit_is_seen_by_the_very_next_list(ask):
    before = [ask(HOME), ask(HOME)]
    assert [kept for kept, _ in before] == ["miss", "hit"]
    for number, whose in enumerate(({"user": "u4"}, {"session": "s4"})):
        ask.opened.send("cart_add", f"toys-{number}", **whose)
        kept, items = ask(HOME)
        assert kept == "changed"
        ask.made._parts.repeats.clear()
        assert ask(HOME) == ("miss", items)  # what is made from nothing kept
        assert items != before[0][1]
        assert ask(HOME) == ("hit", items)


def test_an_event_of_somebody_else_changes_nothing(ask):
    ask(HOME)
    ask.opened.send("view", "toys-1", user="u9")
    assert ask(HOME)[0] == "hit"


@pytest.mark.parametrize(
    "changed",
    [
        {"k": 4},
        {"exclude": ("garden-1",)},
        {"filters": Filters(price_max=20.0)},
        {"surface": "email"},
        {"session": "s5"},
        {"explain": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_request_is_ranked_for_itself(ask, changed):
    ask(HOME)
    assert ask(msgspec.structs.replace(HOME, **changed))[0] == "miss"
    assert ask(HOME)[0] == "hit"


def test_time_ends_it(ask):
    ask(HOME)
    ask.later(seconds=4.9)
    assert ask(HOME)[0] == "hit"  # and that does not begin another five seconds
    ask.later(seconds=0.2)
    assert ask(HOME)[0] == "changed"


def test_a_changed_item_ends_it(ask):
    _, items = ask(NOBODY)
    category, number = items[0].split("-")
    ask.opened.change(items[0], item(category, int(number), available=False))
    kept, without = ask(NOBODY)
    assert kept == "changed"
    assert items[0] not in without


def test_a_changed_rule_ends_it(shop, opened, tmp_path):
    path = tmp_path / "rules.jsonl"
    ask = Asking(shop, opened, rules=RuleWatch(path))
    _, items = ask(NOBODY)
    assert ask(NOBODY)[0] == "hit"
    gone = Rule(id="gone", kind="exclude", owner="merchandising", where=Where(item_ids=(items[0],)))
    RuleLog(path).add([gone], who="merchandising", at=CUT, why="a test")
    ask.made.refresh()
    kept, without = ask(NOBODY)
    assert kept == "changed"
    assert items[0] not in without


def test_lower_tiers_and_stale_features_are_not_kept(ask, monkeypatch):
    failing = replace(ask.made._parts, ranker=lambda matrix: 1 / 0)
    monkeypatch.setattr(ask.made, "_parts", failing)
    assert ask(HOME)[0] == ""
    assert ask(HOME)[0] == ""
    ask.made._stale_after_ns = -1
    assert ask(NOBODY)[0] == ""


def test_never_by_default_and_never_for_longer_than_there_is_room(shop, opened, ask):
    assert opened.recommender is ask.made
    offline = Recommender(shop.trained.directory, ask.made._reader, StoppedClock(to_us(CUT)))
    assert [offline.answer(HOME)[1].kept for _ in range(2)] == ["", ""]
    ask.made._parts.repeats._capacity = 2
    for user in ("u1", "u2", "u3"):
        ask(msgspec.structs.replace(HOME, user=user))
    assert [ask(msgspec.structs.replace(HOME, user=user))[0] for user in ("u3", "u1")] == ["hit", "miss"]


def test_metrics_tell_hits_misses_and_changes(ask):
    metrics = ServingMetrics()
    for request in (HOME, HOME, NOBODY):
        metrics.count_list("home", *ask.made.answer(request))
    ask.opened.send("view", "toys-1", user="u4")
    metrics.count_list("home", *ask.made.answer(HOME))
    counted = {
        outcome: metrics.registry.get_sample_value("tastemaker_repeats_total", {"outcome": outcome})
        for outcome in ("hit", "miss", "changed")
    }
    assert counted == {"hit": 1.0, "miss": 2.0, "changed": 1.0}
