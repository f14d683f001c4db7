"""How a rollout looks on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tastemaker.promotion.rollout.state import Rollout
    from tastemaker.promotion.rollout.target import Split

__all__ = ["list_table", "print_rollout"]

_STYLE = {"worse": "[red]WORSE[/]", "fine": "[green]fine[/]", "unknown": "[yellow]too little seen[/]"}


def list_table(rollouts: "Sequence[Rollout]") -> Table:
    """One row for each rollout."""
    table = Table("begun", "candidate", "against", "ended as", "why")
    for rollout in rollouts:
        first = rollout.journal[0]
        table.add_row(f"{first.at:%Y-%m-%d %H:%M}", rollout.candidate, rollout.champion, rollout.phase, _why(rollout))
    return table


def print_rollout(console: Console, rollout: "Rollout", in_force: "Split | None", problem: str, *, mixed: bool) -> None:
    """The rollout, its guardrails, its journal, and what is in force."""
    steps = [
        f"[bold]{step.name}[/]" if place == rollout.step and not rollout.over else step.name
        for place, step in enumerate(rollout.rules.steps)
    ]
    console.print(f"[bold]{rollout.candidate}[/] against {rollout.champion}: {rollout.phase}", highlight=False)
    console.print(" → ".join([*steps, "champion"]), highlight=False)
    judged = rollout.judged or next((one.evidence for one in reversed(rollout.journal) if one.evidence), None)
    if judged is not None:
        console.print(
            f"{judged.requests:,} lists in this step, {judged.by_candidate:,} of the candidate; {judged.reason}",
            highlight=False,
            soft_wrap=True,
        )
        table = Table("guardrail", "", "evidence", "rolls back at", "seen")
        for finding in judged.findings:
            table.add_row(
                finding.name,
                _STYLE[finding.status],
                f"{finding.evidence:.3g}",
                f"{finding.limit:,.0f}",
                finding.summary,
            )
        console.print(table)
    journal = Table("at", "phase", "step", "by", "why")
    for entry in rollout.journal:
        journal.add_row(f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.phase, entry.step, entry.by, entry.reason)
    console.print(journal, markup=False)
    if problem:
        console.print(f"what is in force cannot be told: {problem}", highlight=False, markup=False, soft_wrap=True)
    elif in_force is not None:
        console.print(f"in force: {_split(in_force)}", highlight=False)
    if mixed:
        console.print(
            f"[red]MIXED[/]: the rollout says {_split(rollout.split)}. Nobody may be watching; go on with: tastemaker"
            " rollout watch, or go back with: tastemaker rollout abort",
            highlight=False,
            soft_wrap=True,
        )


def _split(split: "Split") -> str:
    if split.candidate is None:
        return f"{split.champion} for all shoppers"
    shadow = ", and lists that nobody sees" if split.shadow else ""
    return f"{split.champion}, and {split.candidate} for {split.share:.0%} of the shoppers{shadow}"


def _why(rollout: "Rollout") -> str:
    told = [entry.reason for entry in rollout.journal if entry.phase not in {"reverted", "promoted"}]
    return told[-1] if told else ""
