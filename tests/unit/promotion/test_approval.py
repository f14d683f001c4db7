"""Approval records: the first decision stands, silence is a no, and a new verdict is asked about anew."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tastemaker.errors import DataError, GateRejected
from tastemaker.promotion.approval import ask, decide_approval, read_approval, require_approved
from tastemaker.promotion.verdict import CheckResult, Verdict

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def _verdict(**changes: object) -> Verdict:
    made = Verdict(
        release="20240501t120000-abcdef12",
        decision="pass",
        checks=(CheckResult(name="coverage", status="pass", summary="enough"),),
        policy="careful",
        decided_by="gate",
        decided_at=NOW,
        champion=None,
        judged={"policy": "00"},
        approval="required",
    )
    return msgspec.structs.replace(made, **changes)


def test_require_approved_without_the_policy_s_wish_asks_nobody(tmp_path: Path) -> None:
    require_approved(tmp_path, _verdict(approval="none"), NOW)
    assert not list(tmp_path.iterdir())


def test_require_approved_before_anybody_was_asked_says_the_command(tmp_path: Path) -> None:
    with pytest.raises(GateRejected, match="tastemaker approve 20240501t120000-abcdef12 --reason"):
        require_approved(tmp_path, _verdict(), NOW)


def test_approve_lets_the_release_through_and_keeps_who_and_why(tmp_path: Path) -> None:
    asked = ask(tmp_path, _verdict(), NOW, DAY, run="r1")
    assert asked.expires_at == NOW + DAY
    with pytest.raises(GateRejected, match="waits for a person until 2024-05-02 12:00 UTC"):
        require_approved(tmp_path, _verdict(), NOW)
    decide_approval(tmp_path, _verdict(), "approve", reason=" looks right ", decided_by="Ada", now=NOW)
    require_approved(tmp_path, _verdict(), NOW + 10 * DAY)  # an answer in time does not expire
    found = read_approval(tmp_path, _verdict(), NOW)
    assert found is not None
    assert (found.decision, found.reason, found.decided_by, found.run) == ("approve", "looks right", "Ada", "r1")


def test_reject_keeps_the_release_out_and_no_later_approval_changes_that(tmp_path: Path) -> None:
    ask(tmp_path, _verdict(), NOW, DAY)
    decide_approval(tmp_path, _verdict(), "reject", reason="odd lists", decided_by="Ada", now=NOW)
    with pytest.raises(GateRejected, match="a decision stands"):
        decide_approval(tmp_path, _verdict(), "approve", reason="but", decided_by="Eve", now=NOW)
    with pytest.raises(GateRejected, match="was rejected by Ada: odd lists"):
        require_approved(tmp_path, _verdict(), NOW)
    again = decide_approval(tmp_path, _verdict(), "reject", reason="repeated", decided_by="Ada", now=NOW)
    assert again.reason == "odd lists"  # a run that is repeated changes nothing


def test_no_answer_in_time_is_a_rejection_that_cannot_be_overruled(tmp_path: Path) -> None:
    ask(tmp_path, _verdict(), NOW, DAY)
    late = NOW + DAY
    found = read_approval(tmp_path, _verdict(), late)
    assert found is not None
    assert found.decision == "reject"
    with pytest.raises(GateRejected, match="rejected by nobody, within the time"):
        require_approved(tmp_path, _verdict(), late)
    with pytest.raises(GateRejected, match="a decision stands"):
        decide_approval(tmp_path, _verdict(), "approve", reason="late", decided_by="Ada", now=late)


def test_ask_again_gives_no_further_time(tmp_path: Path) -> None:
    ask(tmp_path, _verdict(), NOW, DAY)
    assert ask(tmp_path, _verdict(), NOW + DAY / 2, 10 * DAY).expires_at == NOW + DAY


def test_a_verdict_that_was_made_anew_is_asked_about_anew(tmp_path: Path) -> None:
    ask(tmp_path, _verdict(), NOW, DAY)
    decide_approval(tmp_path, _verdict(), "reject", reason="no", decided_by="Ada", now=NOW)
    renewed = _verdict(decided_at=NOW + DAY)
    assert read_approval(tmp_path, renewed, NOW + DAY) is None
    ask(tmp_path, renewed, NOW + DAY, DAY)
    decide_approval(tmp_path, renewed, "approve", reason="yes", decided_by="Ada", now=NOW + DAY)
    require_approved(tmp_path, renewed, NOW + DAY)


@pytest.mark.parametrize("decision", ["fail", "not_enough_data"])
def test_ask_about_a_blocked_release_is_refused(tmp_path: Path, decision: str) -> None:
    with pytest.raises(GateRejected, match=decision):
        ask(tmp_path, _verdict(decision=decision), NOW, DAY)


def test_decide_without_a_question_a_reason_or_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GateRejected, match="nobody asked"):
        decide_approval(tmp_path, _verdict(), "approve", reason="x", decided_by="Ada", now=NOW)
    ask(tmp_path, _verdict(), NOW, DAY)
    for reason, by in (("", "Ada"), ("  ", "Ada"), ("x", "")):
        with pytest.raises(DataError, match="say both"):
            decide_approval(tmp_path, _verdict(), "approve", reason=reason, decided_by=by, now=NOW)


def test_ask_without_patience_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs time"):
        ask(tmp_path, _verdict(), NOW, timedelta(0))


def test_a_damaged_record_lets_nothing_through(tmp_path: Path) -> None:
    ask(tmp_path, _verdict(), NOW, DAY)
    (path,) = (tmp_path / "approvals").glob("*.json")
    path.write_text('{"decision": "approve"}')
    with pytest.raises(DataError, match="is damaged"):
        require_approved(tmp_path, _verdict(), NOW)
