"""``tastemaker features``: declarations, catalogue, online store."""

from typing import Annotated

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.steps import Steps

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="What is declared in feature_repo/: apply it, list it, bring it into the online store."
)


@app.command("apply")
def apply_command() -> None:
    """Register the declarations of feature_repo/ with Feast and compile them for the stream worker and the recommender.

    Next: `tastemaker features rebuild`, if a declaration changed what is stored.
    """
    from tastemaker.features.repository import apply

    with Steps(console).step("Applying the declarations") as step:
        plan = apply(current_settings())
        step.done(
            f"{sum(len(view.features) for view in plan.views)} features in {len(plan.views)} views, plan {plan.hash}"
        )


@app.command("list")
def list_command(
    view: Annotated[str | None, typer.Option(help="Only this view.")] = None,
) -> None:
    """List every feature: view, entities, type, description, owner."""
    from tastemaker.features.repository import list_features

    table = Table("view", "feature", "of", "type", "description", "owner")
    for row in list_features(current_settings()):
        if view in {None, row.view}:
            table.add_row(row.view, row.name, " × ".join(row.entities), row.dtype, row.description, row.owner)
    console.print(table if table.row_count else f"No view is called {view}; `tastemaker features list` shows all.")


@app.command("materialize")
def materialize_command() -> None:
    """Bring batch views from the lake into the online store, up to now. Stream views need no such step."""
    from tastemaker.features.repository import materialize

    settings = current_settings()
    with Steps(console).step("Materialising") as step:
        step.done(", ".join(materialize(settings, settings.clock.now())))


@app.command("rebuild")
def rebuild_command() -> None:
    """Build the online store's stream views anew from the lake, in one transaction. The stack must be down."""
    from tastemaker.stack.workspace import rebuild_online

    with Steps(console).step("Rebuilding the online store from the lake"):
        rebuild_online(current_settings())
