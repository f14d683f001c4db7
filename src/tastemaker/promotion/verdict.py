"""The verdict: what a gate found, check by check, and what it decided. A result, never an exception."""

from datetime import datetime
from typing import Literal

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from tastemaker.document import Document
from tastemaker.promotion.hashing import hash_bytes

__all__ = ["CheckResult", "Status", "Verdict"]

Status = Literal["pass", "fail", "not_enough_data"]

_STYLE = {"pass": "green", "fail": "red", "not_enough_data": "yellow"}
_WORDS = {"pass": "pass", "fail": "FAIL", "not_enough_data": "not enough data"}


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check.

    Attributes:
        name: as in the policy.
        status: its outcome.
        summary: what was found, in words.
        value: the figure that was judged, if there is one.
        limit: what it was held against.
        low: lower end of the value's interval, where it has one.
        high: upper end.
        remedy: what to do about it; empty for a pass.
    """

    name: str
    status: Status
    summary: str
    value: float | None = None
    limit: float | None = None
    low: float | None = None
    high: float | None = None
    remedy: str = ""


class Verdict(Document, frozen=True, kw_only=True):
    """A decision about one release.

    Attributes:
        release: what was judged.
        decision: ``fail`` if any check failed, else ``not_enough_data`` if any could not tell, else ``pass``.
        checks: all that the policy asks for, in its order.
        policy: its name.
        decided_by: who or what decided, such as ``gate`` or a person.
        decided_at: when (UTC).
        champion: the release that it was compared with; promotion is refused when another one has won since.
        judged: SHA-256 of the policy and of everything that was looked at, by name.
        approval: whether a person has to agree as well; see :mod:`tastemaker.promotion.approval`.
    """

    KIND = "a verdict"
    REMEDY = "run the gate again"

    release: str
    decision: Status
    checks: tuple[CheckResult, ...]
    policy: str
    decided_by: str
    decided_at: datetime
    champion: str | None
    judged: dict[str, str]
    approval: Literal["none", "required"] = "none"

    @property
    def passed(self) -> bool:
        """Whether the release may be promoted."""
        return self.decision == "pass"

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if check.status != "pass")

    @property
    def hash(self) -> str:
        """SHA-256 of the verdict itself."""
        return hash_bytes(self.to_json())

    def markdown(self) -> str:
        """For a Prefect artifact or a pull request."""
        lines = [
            f"## Gate: {_WORDS[self.decision]}",
            "",
            f"Release `{self.release}`, policy `{self.policy}`, by {self.decided_by} at"
            f" {self.decided_at:%Y-%m-%d %H:%M:%S} UTC, compared with"
            f" {f'champion `{self.champion}`' if self.champion else 'no champion'}.",
            "",
            "| check | outcome | value | limit | found |",
            "|---|---|---|---|---|",
            *(
                f"| {check.name} | {_WORDS[check.status]} | {_value(check)} | {_number(check.limit)} |"
                f" {_cell(check.summary)} |"
                for check in self.checks
            ),
        ]
        if self.failures:
            lines += ["", "### What to do", "", *(f"- **{check.name}**: {check.remedy}" for check in self.failures)]
        lines += ["", "Judged: " + ", ".join(f"{name} `{value[:12]}`" for name, value in sorted(self.judged.items()))]
        return "\n".join(lines) + "\n"

    def table(self) -> Table:
        """For a terminal."""
        style = _STYLE[self.decision]
        title = f"Gate [{style}]{_WORDS[self.decision]}[/] · release {self.release} · policy {self.policy}"
        table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("check", no_wrap=True)
        table.add_column("outcome")
        table.add_column("found")
        for check in self.checks:
            found = f"{_value(check)}: {check.summary}" if check.low is not None else check.summary
            found += "" if check.status == "pass" else f"\n→ {check.remedy}"
            table.add_row(
                check.name,
                f"[{_STYLE[check.status]}]{_WORDS[check.status]}[/]",
                found.replace("[", r"\["),
            )
        return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _value(check: CheckResult) -> str:
    if check.low is None or check.high is None:
        return _number(check.value)
    return f"{_number(check.value)} [{_number(check.low)}, {_number(check.high)}]"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
