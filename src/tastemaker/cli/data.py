"""``tastemaker data``: bring data sets in, as history or as live events."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.steps import Steps
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.events.adapters.dataset import Dataset

__all__ = ["LIVE_DAYS", "app", "load_source", "replay_start"]

app = typer.Typer(no_args_is_help=True, help="Bring data sets in: history into the lake, live events through Kafka.")
LIVE_DAYS = 28

Source = Annotated[
    str, typer.Argument(help="online-retail (shipped), completejourney (an extra), or a CSV or Parquet file.")
]
Mapping = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="For a file: YAML with `columns` (event field: column; a constant is `=purchase`), and optionally"
        " type_values, timestamp, timezone, name, items.",
    ),
]
LiveDays = Annotated[int, typer.Option(min=0, help="Days at the end of the data that are live events.")]


def load_source(source: str, mapping: Path | None, repository: Path) -> "Dataset":
    """Read one of the known data sets or a file.

    Raises:
        DataError: no such file, no mapping for a file, or a mapping that does not fit.
    """
    from tastemaker.events.adapters import completejourney, online_retail, tabular

    if source == "online-retail":
        return online_retail.load(repository / "data" / "online_retail.parquet")
    if source == "completejourney":
        return completejourney.load()
    if mapping is None:
        raise DataError(
            f"{source!r} is neither online-retail nor completejourney; a file needs --mapping FILE.yaml, such as\n"
            "  columns: {user_id: customer, item_id: sku, occurred_at: time, type: =purchase}"
        )
    fields: Any = yaml.safe_load(mapping.read_text())
    if not isinstance(fields, dict):
        raise DataError(f"{mapping}: a mapping is YAML with the key `columns`")
    try:
        if fields.get("items"):
            fields["items"] = tabular.ItemMapping(**{**fields["items"], "path": Path(fields["items"]["path"])})
        return tabular.load(Path(source), tabular.TableMapping(**fields))
    except (TypeError, KeyError) as error:
        raise DataError(
            f"{mapping}: {error}; a mapping has columns, type_values, timestamp, timezone, name, items"
        ) from error


def replay_start(dataset: "Dataset", live_days: int) -> datetime:
    """Midnight (UTC) that begins the last ``live_days`` days of the data; after the data when there are none."""
    day_after = dataset.last_event.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
        days=1
    )
    return day_after - timedelta(days=live_days)


@app.command("import")
def import_(
    source: Source,
    mapping: Mapping = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay", help="The data is historical: set the platform's clock to its end, and leave the live days out."
        ),
    ] = False,
    live_days: LiveDays = LIVE_DAYS,
) -> None:
    """Bring a data set into the lake, and from there into the online store. The stack must be down.

    Next: `tastemaker up`, then `tastemaker data replay SOURCE` for the live days, then `tastemaker train`.
    """
    from tastemaker.stack.workspace import import_history

    settings = current_settings()
    steps = Steps(console)
    with steps.step(f"Reading {source}") as step:
        dataset = load_source(source, mapping, settings.repository)
        step.done(f"{dataset.events.num_rows:,} events, {dataset.items.num_rows:,} items")
    console.print(dataset.report)
    if replay:
        settings = settings.with_clock_at(dataset.last_event + timedelta(minutes=1))
        dataset, _ = dataset.split(replay_start(dataset, live_days))
    with steps.step("Into the lake") as step:
        added = import_history(settings, dataset)
        step.done(f"{added.events:,} new events, {added.items:,} new items; {added.known_events:,} were there already")


@app.command("replay")
def replay_command(
    source: Source,
    mapping: Mapping = None,
    live_days: LiveDays = LIVE_DAYS,
    speed: Annotated[
        float | None,
        typer.Option(min=0.001, help="Times faster than they happened; left out: as fast as Kafka takes them."),
    ] = None,
) -> None:
    """Send the last days of a data set through Kafka as live events. The stack must be up.

    Running it again is harmless: an event counts once.
    """
    from tastemaker.broker.kafka import KafkaProducer
    from tastemaker.stream.replay import replay

    settings = current_settings()
    steps = Steps(console)
    with steps.step(f"Reading {source}"):
        dataset = load_source(source, mapping, settings.repository)
        _, live = dataset.split(replay_start(dataset, live_days))
    with steps.step("Replaying") as step:
        producer = KafkaProducer(settings)
        try:
            sent = replay(
                producer,
                live.events,
                live.items,
                speed=speed,
                progress=lambda done, total: step.progress(f"{done:,} of {total:,} events"),
            )
        finally:
            producer.close()
        step.done(f"{sent.items:,} items and {sent.events:,} events are in Kafka")
