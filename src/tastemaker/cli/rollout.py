"""``tastemaker rollout``: a release takes over step by step, watched, and comes back by itself."""

import getpass
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tastemaker.cli.console import console, current_settings

if TYPE_CHECKING:
    from tastemaker.promotion.rollout.controller import RolloutController
    from tastemaker.promotion.rollout.state import Rollout

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Try a release on some of the shoppers, and let it take over while nothing gets worse: shadow, 5 %, 25 %,"
    " 50 %, champion. It is rolled back by itself when errors, latency, empty lists, tiers, clicks or carts get worse."
    "\n\nIt acts on the stack's recommender, which keeps each shopper on one release. With TASTEMAKER_CLUSTER_STORAGE"
    " it acts on KServe (TASTEMAKER_CLUSTER_MODE: standard or knative), where there is no shadow, and each list is"
    " drawn, not the shopper: see docs/kubernetes.md.",
)

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Why = Annotated[str, typer.Option(help="Why, for the journal.")]
Who = Annotated[str, typer.Option(help="Who decides; you, if not given.")]


@app.command("start")
def start_command(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Id of a release that passed the gate.")],
    policy: Annotated[
        str,
        typer.Option(help="Rollout policy: a file name in monitoring/rollout/; default, or on a cluster: cluster."),
    ] = "",
    watch: Annotated[bool, typer.Option(help="Stay and drive it to its end.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks, with --watch.")] = 15.0,
    by: Who = "",
) -> None:
    """Build the Bento of a release that passed the gate, and begin to try it beside the champion.

    The first step is a shadow: its lists are made and compared, and nobody sees them. Somebody has to watch: the flow
    on its schedule, or `tastemaker rollout watch`. When nobody does, the champion gets all shoppers back.

    On a cluster (TASTEMAKER_CLUSTER_STORAGE) there is no shadow, and nobody gives shoppers back when no one watches.
    Its router draws for each list, not the shopper: a shopper sees both releases, so that harm which builds up over a
    visit shows less, or not at all.

    Next: `tastemaker rollout status`.
    """
    from tastemaker.cli.steps import Steps
    from tastemaker.promotion.bento import build_bento
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.promotion.rollout.opening import policy_there

    settings = current_settings()
    rules = policy_there(settings, policy)
    ReleaseRegistry(settings).require_promotable(release)
    with Steps(console).step("Building the Bento") as step:
        tag = build_bento(settings, release)
        step.done(tag)
    _say(_controller().start(release, tag, rules, by=by or getpass.getuser()))
    if watch:
        _drive(every)


@app.command("status")
def status_command(
    as_json: AsJson = False,
    all_: Annotated[bool, typer.Option("--all", help="List the rollouts of before as well.")] = False,
) -> None:
    """Show the rollout that runs, or ran last: its step, what the guardrails say, its journal, and what is in force.

    Exits 1 when what is in force is not what the rollout says, and tells both.
    """
    import msgspec

    from tastemaker.cli.rollout_view import list_table, print_rollout
    from tastemaker.errors import RolloutError
    from tastemaker.promotion.rollout.opening import open_target
    from tastemaker.promotion.rollout.store import RolloutStore

    settings = current_settings()
    store = RolloutStore(settings.rollouts_dir)
    if all_:
        found = [store.get(one) for one in store.ids()]
        if as_json:
            console.print_json(json.dumps(msgspec.to_builtins(found)))
        else:
            console.print(list_table(found) if found else _NONE)
        return
    rollout = store.newest()
    if rollout is None:
        console.print("null" if as_json else _NONE)
        return
    in_force, problem = None, ""
    try:
        in_force = open_target(settings, _options()).read()
    except RolloutError as error:
        problem = str(error)
    mixed = not rollout.over and in_force is not None and in_force != rollout.split
    if as_json:
        told = msgspec.to_builtins(rollout) | {"in_force": msgspec.to_builtins(in_force), "mixed": mixed}
        console.print_json(json.dumps(told | {"problem": problem}))
    else:
        print_rollout(console, rollout, in_force, problem, mixed=mixed)
    if mixed:
        raise typer.Exit(1)


@app.command("watch")
def watch_command(
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 15.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, as the flow does.")] = False,
) -> None:
    """Drive the rollout: look at the figures again and again, and advance, hold or roll back, to the end.

    It may be killed and started again at any moment; whoever looks next goes on. Looking often costs nothing: the tests
    stay valid. Exits 1 when the release was sent back.
    """
    if once:
        from tastemaker.errors import RolloutError

        rollout = _controller().tick()
        if rollout is None:
            raise RolloutError(_NONE)
        _say(rollout)
        raise typer.Exit(1 if rollout.phase == "reverted" else 0)
    _drive(every)


@app.command("advance")
def advance_command(why: Why = "", by: Who = "") -> None:
    """Take the next step now, whatever the figures say; after the last one the candidate becomes champion.

    Next: `tastemaker rollout status`.
    """
    _say(_controller().advance(by=by or getpass.getuser(), reason=why))


@app.command("hold")
def hold_command(
    why: Why = "",
    by: Who = "",
    off: Annotated[bool, typer.Option("--off", help="Let it go on by itself again.")] = False,
) -> None:
    """Stay in the step that it is in. The guardrails go on watching, and roll back.

    Next: `tastemaker rollout hold --off`, `advance` or `abort`.
    """
    _say(_controller().hold(by=by or getpass.getuser(), reason=why, release=off))


@app.command("abort")
def abort_command(why: Why = "", by: Who = "") -> None:
    """Give all shoppers back to the champion, now. No request fails, and nothing is loaded.

    Next: `tastemaker rollout status` has the journal.
    """
    _say(_controller().abort(by=by or getpass.getuser(), reason=why))


_NONE = "No rollout yet. Begin one with: tastemaker rollout start RELEASE"


def _drive(every: float) -> None:
    from tastemaker.errors import RolloutError

    told = ""
    while True:
        try:
            rollout = _controller().tick()
        except RolloutError as error:  # somebody else's turn, or what serves is away: it is looked at again
            if str(error) != told:
                console.print(str(error), highlight=False, markup=False)
            told = str(error)
            time.sleep(every)
            continue
        if rollout is None:
            raise RolloutError(_NONE)
        line = _line(rollout)
        if line != told:
            console.print(line, highlight=False, markup=False)
        told = line
        if rollout.over:
            raise typer.Exit(1 if rollout.phase == "reverted" else 0)
        time.sleep(every)


def _controller() -> "RolloutController":
    from tastemaker.promotion.rollout.opening import open_rollouts

    return open_rollouts(current_settings(), options=_options())


def _options() -> Callable[[str], dict[str, Any]]:
    from tastemaker.cli.credentials import credentials

    return credentials


def _say(rollout: "Rollout") -> None:
    console.print(_line(rollout), highlight=False, markup=False, soft_wrap=True)


def _line(rollout: "Rollout") -> str:
    last = rollout.journal[-1]
    where = f"{rollout.candidate}: {rollout.phase}" + ("" if rollout.over else f" in {rollout.at.name}")
    return f"{where}, {rollout.judged.reason if rollout.judged and not rollout.over else last.reason}"
