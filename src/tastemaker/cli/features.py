"""``tastemaker features``: declarations, catalogue, values, online store."""

import contextlib

import typer

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.features_explain import explain_command
from tastemaker.cli.features_list import list_command
from tastemaker.cli.features_rebuild import rebuild_command
from tastemaker.cli.features_status import status_command
from tastemaker.cli.features_ui import ui_command
from tastemaker.cli.features_verify import verify_command
from tastemaker.cli.steps import Steps
from tastemaker.errors import TastemakerError

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="What is declared in feature_repo/: apply it, look at it, ask where a value comes from, check what was read.",
)


@app.command("apply")
def apply_command() -> None:
    """Register the declarations of feature_repo/ with Feast and compile them for the stream worker and the recommender.

    May be run while the stack runs: the stream worker builds what is new from history, and lists are served meanwhile.

    Next: `tastemaker features rebuild` shows how far that is.
    """
    from tastemaker.features.repository import apply
    from tastemaker.stack.rebuild import pending_views

    settings = current_settings()
    with Steps(console).step("Applying the declarations") as step:
        plan = apply(settings)
        count = sum(len(view.features) for view in plan.views) + sum(len(view.features) for view in plan.on_demand)
        step.done(f"{count} features in {len(plan.views) + len(plan.on_demand)} views, plan {plan.hash}")
    pending: tuple[str, ...] = ()
    with contextlib.suppress(TastemakerError):  # a store that is away, or of an earlier format, is told of elsewhere
        pending = pending_views(settings, plan)
    if pending:
        console.print(
            f"{', '.join(pending)}: to be built from history, which a running stream worker begins within a second."
            " `tastemaker features rebuild` builds them, or shows how far the worker is.",
            highlight=False,
        )


app.command("list")(list_command)
app.command("status")(status_command)
app.command("explain")(explain_command)
app.command("verify")(verify_command)
app.command("rebuild")(rebuild_command)


@app.command("materialize")
def materialize_command() -> None:
    """Bring batch views from the lake into the online store, up to now. Stream views need no such step."""
    from tastemaker.features.repository import materialize

    settings = current_settings()
    with Steps(console).step("Materialising") as step:
        step.done(", ".join(materialize(settings, settings.clock.now())))


app.command("ui")(ui_command)
