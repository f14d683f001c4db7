"""The recommender's own process with a release on trial: who gets it, what nobody sees, and the way back under load."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.promotion.rollout.local_target import LocalTarget, ask_recommender
from tastemaker.promotion.rollout.target import Split
from tastemaker.release.split import assigned
from tests.e2e.served_releases import Served, Shoppers, served_releases
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_releases(tmp_path) as made:
        yield made


def test_a_trial_goes_forth_and_back_under_load_without_a_failed_request(served):
    target = LocalTarget(served.settings, lambda: ask_recommender(served.settings))
    shoppers = [Shoppers(served.settings.recommender_url, first) for first in range(4)]
    for shopper in shoppers:
        shopper.start()

    def answered() -> list[dict]:
        return [answer for shopper in shoppers for status, answer in list(shopper.answers) if status == 200]

    def after(split: Split) -> list[dict]:
        """Lists that were asked for once the split was in force."""
        target.apply(split)
        marks = [len(shopper.answers) + 1 for shopper in shoppers]  # each may have one under way
        wait_for("lists", lambda: all(len(s.answers) > mark + 25 for s, mark in zip(shoppers, marks, strict=True)))
        return [answer for s, mark in zip(shoppers, marks, strict=True) for _, answer in list(s.answers)[mark:]]

    assert {answer["release"] for answer in after(Split("r1", "r2", 0.0, shadow=True))} == {"r1"}
    assert target.read() == Split("r1", "r2", 0.0, shadow=True)
    assert {answer["release"] for answer in after(Split("r1", "r2", 0.5))} == {"r1", "r2"}
    assert {answer["release"] for answer in after(Split("r1"))} == {"r1"}
    served.promote("r2")
    target.apply(Split("r2"))
    served.promote("r1")  # back again: the former champion is still in memory
    target.apply(Split("r1"))
    for shopper in shoppers:
        shopper.enough.set()
        shopper.join(30)
    assert not [shopper.broken for shopper in shoppers if shopper.broken]
    assert {status for shopper in shoppers for status, _ in shopper.answers} == {200}
    assert all(len(answer["items"]) == 5 for answer in answered())

    wait_for("the log", lambda: {answer["request_id"] for answer in answered()} <= set(_ids(served)))
    logged = _ids(served)
    shadows = [one for one in logged.values() if one.shadow_of]
    assert shadows
    assert all((one.release, logged[one.shadow_of].release) == ("r2", "r1") for one in shadows)
    assert all(logged[one.shadow_of].request == one.request for one in shadows)
    # The two releases are alike, and so are a shopper's lists by both.
    pairs = [(one, logged[one.shadow_of]) for one in shadows if logged[one.shadow_of].tier == one.tier == "full"]
    assert pairs
    assert all(one.items == seen.items for one, seen in pairs)
    on_trial = [one for one in logged.values() if one.release == "r2" and not one.shadow_of]
    assert any(assigned("r2", one.request.user, None, 0.5) for one in on_trial)


def _ids(served) -> dict:
    return {one.request_id: one for one in served.logged()}
