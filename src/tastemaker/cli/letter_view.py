"""One dead letter for a person: where it came from, what is wrong, and its content with the failing field marked."""

import re
from collections.abc import Iterator

import msgspec
from rich.text import Text

from tastemaker.clock import from_us
from tastemaker.events.dead_letter import DeadLetter

__all__ = ["describe", "pretty"]

_KEY = re.compile(r'^( *)("(?:[^"\\]|\\.)*"): ')
_INDENT = 2


def describe(letter_id: str, letter: DeadLetter, replayed: str) -> Iterator[Text]:
    """The lines to show.

    Args:
        letter_id: see :class:`tastemaker.stream.dead_letter_box.Entry`.
        letter: with its bytes.
        replayed: when and whereto, or empty.
    """
    key = "none" if letter.key is None else letter.key.decode(errors="backslashreplace")
    for name, value in (
        ("letter", letter_id),
        ("failed at", f"{from_us(letter.failed_at_us):%Y-%m-%d %H:%M:%S} UTC"),
        ("key", key),
        ("field", letter.field or "the whole record"),
        ("reason", letter.reason),
        ("replayed", replayed or "no"),
    ):
        yield Text.assemble((f"{name:10}", "bold"), value)
    yield Text()
    if letter.raw is None:
        yield Text("no value: a tombstone", "dim")
        return
    for line, marked in pretty(letter.raw, letter.field):
        yield Text.assemble((line, "bold red"), (f"   ◀ {letter.reason}", "red")) if marked else Text(line)
    if letter.truncated:
        yield Text(f"(cut off here: only the first {len(letter.raw):,} bytes are kept)", "dim")


def pretty(raw: bytes, field: str) -> Iterator[tuple[str, bool]]:
    """The lines of a record, indented where it is JSON, and whether the field stands there.

    Args:
        raw: any bytes; what is no UTF-8 is shown as escaped bytes.
        field: a path such as ``context.device``; none is marked where the record does not have it.
    """
    try:
        text = msgspec.json.format(raw, indent=_INDENT).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        for line in raw.decode(errors="backslashreplace").splitlines():
            yield line, False
        return
    path: list[str] = []
    wanted = field.split(".")
    for line in text.splitlines():
        found = _KEY.match(line)
        if not found:
            yield line, False
            continue
        depth = len(found[1]) // _INDENT
        path[depth - 1 :] = [msgspec.json.decode(found[2], type=str)]
        yield line, path == wanted
