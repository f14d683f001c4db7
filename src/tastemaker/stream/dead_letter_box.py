"""The dead-letter topic as a box of letters: which there are, which were replayed, and each as it came.

A letter may stand in the topic twice, because a worker that is killed between burying and committing buries again;
its key names the record that it is about, and so each is shown once. A replay leaves a note under the same key.
"""

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from tastemaker import names
from tastemaker.broker.protocol import Consumer, Record
from tastemaker.errors import ContractError, DataError
from tastemaker.events.dead_letter import DeadLetter, decode_dead_letter

__all__ = ["DeadLetterBox", "Entry", "Note", "full_id", "note_headers"]

_LOG = logging.getLogger(__name__)
_POLL_MS = 250
_POLL_RECORDS = 500
_IDLE_POLLS = 12
_PREFIX = "tastemaker."


class Note(NamedTuple):
    """That a letter was replayed.

    Attributes:
        at_us: when, in the platform's time (microseconds since the epoch).
        to: where the broker put the record: topic, partition and offset, joined with colons.
    """

    at_us: int
    to: str


class Entry(NamedTuple):
    """A letter in the box.

    Attributes:
        id: topic, partition and offset of the record, joined with colons.
        letter: what is said of the record, without its bytes.
        size: of the bytes that are kept of it; None for a tombstone.
        replayed: the last replay.
    """

    id: str
    letter: DeadLetter
    size: int | None
    replayed: Note | None


def note_headers(note: Note) -> tuple[tuple[str, bytes], ...]:
    """The headers of the record that says that a letter was replayed."""
    return (names.HEADER_REPLAYED_AT, b"%d" % note.at_us), (names.HEADER_REPLAYED_TO, note.to.encode())


class DeadLetterBox:
    """Reads the dead-letter topic, each time from its beginning to what was its end then.

    Args:
        consumer: used by this box alone.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def entries(self) -> list[Entry]:
        """All letters, the newest failure first; the bytes are left out, so that any number fits into memory.

        Raises:
            BrokerError: the broker is away, or has no such topic.
        """
        found: dict[str, Entry] = {}
        notes: dict[str, Note] = {}
        for record in self._records():
            note = _note_of(record)
            if note is not None:
                notes[_id_of(record)] = note
                continue
            letter = _letter_of(record)
            if letter is not None:
                size = None if letter.raw is None else len(letter.raw)
                found.setdefault(
                    _id_of(record), Entry(_id_of(record), msgspec.structs.replace(letter, raw=None), size, None)
                )
        entries = [entry._replace(replayed=notes.get(entry.id)) for entry in found.values()]
        return sorted(entries, key=lambda entry: (-entry.letter.failed_at_us, entry.id))

    def letters(self, ids: Iterable[str]) -> Iterator[tuple[str, DeadLetter]]:
        """Letters with their bytes, each once, in the order of the topic, one at a time in memory.

        Args:
            ids: as :meth:`entries` has them.

        Raises:
            DataError: the box has no letter of some id; said after the others came.
            BrokerError: the broker is away, or has no such topic.
        """
        wanted = set(ids)
        for record in self._records():
            if not wanted:
                return
            letter = _letter_of(record) if _id_of(record) in wanted and _note_of(record) is None else None
            if letter is not None:
                wanted.discard(_id_of(record))
                yield _id_of(record), letter
        if wanted:
            raise DataError(
                f"no dead letter is called {', '.join(sorted(wanted))}; `tastemaker dead-letters list` shows their ids"
            )

    def _records(self) -> Iterator[Record]:
        topic = names.TOPIC_DEAD_LETTERS
        positions = dict(self._consumer.beginning_offsets([topic])[topic])
        ends = self._consumer.end_offsets([topic])[topic]
        self._consumer.assign({topic: positions})
        idle = 0
        while any(positions[partition] < end for partition, end in ends.items()):
            records = self._consumer.poll(_POLL_MS, _POLL_RECORDS)
            for record in records:
                positions[record.partition] = record.offset + 1
                yield record
            idle = 0 if records else idle + 1
            if idle >= _IDLE_POLLS:
                # Either the last offsets hold no record (retention took them), or the broker is away: ask it.
                self._consumer.end_offsets([topic])
                return


def full_id(text: str) -> str:
    """An id as a person writes it, who may leave the platform's prefix out: ``events:2:17``."""
    return text if text.startswith(_PREFIX) else _PREFIX + text


def _id_of(record: Record) -> str:
    return (record.key or b"").decode(errors="replace")


def _note_of(record: Record) -> Note | None:
    headers = dict(record.headers)
    at = headers.get(names.HEADER_REPLAYED_AT, b"")
    if not at.isdigit():
        return None
    return Note(int(at), headers.get(names.HEADER_REPLAYED_TO, b"").decode(errors="replace"))


def _letter_of(record: Record) -> DeadLetter | None:
    try:
        return decode_dead_letter(record.value or b"")
    except ContractError as error:
        _LOG.warning("%s[%d] offset %d is %s", record.topic, record.partition, record.offset, error.problem)
        return None
