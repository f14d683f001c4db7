"""``tastemaker features rebuild``: build views from history, or watch the stream worker do it."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tastemaker.cli.console import console, current_settings, fail
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.stack.rebuild import Build

__all__ = ["rebuild_command"]

_PATIENCE_S = 15.0


def rebuild_command(
    views: Annotated[
        list[str] | None, typer.Argument(metavar="VIEW...", help="Built once more although they are complete.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every view once more.")] = False,
) -> None:
    """Build views of the online store from the lake, where everything that happened is kept, as lists are served.

    Without VIEW: those that are missing since the last apply, or that were begun. The stream worker builds where one
    runs, and this shows how far it is; else this builds. Ctrl-C or a kill loses nothing that is built: run it again, or
    start the stack, and it goes on. Views that are built once more stay readable as they were until it is their turn.
    """
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.stack.rebuild import begin_rebuild, follow_build

    if views and all_:
        raise DataError("give names of views or --all, not both")
    settings = current_settings()
    plan = FeaturePlan.load(settings.plan_path)
    build = begin_rebuild(settings, plan.by_name.keys() if all_ else views or ())
    if build.done:
        console.print(
            f"All {len(plan.views)} views are complete. To build some once more: `tastemaker features rebuild VIEW...`,"
            " or --all."
        )
        return
    what = "the whole online store" if build.whole else ", ".join(build.views)
    who = "the stream worker builds" if build.by_worker else "building"
    console.print(f"{who} {what} from the lake", highlight=False)
    began = time.monotonic()
    try:
        with _Bars() as bars:
            follow_build(settings, bars.show)
    except KeyboardInterrupt:
        goes_on = (
            "the stream worker goes on"
            if build.by_worker
            else "nothing was served from it yet, so the next run begins again"
            if build.whole
            else "what is built is kept, and `tastemaker features rebuild` goes on from there"
        )
        fail(f"stopped; {goes_on}")
        raise typer.Exit(130) from None
    console.print(f"[bold green]✓[/] built in {time.monotonic() - began:.1f} s", highlight=False)


class _Bars:
    """A bar for each view; of one that is built whole, one for all."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:24}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}[/]"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._seen: object = None
        self._moved = time.monotonic()

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, build: "Build") -> None:
        """Bring the bars up to date."""
        state = (build.share, dict(build.views), build.whole)
        if state != self._seen:
            self._seen, self._moved = state, time.monotonic()
        shares = {"all views": build.share} if build.whole else {}
        notes: dict[str, str] = {}
        for view, (done, of) in build.views.items():
            shares[view] = done / of if of else 0.0
            notes[view] = f"{done} of {of} parts" if of else "waits"
        if build.by_worker and time.monotonic() - self._moved > _PATIENCE_S:
            notes |= dict.fromkeys(shares, "the worker does not go on; see `tastemaker logs worker`")
        for view in [view for view in self._tasks if view not in shares]:
            self._progress.update(self._tasks[view], completed=1.0, note="done")
        for view, share in shares.items():
            if view not in self._tasks:
                self._tasks[view] = self._progress.add_task(view, total=1.0, note="")
            self._progress.update(self._tasks[view], completed=share, note=notes.get(view, ""))
