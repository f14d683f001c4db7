"""Lists while parts of the platform are killed, stand still, or are slow: how many come, in time, and what they are.

``CHAOS_ONLY`` takes parts of rows' names, with commas between; ``CHAOS_SECONDS`` and ``CHAOS_RATE`` say how long a
fault lasts and how many requests are due a second; ``CHAOS_TABLE=docs/chaos.md`` writes the table into the docs.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.chaos_faults import Fault, faults_at_start, faults_in_process, faults_of_one, faults_of_replicas
from benchmarks.chaos_home import prepared_shop
from benchmarks.chaos_run import broken
from benchmarks.chaos_service import BROKEN, Breaks
from benchmarks.chaos_stack import BREAKABLE, ChaosStack, chaos_stack
from benchmarks.chaos_table import Row, markdown, shown
from benchmarks.goal import Goal

__all__ = ["run"]

_PER_SECOND: Final = 150.0
_SECONDS: Final = 8.0
_SHARE: Final = 0.999


def run() -> list[Goal]:
    """Every part killed, paused and slowed under load: 99.9 % of requests get a valid list within their budget."""
    console = Console(width=200)
    only = os.environ.get("CHAOS_ONLY", "").split(",")  # parts of rows' first two cells
    path = Path(os.environ.get("CHAOS_TABLE", ".cache/chaos.md"))
    per_second = float(os.environ.get("CHAOS_RATE", _PER_SECOND))
    seconds = float(os.environ.get("CHAOS_SECONDS", _SECONDS))
    rows: list[Row] = []

    def told(row: Row) -> None:
        console.print(" | ".join(row.cells()), highlight=False, markup=False)
        rows.append(row)

    def under(stack: ChaosStack, names: list[str], faults: Sequence[Fault]) -> None:
        wanted = [fault for fault in faults if any(one in f"{fault.part} {fault.how}" for one in only)]
        if wanted:
            stack.start_and_wait(*(name for name in names if not stack.runs(name)))
            broken(stack, names, wanted, seconds=seconds, per_second=per_second, told=told)

    with prepared_shop(console.print) as (home, release), chaos_stack(home, release) as stack:
        file = stack.settings.home / "breaks"
        breaks = Breaks(file)
        stack.add_recommender("first")
        stack.add_recommender("second")
        stack.add_recommender("breakable", BREAKABLE, {BROKEN: str(file)})
        under(stack, ["first"], faults_of_one())
        under(stack, ["first", "second"], faults_of_replicas("first"))
        stack.end("first", "second")
        breaks.tell("build", -1.0)
        under(stack, ["breakable"], faults_at_start(breaks))
        breaks.tell("build", 0.0)
        under(stack, ["breakable"], faults_in_process(breaks))
    shown(rows, console)
    markdown(rows, path)
    console.print(f"the machine's load was {os.getloadavg()[0]:.1f}; the table is in {path}", highlight=False)
    return [Goal(f"{row.part}, {row.how}: in time", row.in_time, ">", _SHARE) for row in rows]
