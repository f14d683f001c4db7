"""The ``tastemaker`` command and how it ends: a clear line and an exit status, never a traceback for a user's error."""

import sys
from typing import Annotated

import typer

from tastemaker import __version__
from tastemaker.cli import (
    alerts,
    approve,
    data,
    dead_letters,
    demo,
    drift,
    evaluate,
    features,
    gate,
    keys,
    lake,
    models,
    recommend,
    rehearse,
    releases,
    rollout,
    rules,
    stack,
    why,
)
from tastemaker.cli.console import fail
from tastemaker.errors import TastemakerError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Real-time product recommendations: declare features once, train on what was known at the time, serve in
milliseconds, and go live only on evidence.

New here? Run **tastemaker demo**: it takes real shopping data to served, explained recommendations.

Your own data: **tastemaker data import FILE --mapping FILE.yaml**, then **tastemaker up**, and in another terminal
**tastemaker train** and **tastemaker recommend --user ID**.
""",
)
app.command("demo")(demo.demo)
app.command("rehearse")(rehearse.rehearse)
app.command("up")(stack.up)
app.command("status")(stack.status)
app.command("logs")(stack.logs)
app.command("down")(stack.down)
app.add_typer(data.app, name="data")
app.add_typer(features.app, name="features")
app.add_typer(lake.app, name="lake")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(rules.app, name="rules")
app.add_typer(keys.app, name="keys")
app.add_typer(alerts.app, name="alerts")
app.command("train")(models.train)
app.command("gate")(gate.gate)
app.add_typer(drift.app, name="drift")
app.add_typer(releases.app, name="releases")
app.add_typer(rollout.app, name="rollout")
app.command("gate")(gate.gate)
app.command("approve")(approve.approve)
app.command("reject")(approve.reject)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(recommend.app, name="recommend")
app.command("send")(recommend.send)
app.command("why")(why.why)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tastemaker {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except TastemakerError as error:
        fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        fail("stopped")
        sys.exit(130)
