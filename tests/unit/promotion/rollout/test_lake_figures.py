"""Figures of a step, from rows of the lake: each shopper on the side that they are assigned to."""

from datetime import timedelta

import msgspec
import pytest
from rollout_parts import BEGAN, policy

from tastemaker import names
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.promotion.rollout.figures import Shadowed
from tastemaker.promotion.rollout.lake_figures import lake_figures
from tastemaker.promotion.rollout.state import Rollout
from tastemaker.release.split import assigned
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.stream.decode import ConsumedList
from tastemaker.stream.rows import served_list_rows

OURS = next(f"u{n}" for n in range(100) if assigned("r2", f"u{n}", None, 0.5))
THEIRS = next(f"u{n}" for n in range(100) if not assigned("r2", f"u{n}", None, 0.5))
NOW = BEGAN + timedelta(hours=1)


def rollout(step: int = 3, since=BEGAN) -> Rollout:
    return Rollout(
        id="1",
        candidate="r2",
        bento="recommender:r2",
        champion="r1",
        policy=policy().model_dump(mode="json"),
        phase="watching",
        step=step,
        journal=(),
        since=since,
    )


class Shop:
    def __init__(self, lake: Lake) -> None:
        self.lake, self.count = lake, 0
        lake.create()

    def served(self, user=OURS, release="r2", minute=1.0, session=None, **fields) -> str:
        self.count += 1
        request_id = fields.pop("request_id", f"q{self.count}")
        served = ServedList(
            request_id=request_id,
            served_at=BEGAN + timedelta(minutes=minute),
            request=RecommendationRequest(user=user, session=session),
            release=release,
            tier=fields.pop("tier", "full"),
            items=fields.pop("items", ("i1", "i2")),
            **fields,
        )
        row = ConsumedList(served, msgspec.json.encode(served), 0, self.count)
        self.lake.append(names.TABLE_SERVED_LISTS, served_list_rows([row]), {"test": self.count})
        return request_id

    def event(self, request_id: str, kind: str, minute: float) -> None:
        import pyarrow as pa

        self.count += 1
        at = BEGAN + timedelta(minutes=minute)
        row = dict.fromkeys(SCHEMAS[names.TABLE_EVENTS].names) | {
            names.EVENT_ID: f"e{self.count}",
            names.TYPE: kind,
            names.USER_ID: OURS,
            names.ITEM_ID: "i1",
            names.REQUEST_ID: request_id,
            names.OCCURRED_AT: at,
            names.INGESTED_AT: at,
            names.PARTITION: 0,
            names.OFFSET: self.count,
        }
        rows = pa.Table.from_pylist([row], schema=SCHEMAS[names.TABLE_EVENTS])
        self.lake.append(names.TABLE_EVENTS, rows, {"test": self.count})


@pytest.fixture
def shop(tmp_path):
    return Shop(Lake(tmp_path / "lake"))


def seen(shop, step: int = 3) -> dict:
    """By side, the sums of what its shoppers met."""
    found = lake_figures(shop.lake, rollout(step), NOW)
    return {
        side: {"users": int(of.sum()), "lists": int(found.lists[of].sum())}
        | {name: int(counts[of].sum()) for name, counts in found.outcomes.items()}
        | {name: int(flags[of].sum()) for name, flags in found.bad.items()}
        for side, of in (("ours", found.candidate), ("theirs", ~found.candidate))
    }


def test_nothing_served_is_nothing_seen(shop, tmp_path):
    assert lake_figures(shop.lake, rollout(), NOW).requests == 0
    assert lake_figures(Lake(tmp_path / "new"), rollout(), NOW).requests == 0
    assert lake_figures(shop.lake, rollout(since=None), NOW).requests == 0


def test_lists_clicks_and_carts_are_counted_by_shopper(shop):
    first = shop.served(minute=1)
    second = shop.served(minute=2, latency_us=60_000)
    third = shop.served(user=THEIRS, release="r1", minute=3)
    for kind, minute in (("view", 1.5), ("view", 1.6), ("cart_add", 1.7)):
        shop.event(first, kind, minute)
    shop.event(second, "impression", 2.1)  # seen is not clicked
    shop.event(third, "view", 3.1)
    nothing = {"errors": 0, "empty_lists": 0, "tiers": 0}
    assert seen(shop) == {
        "ours": {"users": 1, "lists": 2, "slow": 1, "clicked": 1, "carted": 1} | nothing,
        "theirs": {"users": 1, "lists": 1, "slow": 0, "clicked": 1, "carted": 0} | nothing,
    }


def test_a_list_counts_once_its_clicks_have_had_their_time_and_so_does_a_click(shop):
    young = shop.served(minute=55)  # the attribution is ten minutes, and it is minute 60
    old = shop.served(minute=1)
    shop.event(young, "view", 56)
    shop.event(old, "view", 12)  # eleven minutes later
    assert (seen(shop)["ours"]["lists"], seen(shop)["ours"]["clicked"]) == (1, 0)


def test_lists_of_before_the_step_of_other_releases_and_of_nobody_are_left_out(shop):
    shop.served(minute=-1)
    shop.served(release="r7")
    shop.served(user=None)
    assert lake_figures(shop.lake, rollout(), NOW).requests == 0


def test_a_list_that_was_logged_twice_counts_once(shop):
    shop.served(request_id="q")
    shop.served(request_id="q")
    assert seen(shop)["ours"]["lists"] == 1


def test_where_the_champion_stood_in_it_is_an_error_of_the_candidate(shop):
    shop.served(release="r1", stands_in_for="r2")
    assert seen(shop)["ours"]["errors"] == 1
    assert seen(shop)["theirs"]["lists"] == 0


def test_empty_lists_and_lower_tiers_are_told_apart(shop):
    shop.served(items=())
    shop.served(tier="popular")
    shop.served(tier="cold_start", user=THEIRS, release="r1")
    assert (seen(shop)["ours"]["empty_lists"], seen(shop)["ours"]["tiers"]) == (1, 1)
    assert (seen(shop)["theirs"]["empty_lists"], seen(shop)["theirs"]["tiers"]) == (0, 0)


def test_visits_without_a_user_are_shoppers_of_their_own(shop):
    for session in ("s1", "s2", "s2"):
        shop.served(user=None, session=session, release="r1")
    found = lake_figures(shop.lake, rollout(), NOW)
    assert sorted(found.lists.tolist()) == [1, 2]
    assert set(found.candidate.tolist()) <= {assigned("r2", None, name, 0.5) for name in ("s1", "s2")}


def test_a_shadow_is_paired_with_the_list_that_was_seen(shop):
    for minute, (bad, bad_seen) in enumerate([((), ("i1",)), (("i1",), ()), (("i1",), ("i1",))], 1):
        request = shop.served(release="r1", minute=minute, items=bad_seen)
        shop.served(release="r2", minute=minute, items=bad, shadow_of=request)
    shop.served(release="r2", shadow_of="of a list that is not there")
    found = lake_figures(shop.lake, rollout(step=0), NOW)
    # Of the one shopper the first unlike pair counts, and there it was the candidate whose list is empty.
    assert found.shadow == Shadowed(
        3, {"errors": 0, "empty_lists": 1, "tiers": 0}, {"errors": 0, "empty_lists": 0, "tiers": 0}
    )
    assert found.by_candidate == 3
    assert found.requests == 3  # what nobody saw is not among what shoppers saw


def test_where_each_list_is_drawn_it_counts_for_the_release_that_made_it_and_so_does_what_it_met(shop):
    for release in ("r2", "r2", "r1"):
        shop.served(release=release, items=())
    found = lake_figures(shop.lake, rollout(), NOW, by_shopper=False)
    by_side = dict(zip(found.candidate.tolist(), zip(found.lists, found.bad["empty_lists"], strict=True), strict=True))
    assert by_side == {True: (2, 2), False: (1, 1)}
