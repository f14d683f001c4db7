"""What the figures of a step lead to."""

import numpy as np
import pytest
from rollout_parts import figures, policy

from tastemaker.promotion.rollout.figures import Figures, Shadowed
from tastemaker.promotion.rollout.judging import judge

SHADOW, FIVE, QUARTER, HALF = range(4)


def status(judged) -> dict[str, str]:
    return {finding.name: finding.status for finding in judged.findings}


def test_nothing_seen_waits_and_says_for_what():
    judged = judge(policy(), FIVE, Figures.none(), 0.0)
    assert judged.action == "wait"
    assert judged.reason.startswith("0 of 30 minutes; 0 of 500 lists; a drop of the click rate by 50% is not ruled out")
    assert set(status(judged).values()) == {"unknown"}


def test_equal_releases_advance_when_time_lists_and_certainty_are_there():
    seen = figures(share=0.5, users=20_000)
    assert judge(policy(), HALF, seen, 59.0).action == "wait"
    judged = judge(policy(), HALF, seen, 60.0)
    assert (judged.action, judged.by_candidate) == ("advance", 100_000)
    assert status(judged)["clicks"] == "fine"


@pytest.mark.parametrize("drop", [0.1, 0.5, 1.0])
def test_fewer_clicks_go_back_however_many(drop):
    judged = judge(policy(), HALF, figures(share=0.5, users=20_000, drop=drop), 1.0)
    assert judged.action == "rollback"
    assert "clicks in" in judged.reason
    assert status(judged)["clicks"] == "worse"


def test_more_clicks_do_not_go_back():
    assert judge(policy(), HALF, figures(share=0.5, users=20_000, drop=-0.3), 60.0).action == "advance"


@pytest.mark.parametrize("kind", ["errors", "empty_lists", "tiers"])
def test_shoppers_who_meet_something_bad_by_the_candidate_alone_send_it_back(kind):
    # Of 5 % shoppers come 10 of 10 affected: 0.05^-10 against an alpha of 0.005 / 6.
    judged = judge(policy(), FIVE, figures(share=0.05, **{kind: 10}), 1.0)
    assert judged.action == "rollback"
    assert status(judged)[kind] == "worse"


def test_what_both_sides_meet_alike_is_no_reason():
    seen = figures(share=0.05)
    seen.bad["errors"][::20] = 1  # every 20th shopper of both
    assert status(judge(policy(), FIVE, seen, 1.0))["errors"] == "fine"


def test_one_shopper_with_a_thousand_errors_counts_once():
    seen = figures(share=0.05, errors=1)
    assert judge(policy(), FIVE, seen, 1.0).action != "rollback"


def test_slower_lists_go_back_beyond_the_tolerance_alone():
    within, beyond = figures(share=0.5, users=20_000), figures(share=0.5, users=20_000)
    rng = np.random.default_rng(3)
    for seen, slow in ((within, 0.005), (beyond, 0.05)):
        seen.outcomes["slow"][seen.candidate] = rng.binomial(seen.lists[seen.candidate], slow)
    assert status(judge(policy(), HALF, within, 60.0))["latency"] == "fine"
    judged = judge(policy(), HALF, beyond, 60.0)
    assert (judged.action, status(judged)["latency"]) == ("rollback", "worse")


def test_a_shadow_is_judged_by_pairs():
    seen = Figures(**{**vars(Figures.none()), "shadow": Shadowed(1_000, {"errors": 14}, {"errors": 0})})
    judged = judge(policy(), SHADOW, seen, 60.0)
    assert judged.action == "rollback"
    assert "for 14 shoppers by the candidate alone" in judged.reason
    alike = Figures(**{**vars(Figures.none()), "shadow": Shadowed(1_000, {"errors": 14}, {"errors": 14})})
    assert judge(policy(), SHADOW, alike, 60.0).action == "advance"


def test_a_guardrail_that_is_switched_off_is_not_judged():
    off = policy()
    off = off.model_copy(update={"guardrails": off.guardrails.model_copy(update={"errors": None})})
    judged = judge(off, FIVE, figures(share=0.05, errors=100), 1.0)
    assert judged.action != "rollback"
    assert "errors" not in status(judged)
