"""``tastemaker gate``: judge a registered release by a policy, from the evidence that is stored with it."""

import sys
from typing import Annotated

import typer

from tastemaker.cli.console import console, current_settings, fail
from tastemaker.cli.steps import Steps
from tastemaker.errors import TastemakerError

__all__ = ["EXITS", "gate"]

EXITS = {"pass": 0, "fail": 1, "not_enough_data": 2}
_ERROR = 3


def gate(
    release: Annotated[str, typer.Option(help="The release's id; see `tastemaker releases list`.")],
    policy: Annotated[
        str, typer.Option(help="A policy in monitoring/gates/ by its name, or a path to a YAML file.")
    ] = "default",
    load: Annotated[
        bool, typer.Option("--load", help="Build its Bento and put a short load on it first: a minute.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    history: Annotated[bool, typer.Option("--history", help="List earlier verdicts, and whether they hold.")] = False,
) -> None:
    """Judge a release by a policy: every check with its value, limit, reason, and what to do.

    Exits 0 for a pass, 1 for a fail, 2 for not enough data, and 3 when it cannot be judged: there is no such release or
    policy, or the release's files were changed. The same evidence and policy give the same verdict, which is kept.
    """
    try:
        decision = _judge(release, policy, load=load, as_json=as_json, history=history)
    except TastemakerError as error:
        fail(str(error))
        sys.exit(_ERROR)
    sys.exit(EXITS[decision])


def _judge(release: str, policy: str, *, load: bool, as_json: bool, history: bool) -> str:
    from tastemaker.promotion.policy import load_policy
    from tastemaker.promotion.verdicts import VerdictStore, policy_path

    settings = current_settings()
    store = VerdictStore(settings)
    rules = load_policy(policy_path(settings.repository, policy))
    if load:
        from tastemaker.promotion.load import load_bento
        from tastemaker.promotion.shoppers import recent_shoppers

        store.evidence(release)  # before a minute is spent on a release that was changed
        with Steps(console).step("A short load on its Bento") as step:
            found = load_bento(settings, release, recent_shoppers(settings))
            store.keep_load(release, found)
            step.done(f"p99 {found.p99_ms:.1f} ms, {found.memory_mb:,.0f} MiB")
    verdict = store.judge(release, rules, now=settings.clock.now())
    if as_json:
        typer.echo(verdict.to_json().decode())
    else:
        console.print(verdict.table())
    if history:
        for one in store.history(release):
            problems = store.problems(one)
            state = "holds" if not problems else f"no longer holds: {'; '.join(problems)}"
            console.print(
                f"{one.decided_at:%Y-%m-%d %H:%M} {one.policy}: {one.decision}; {state}", highlight=False, markup=False
            )
    return verdict.decision
