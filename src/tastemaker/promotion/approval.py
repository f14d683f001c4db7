"""Approval: a person's decision on a release that passed a gate whose policy wants one.

The record is a file per verdict, below the directory of the champion pointer. It is written once: the first decision
stands, and a verdict that was made anew is asked about anew. A question that nobody answers in time is a rejection, by
the record alone, so that it needs no process to be there.
"""

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from tastemaker.durable import locked, read_record, replace_file
from tastemaker.errors import DataError, GateRejected
from tastemaker.promotion.verdict import Verdict

__all__ = ["Approval", "ask", "decide_approval", "read_approval", "require_approved"]

_NOBODY = "nobody, within the time that was given"


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a person, and the answer.

    Attributes:
        release: what it is about.
        verdict: SHA-256 of the gate's verdict that was looked at.
        asked_at: when the question was put (UTC).
        expires_at: from when on no answer is a rejection.
        decision: of the person; None while it is awaited.
        reason: theirs.
        decided_by: who they are, as they say.
        decided_at: when.
        run: of the flow that asked, if one did.
    """

    release: str
    verdict: str
    asked_at: datetime
    expires_at: datetime
    decision: Literal["approve", "reject"] | None = None
    reason: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    run: str = ""

    def line(self) -> str:
        """The record in words."""
        if self.decision is None:
            return f"release {self.release} waits for a person until {self.expires_at:%Y-%m-%d %H:%M} UTC"
        word = "approved" if self.decision == "approve" else "rejected"
        return f"release {self.release} was {word} by {self.decided_by}: {self.reason}"


def ask(directory: Path, verdict: Verdict, now: datetime, patience: timedelta, run: str = "") -> Approval:
    """Put the question, or find it put already: asking again, in a run that goes on, gives no further time.

    Args:
        directory: of the champion pointer.
        verdict: a pass that wants a person's decision.
        now: the platform's time (UTC).
        patience: how long an answer is waited for.
        run: see :class:`Approval`.

    Raises:
        GateRejected: the verdict is no pass, so there is nothing to approve.
        DataError: the patience is none.
    """
    if not verdict.passed:
        raise GateRejected(
            f"the gate says {verdict.decision} of release {verdict.release}; there is nothing to approve"
        )
    if patience <= timedelta(0):
        raise DataError(f"a person needs time to answer, not {patience}")
    asked = Approval(release=verdict.release, verdict=verdict.hash, asked_at=now, expires_at=now + patience, run=run)
    with _locked(directory):
        return _read(directory, verdict) or _write(directory, verdict, asked)


def read_approval(directory: Path, verdict: Verdict, now: datetime) -> Approval | None:
    """What is known of a verdict's approval; None where nobody was asked.

    Raises:
        DataError: the record is damaged.
    """
    found = _read(directory, verdict)
    if found is None or found.decision is not None or now < found.expires_at:
        return found
    return msgspec.structs.replace(
        found,
        decision="reject",
        reason="no answer in time; run the gate again to ask again",
        decided_by=_NOBODY,
        decided_at=found.expires_at,
    )


def decide_approval(
    directory: Path,
    verdict: Verdict,
    decision: Literal["approve", "reject"],
    *,
    reason: str,
    decided_by: str,
    now: datetime,
) -> Approval:
    """Write down what a person decided. The same decision again changes nothing.

    Raises:
        GateRejected: nobody was asked, or it was decided otherwise before, by a person or by the time that ran out.
        DataError: the reason or the name is empty.
    """
    if not reason.strip() or not decided_by.strip():
        raise DataError("a decision needs a reason, and the name of who decides; say both")
    with _locked(directory):
        standing = read_approval(directory, verdict, now)
        if standing is None:
            raise GateRejected(f"nobody asked for an approval of release {verdict.release} and this verdict")
        if standing.decision is not None:
            if standing.decision != decision:
                raise GateRejected(f"{standing.line()}; a decision stands, so judge the release anew to ask again")
            return standing
        made = msgspec.structs.replace(
            standing, decision=decision, reason=reason.strip(), decided_by=decided_by.strip(), decided_at=now
        )
        return _write(directory, verdict, made)


def require_approved(directory: Path, verdict: Verdict, now: datetime) -> None:
    """Check that nobody has to be asked, or that they agreed.

    Raises:
        GateRejected: a person has to decide and has not, or said no.
    """
    if verdict.approval == "none":
        return
    found = read_approval(directory, verdict, now)
    if found is None:
        raise GateRejected(
            f"the policy {verdict.policy!r} wants a person's approval of release {verdict.release}; give it with:"
            f" tastemaker approve {verdict.release} --reason ..."
        )
    if found.decision != "approve":
        raise GateRejected(
            f"{found.line()}; approve it in the Prefect UI or with: tastemaker approve {verdict.release} --reason ..."
            if found.decision is None
            else found.line()
        )


def _locked(directory: Path) -> AbstractContextManager[None]:
    folder = directory / "approvals"
    folder.mkdir(parents=True, exist_ok=True)
    return locked(folder / ".lock")


def _path(directory: Path, verdict: Verdict) -> Path:
    return directory / "approvals" / f"{verdict.release}.{verdict.hash[:16]}.json"


def _read(directory: Path, verdict: Verdict) -> Approval | None:
    return read_record(_path(directory, verdict), Approval, "judge the release anew, and ask again")


def _write(directory: Path, verdict: Verdict, approval: Approval) -> Approval:
    content = msgspec.json.format(msgspec.json.encode(approval), indent=2)
    replace_file(_path(directory, verdict), content)
    return approval
