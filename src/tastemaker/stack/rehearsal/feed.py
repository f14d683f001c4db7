"""The shop's feed: a sample of its real shoppers, and what a broken export makes of its last days.

What a till's new export does to a shop is made of mistakes that shops know: amounts in pence instead of pounds, no
categories, and days instead of times. Who bought what, and on which day, stays as it really was.
"""

import time
import zlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.broker.kafka import KafkaProducer
from tastemaker.errors import StackError
from tastemaker.events.adapters.dataset import Dataset
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.replay import replay

__all__ = ["BROKEN", "break_export", "deliver", "sample_shoppers"]

BROKEN = ("value", "price", "category")
"""Columns of what shoppers did that :func:`break_export` changes and that no season moves so far."""
_PENCE = 100.0


def sample_shoppers(dataset: Dataset, one_in: int) -> Dataset:
    """All events of one known shopper in so many, chosen by a hash of the id; guests are left out.

    >>> [user for user in ("u1", "u2", "u3", "u4") if zlib.crc32(user.encode()) % 2 == 0]
    ['u1', 'u2', 'u3']
    """
    users = pc.dictionary_encode(dataset.events[names.USER_ID].combine_chunks())
    chosen = [user is not None and zlib.crc32(user.encode()) % one_in == 0 for user in users.dictionary.to_pylist()]
    places = pc.fill_null(users.indices, len(chosen)).to_numpy(zero_copy_only=False)
    return replace(dataset, events=dataset.events.filter(pa.array(np.append(chosen, False)[places])))


def break_export(events: pa.Table) -> pa.Table:
    """Events as the broken export tells them.

    Args:
        events: columns of ``SCHEMAS["events"]``.

    Returns:
        As many, with ``value`` and ``price`` times 100, no ``category``, and the midnight before as ``occurred_at``.
    """
    told = {
        names.VALUE: pc.multiply(events[names.VALUE], _PENCE),
        names.PRICE: pc.multiply(events[names.PRICE], _PENCE),
        names.CATEGORY: pa.chunked_array([pa.nulls(events.num_rows, pa.string())]),
        names.OCCURRED_AT: pc.floor_temporal(events[names.OCCURRED_AT], unit="day"),
    }
    for name, column in told.items():
        events = events.set_column(events.schema.get_field_index(name), events.schema.field(name), column)
    return events


def deliver(settings: Settings, events: pa.Table, timeout_s: float = 120.0) -> int:
    """Send events through Kafka, and wait until the worker has brought them into the lake.

    Returns:
        How many there are.

    Raises:
        StackError: they are not in the lake in time.
        BrokerError: Kafka does not take them.
    """
    producer = KafkaProducer(settings)
    try:
        sent = replay(producer, events).events
    finally:
        producer.close()
    first, last = (bound.as_py() for bound in pc.min_max(events[names.OCCURRED_AT]).values())
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with Lake(settings.lake_dir).connect() as duck:
            row = duck.execute(
                f"SELECT count(*) FROM {names.TABLE_EVENTS} WHERE {names.OCCURRED_AT} BETWEEN ? AND ?"
                f" AND {names.PARTITION} >= 0",
                [first, last],
            ).fetchone()
        if row is not None and row[0] >= sent:
            return sent
        time.sleep(0.5)
    raise StackError("the worker did not finish the feed's events in time; see run/logs/worker.log of the home")
