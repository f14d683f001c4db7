"""Every feature of every entity, from the lake, from the stream and as served, over the full Online Retail replay.

All events go through the stream worker's own code, batch by batch into an SQLite store and the lake, by an in-process
broker: late within and beyond what is allowed, out of order, some twice and some corrected or taken back. Between
whiles the worker is stopped, everything is compared as of that moment, and it starts again.
"""

import tempfile
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.goal import Goal
from benchmarks.parity_arrivals import Arrivals, arrivals_of
from benchmarks.parity_compare import Comparison, Moment, compare_derived, compare_view
from tastemaker import names
from tastemaker.broker.memory import MemoryBroker
from tastemaker.broker.topics import TOPICS
from tastemaker.cli.data import load_source
from tastemaker.clock import from_us
from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.features.repository import materialize
from tastemaker.features.semantics import DAY_US
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stack.workspace import prepare
from tastemaker.stream.consume import Worker, WorkerCounts
from tastemaker.stream.worker import open_state

__all__ = ["run"]

_SEED: Final = 20_111_209
_MOMENTS: Final = 8
_SAMPLE: Final = 20_000
_QUIET_US: Final = 7 * DAY_US  # after the last event: windows decay while nothing happens


def run() -> list[Goal]:
    """Mismatches between batch, stream and served values on the full Online Retail replay: none."""
    console, found = Console(), Comparison()
    repository = Path(__file__).parents[1]
    dataset = load_source("online-retail", None, repository)
    arrivals = arrivals_of(dataset, _SEED)
    console.print(
        f"{arrivals.events:,} events of Online Retail: {arrivals.repeated:,} of them come twice,"
        f" {arrivals.too_late:,} too late to count, and {arrivals.corrections:,} correct another one or take it back"
    )
    with tempfile.TemporaryDirectory() as home:
        # Records keep the time of their arrival; the clock only has to be past all of them.
        settings = Settings(home=Path(home), repository=repository).with_clock_at(
            from_us(arrivals.records[-1].at_us + 2 * _QUIET_US)
        )
        _replay(settings, prepare(settings), arrivals, found, console)
    console.print(_table(found))
    for example in found.examples:
        console.print(example, highlight=False)
    return [
        Goal("parity, mismatches", found.mismatched, "<=", 0),
        Goal("parity, values compared", found.compared, ">", 5_000_000),
    ]


def _replay(settings: Settings, plan: FeaturePlan, arrivals: Arrivals, found: Comparison, console: Console) -> None:
    broker = MemoryBroker({name: topic.partitions for name, topic in TOPICS.items()})
    producer = broker.producer()
    counts = WorkerCounts()
    # As the recommender's: opened once, and following the store from then on.
    reader: FeatureReader | None = None
    resident: ResidentMatrix | None = None
    cuts = np.linspace(0, len(arrivals.records), _MOMENTS + 1).astype(int).tolist()
    for begin, end in pairwise(cuts):
        began = time.monotonic()
        for record in arrivals.records[begin:end]:
            producer.send(record.topic, record.key, record.value, record.headers)
        counts = WorkerCounts(*map(sum, zip(counts, _consume(settings, plan, broker), strict=True)))
        at_us = arrivals.records[end - 1].at_us + 1
        materialize(settings, from_us(at_us))
        streamed = time.monotonic()
        reader = reader or FeatureReader(settings.online_location, plan)
        resident = resident or _resident(reader, plan, at_us)
        last = end == len(arrivals.records)
        with Lake(settings.lake_dir).connect() as duck:
            for moment_us in [at_us, at_us + _QUIET_US] if last else [at_us]:
                moment = Moment(moment_us, duck, reader, resident)
                _compare(found, plan, moment, None if last and moment_us == at_us else _SAMPLE)
        console.print(
            f"{from_us(at_us):%Y-%m-%d %H:%M}: {end - begin:,} records in {streamed - began:.1f} s,"
            f" compared in {time.monotonic() - streamed:.1f} s; {found.compared:,} values,"
            f" {found.mismatched:,} mismatches so far",
            highlight=False,
        )
    if reader is not None:
        reader.close()
    if (counts.events, counts.duplicates, counts.dead_letters) != (arrivals.events, arrivals.repeated, 0):
        raise DataError(f"the worker took {counts}, but {arrivals.events} events came, and {arrivals.repeated} twice")


def _consume(settings: Settings, plan: FeaturePlan, broker: MemoryBroker) -> WorkerCounts:
    """A worker from its start to its end, once there is nothing left to read."""
    lake = Lake(settings.lake_dir)
    with closing(open_state(settings, plan, lake)) as state, closing(broker.consumer("workers")) as consumer:
        worker = Worker(consumer, broker.producer(), state, lake, settings.clock)
        worker.start()
        while worker.step(0):
            pass
        worker.close()
    return worker.counts


def _resident(reader: FeatureReader, plan: FeaturePlan, now_us: int) -> ResidentMatrix:
    """What the recommender keeps of products: it follows the store from now on."""
    kept = {
        view.name: None
        for view in plan.views
        if view.join_keys == (names.ITEM_ID,) and any(feature.is_numeric for feature in view.features)
    }
    return ResidentMatrix(reader.store, plan, kept, now_us)


def _compare(found: Comparison, plan: FeaturePlan, moment: Moment, sample: int | None) -> None:
    while not moment.resident.refresh(moment.at_us):
        pass
    for view in plan.views:
        compare_view(found, view, moment, sample, _SEED)
    pairs = _pairs(moment, _SAMPLE)
    for derived in plan.on_demand:
        if derived.inputs:
            compare_derived(found, derived, moment, pairs)


def _pairs(moment: Moment, count: int) -> list[tuple[str, str]]:
    """Users with an item that they dealt with."""
    return moment.duck.execute(
        f"SELECT DISTINCT {names.USER_ID}, {names.ITEM_ID} FROM {names.TABLE_EVENTS} WHERE {names.USER_ID} IS NOT NULL"
        f" AND {names.ITEM_ID} IS NOT NULL ORDER BY hash({names.USER_ID} || {names.ITEM_ID}) LIMIT {count}"
    ).fetchall()


def _table(found: Comparison) -> Table:
    table = Table("view", "stream", "differs", "served", "differs", title="Values compared with the lake's")
    for view in dict.fromkeys(view for view, _ in found.tally):
        counts = [found.tally[view, what] for what in ("stream", "stream differs", "served", "served differs")]
        table.add_row(view, *(f"{count:,}" for count in counts))
    return table
