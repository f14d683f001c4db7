"""Progress of long work: one line per step, live while it runs, with its time and its outcome when it is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

__all__ = ["Step", "Steps"]


class Step:
    """A running step; what it says last stands beside it when it is done."""

    def __init__(self, status: Status, title: str) -> None:
        self._status = status
        self._title = title
        self.outcome = ""

    def progress(self, text: str) -> None:
        """Say how far it is."""
        self._status.update(f"[bold]{self._title}[/] [dim]{text}[/]")

    def done(self, outcome: str) -> None:
        """Say what came out."""
        self.outcome = outcome


class Steps:
    """Numbered steps of one long command.

    Args:
        console: where to print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._number = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the first step was made."""
        return time.monotonic() - self._started

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run a step: ``with steps.step("Cleaning") as step: ...``; an exception marks it as failed and goes on up."""
        self._number += 1
        begun = time.monotonic()
        with self._console.status(f"[bold]{title}[/]") as status:
            step = Step(status, title)
            try:
                yield step
            except BaseException:
                self._line("[bold red]✗[/]", title, begun, "failed")
                raise
        self._line("[bold green]✓[/]", title, begun, step.outcome)

    def _line(self, mark: str, title: str, begun: float, outcome: str) -> None:
        seconds = time.monotonic() - begun
        self._console.print(f"{mark} [dim]{seconds:6.1f} s[/]  {title}{f': [cyan]{outcome}[/]' if outcome else ''}")
