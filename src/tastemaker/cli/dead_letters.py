"""``tastemaker dead-letters``: look at records that nobody could use, mend them, send them again."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings, errors
from tastemaker.cli.letter_view import describe
from tastemaker.cli.steps import Steps
from tastemaker.clock import from_us
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.settings import Settings
    from tastemaker.stream.dead_letter_box import DeadLetterBox, Entry, Note

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Records that the stream worker could not use. Each is kept for 30 days with the reason, and nothing waits"
    " for it: look at it, mend the cause or the record, and send it again. The stack must be up.",
)

Reason = Annotated[str, typer.Option(help="Only those whose reason or field contains this text.")]


@app.command("list")
def list_command(
    reason: Reason = "",
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="For machines: one array, with what is left out here.")
    ] = False,
) -> None:
    """List dead letters, the newest first, each once: where it came from, when, why, and whether it was replayed.

    Next: `tastemaker dead-letters show ID`, then `tastemaker dead-letters replay ID`.
    """
    with _box(current_settings()) as box:
        entries = _matching(box.entries(), reason)
    shown = entries[:limit]
    if as_json:
        console.print_json(json.dumps([_fields(entry) for entry in shown]))
        return
    waiting = sum(entry.replayed is None for entry in entries)
    console.print(f"{len(entries):,} dead letters, {waiting:,} of them not replayed", highlight=False)
    if not shown:
        return
    table = Table("id", "failed at", "field", "reason", "replayed")
    for entry in shown:
        letter = entry.letter
        when = f"{from_us(letter.failed_at_us):%Y-%m-%d %H:%M:%S}"
        table.add_row(entry.id, when, letter.field or "-", letter.reason, _replayed(entry.replayed) or "no")
    console.print(table, markup=False)
    if len(entries) > limit:
        console.print(f"… and {len(entries) - limit:,} more: --limit shows them, --reason narrows it down.")


@app.command("show")
def show_command(letter: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Show one dead letter whole: where it was, what is wrong, and its content with the failing field marked.

    Next: `tastemaker dead-letters replay ID`, with `--fix FILE` and a corrected copy if the record itself is wrong.
    """
    from tastemaker.stream.dead_letter_box import full_id

    with _box(current_settings()) as box:
        ((letter_id, found),) = box.letters([full_id(letter)])
        (entry,) = [entry for entry in box.entries() if entry.id == letter_id]
    for line in describe(letter_id, found, _replayed(entry.replayed)):
        console.print(line, highlight=False, soft_wrap=True)


@app.command("replay")
def replay_command(
    letters: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="As `list` shows them.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
    reason: Reason = "",
    fix: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The corrected record, as JSON, to send instead; for one ID."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed before.")] = False,
) -> None:
    """Send dead letters back to the topic that they came from, checked first: what would fail again is refused.

    Use it after the cause is mended (an item is known now, the platform understands more), or with --fix. An event
    that came through meanwhile counts once all the same. Exits with 1 if any was refused.
    """
    from tastemaker.broker.kafka import KafkaProducer
    from tastemaker.stream.dead_letter_box import full_id
    from tastemaker.stream.dead_letter_replay import Outcome, replay_letters

    if bool(letters) == all_:
        raise DataError("say which dead letters to replay: their ids, or --all (with --reason to narrow it down)")
    if fix is not None and len(letters or ()) != 1:
        raise DataError("--fix replaces one record; give exactly one id with it")
    settings = current_settings()
    content = fix.read_bytes() if fix else None
    refused: list[Outcome] = []
    with _box(settings) as box:
        ids = _chosen(box.entries(), [full_id(letter) for letter in letters or ()], reason, again=again)
        with Steps(console).step("Replaying") as step:
            producer = KafkaProducer(settings)
            try:
                for done, outcome in enumerate(
                    replay_letters(producer, box.letters(ids), settings.clock.now_us, content), start=1
                ):
                    if outcome.problem:
                        refused.append(outcome)
                    step.progress(f"{done:,} of {len(ids):,}")
            finally:
                producer.close()
            step.done(f"{len(ids) - len(refused):,} sent, {len(refused):,} refused because they would fail again")
    for outcome in refused[:20]:
        errors.print(f"{outcome.id}: {outcome.field or 'the whole record'}: {outcome.problem}", markup=False)
    if len(refused) > 20:
        for problem, count in Counter(outcome.problem for outcome in refused[20:]).most_common(10):
            errors.print(f"… and {count:,} more: {problem}", markup=False)
    if refused:
        raise typer.Exit(1)


def _chosen(entries: list["Entry"], wanted: list[str], reason: str, *, again: bool) -> list[str]:
    if not wanted:
        return [entry.id for entry in _matching(entries, reason) if again or entry.replayed is None]
    known = {entry.id: entry for entry in entries}
    for letter_id in wanted:
        entry = known.get(letter_id)
        if entry is not None and entry.replayed is not None and not again:
            raise DataError(f"{letter_id} was replayed {_replayed(entry.replayed)}; --again sends it once more")
    return wanted  # the box names those that it does not have


def _matching(entries: list["Entry"], reason: str) -> list["Entry"]:
    text = reason.lower()
    return [entry for entry in entries if text in f"{entry.letter.field} {entry.letter.reason}".lower()]


@contextmanager
def _box(settings: "Settings") -> Iterator["DeadLetterBox"]:
    from tastemaker.broker.kafka import KafkaConsumer
    from tastemaker.stream.dead_letter_box import DeadLetterBox

    consumer = KafkaConsumer(settings)
    try:
        yield DeadLetterBox(consumer)
    finally:
        consumer.close()


def _replayed(note: "Note | None") -> str:
    return f"{from_us(note.at_us):%Y-%m-%d %H:%M:%S} to {note.to}" if note else ""


def _fields(entry: "Entry") -> dict[str, object]:
    letter = entry.letter
    return {
        "id": entry.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "failed_at": from_us(letter.failed_at_us).isoformat(),
        "field": letter.field,
        "reason": letter.reason,
        "bytes": entry.size,
        "truncated": letter.truncated,
        "replayed_at": from_us(entry.replayed.at_us).isoformat() if entry.replayed else None,
        "replayed_to": entry.replayed.to if entry.replayed else None,
    }
