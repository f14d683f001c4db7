"""What came of each fault, as a row, and all of them as a table for people and for the docs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.chaos_load import Answered

__all__ = ["DEGRADED", "Row", "markdown", "recovery_s", "shown"]

# Tiers that say that something is amiss; cold_start is as good a list as a stranger can get.
DEGRADED: Final = frozenset({"", "fewer", "unranked", "cached", "popular", "static"})
_BEGIN: Final = "<!-- written by make bench NAME=chaos -->\n"
_END: Final = "<!-- end -->\n"
_HEAD: Final = ("what", "fault", "requests", "valid", "in time", "p50 ms", "p99 ms", "tiers", "full again", "fed again")


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        part: what was broken.
        how: in words.
        answers: to all requests that were due from the fault until everything was well again.
        under: likewise, until the part was there again.
        full_s: seconds from when the part was there again until no list was of a lower tier; infinite for never seen.
        fed_s: seconds from then until an event changed a list; None where the part has nothing to do with it.
    """

    part: str
    how: str
    answers: Sequence[Answered]
    under: Sequence[Answered]
    full_s: float
    fed_s: float | None

    @property
    def valid(self) -> float:
        """Share of requests that got a valid list at all."""
        return sum(bool(one.tier) for one in self.answers) / max(len(self.answers), 1)

    @property
    def in_time(self) -> float:
        """Share that got one within the deadline."""
        return sum(one.in_time for one in self.answers) / max(len(self.answers), 1)

    @property
    def tiers(self) -> Counter[str]:
        """How many lists of each tier."""
        return Counter(one.tier or "none" for one in self.answers)

    @property
    def problems(self) -> Counter[str]:
        """What was wrong, and how often."""
        return Counter(one.problem for one in self.answers if one.problem)

    def quantile(self, share: float) -> float:
        """Milliseconds within which this share was answered."""
        return float(np.quantile([one.ms for one in self.answers], share)) if self.answers else float("nan")

    def cells(self) -> tuple[str, ...]:
        """As text."""
        return (
            self.part,
            self.how,
            f"{len(self.answers):,}",
            _percent(self.valid),
            _percent(self.in_time),
            f"{self.quantile(0.5):.1f}",
            f"{self.quantile(0.99):.1f}",
            ", ".join(f"{tier} {n:,}" for tier, n in self.tiers.most_common()),
            _seconds(self.full_s),
            "" if self.fed_s is None else _seconds(self.fed_s),
        )


def recovery_s(answers: Sequence[Answered], mended: float) -> float:
    """Seconds from a moment to the last list that was amiss; 0 where none was.

    Args:
        answers: to requests that were due from then on.
        mended: the moment, by ``perf_counter``.
    """
    amiss = [one.due + one.ms / 1e3 for one in answers if one.tier in DEGRADED]
    return max([0.0, *(at - mended for at in amiss)])


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if math.isfinite(seconds) else "never"


def _percent(share: float) -> str:
    """Never rounded up to all."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.99):.2f} %"


def shown(rows: Sequence[Row], console: Console) -> None:
    """Print them, and what was wrong where something was."""
    table = Table(*_HEAD)
    for row in rows:
        table.add_row(*row.cells())
    console.print(table)
    for row in rows:
        for problem, n in row.problems.most_common(3):
            console.print(f"{row.part}, {row.how}: {n} times: {problem}", highlight=False, markup=False)


def markdown(rows: Sequence[Row], path: Path) -> None:
    """Write the table for the docs: into a page that has a place for it, else as a file of its own."""
    lines = [_HEAD, ["---"] * len(_HEAD), *(row.cells() for row in rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = path.read_text() if path.exists() else ""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    path.write_text(f"{before}{begin}{table}{end}{after}" if end else table)
