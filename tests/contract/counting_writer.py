"""A writer that counts exactly once, as the stream worker does; also a process that a test kills.

Batch n adds n to every row. A row is the offset after the last batch that it holds, and its sum, so that a batch that
is done again changes only the rows that have not got it.
"""

import os
import sys
import time
from pathlib import Path

from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.protocol import OnlineStore, StoreConflict

VIEW, TOPIC = "sum@1", "events"
KEYS = [f"u{number}" for number in range(40)] + [f"u{first}\x1fi{second}" for first in range(3) for second in range(5)]


def event_digest(number: int) -> bytes:
    return number.to_bytes(16, "little")


def decode(state: bytes | None) -> tuple[int, int]:
    """The next offset and the sum."""
    return (0, 0) if state is None else (int(state.split()[0]), int(state.split()[1]))


def count_once(store: OnlineStore) -> int:
    """Do the next batch; gives the position after it."""
    with store.transaction() as tx:
        offset = tx.positions(TOPIC).get(0, 0)
        if tx.register([event_digest(offset)], [0], [offset]) != [True]:
            raise AssertionError(f"event {offset} was counted under another offset")
        rows = [decode(state) for state in tx.get(VIEW, KEYS)]
        changed = [(key, total) for key, (after, total) in zip(KEYS, rows, strict=True) if after <= offset]
        tx.put(
            VIEW,
            [key for key, _ in changed],
            [offset] * len(changed),
            [b"%d %d %s" % (offset + 1, total + offset, b"." * 500) for _, total in changed],
        )
        tx.advance(TOPIC, {0: offset + 1})
    return offset + 1


def take_over(location: Path | str) -> OnlineStore:
    store = open_online_store(location)
    store.claim(TOPIC, [0])
    return store


if __name__ == "__main__":
    where = sys.argv[1]
    writer = take_over(where if ":" in where else Path(where))
    os.write(1, b"ready\n")
    while True:
        try:
            count_once(writer)
        except StoreConflict:
            time.sleep(0.01)
