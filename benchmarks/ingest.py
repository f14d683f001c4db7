"""How fast the worker brings events from Kafka through all declared views into the online store and the lake."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import NamedTuple

import psutil
from rich.console import Console

from benchmarks.goal import Goal
from benchmarks.ingest_executor import executor_rate
from benchmarks.kafka_fill import fill
from benchmarks.local_kafka import local_kafka, process, wait_until
from tastemaker import names
from tastemaker.broker.kafka import KafkaConsumer
from tastemaker.features.stores.opening import open_online_reader
from tastemaker.lake.offsets import committed_offsets
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stack.workspace import prepare

__all__ = ["run"]

_EVENTS = 1_000_000
_WARM = 0.15  # share of the events that is not measured: compiled code is loaded, caches fill
_MEMORY_MB = 1024
_LITTLE_MEMORY_MB = 768  # so little that what the worker may keep is full early on
_EARLY = 0.4  # share of the events after which memory should not grow any more
_GROWTH = 1.1

# The client library and the decoder, and nothing else: what a loop that only consumes and decodes costs.
_REFERENCE = """
import sys, time
from kafka import KafkaConsumer, TopicPartition
from tastemaker.events.contract import decode_event
broker, topic, count, warm = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
consumer = KafkaConsumer(
    bootstrap_servers=broker, enable_auto_commit=False, max_poll_records=10_000,
    fetch_max_bytes=16 << 20, max_partition_fetch_bytes=4 << 20,
)
consumer.assign([TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))])
consumer.seek_to_beginning()
seen = 0
while seen < count:
    for records in consumer.poll(1_000).values():
        for record in records:
            decode_event(record.value)
        seen += len(records)
    if seen < warm:
        began, at, cpu = time.perf_counter(), seen, time.process_time()
print((seen - at) / (time.perf_counter() - began), (time.process_time() - cpu) / (seen - at) * 1e6)
"""


class Measured(NamedTuple):
    """What workers did.

    Attributes:
        rate: events per second.
        cpu_us: processor time of all their threads per event.
        peak: memory of the largest in bytes.
        early_peak: likewise, in the first part of the events.
    """

    rate: float
    cpu_us: float
    peak: int
    early_peak: int


def run() -> list[Goal]:
    """Events/s of one worker, 1M real events waiting in Kafka: above 40,000, above a quarter of consuming alone."""
    console = Console()
    count = int(os.environ.get("INGEST_EVENTS", _EVENTS))
    with local_kafka(worker_memory_mb=_MEMORY_MB) as settings:
        plan = prepare(settings)
        console.print(f"{len(plan.views)} views, {sum(len(view.features) for view in plan.views)} features declared")
        began = time.monotonic()
        fill(settings, count)
        console.print(
            f"{count:,} events of Online Retail, repeated, are in Kafka after {time.monotonic() - began:.0f} s"
        )
        reference, reference_cpu = _reference(settings, count)
        one = _measure(settings, count, workers=1)
        again, _ = _reference(settings, count)
        reference = (reference + again) / 2
        two = _measure(settings, count, workers=2)
        small = _measure(settings.model_copy(update={"worker_memory_mb": _LITTLE_MEMORY_MB}), count, workers=1)
        executor = executor_rate(settings, plan)
    console.print(
        f"consuming and decoding alone: {reference:,.0f}/s, {reference_cpu:.1f} µs of processor time per event\n"
        f"one worker: {one.rate:,.0f}/s, {one.cpu_us:.1f} µs; two workers: {two.rate:,.0f}/s, {two.cpu_us:.1f} µs:"
        f" {two.rate / one.rate:.2f} times one, where {os.cpu_count()} cores carry Kafka too\n"
        f"with {_LITTLE_MEMORY_MB} MiB: {small.rate:,.0f}/s, {small.peak / 2**20:,.0f} MiB at most,"
        f" {small.early_peak / 2**20:,.0f} MiB over the first {_EARLY:.0%} of the events\n"
        f"the executor alone, in memory, one thread: {executor:,.0f}/s\n"
        f"the machine's load was {os.getloadavg()[0]:.1f}"
    )
    return [
        Goal("events/s of one worker", one.rate, ">", 40_000),
        Goal("one worker, as a share of consuming and decoding alone", one.rate / reference, ">", 0.25),
        Goal("memory of one worker", one.peak / 2**20, "<=", _MEMORY_MB, " MiB"),
        Goal("memory of one that may have little", small.peak / 2**20, "<=", _LITTLE_MEMORY_MB, " MiB"),
        Goal("that peak, as a multiple of the one over the first events", small.peak / small.early_peak, "<=", _GROWTH),
    ]


def _reference(settings: Settings, count: int) -> tuple[float, float]:
    command = [
        sys.executable,
        "-c",
        _REFERENCE,
        settings.broker,
        names.TOPIC_EVENTS,
        str(count),
        str(int(count * _WARM)),
    ]
    rate, cpu_us = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(rate), float(cpu_us)


def _measure(settings: Settings, count: int, workers: int) -> Measured:
    for path in settings.home.glob("online.sqlite*"):
        path.unlink()
    shutil.rmtree(settings.lake_dir)
    lake = Lake(settings.lake_dir)
    lake.create()
    partitions = _partitions(settings)
    with ExitStack() as stack:
        running = [stack.enter_context(process(settings, "stream.worker")) for _ in range(workers)]
        wait_until("the workers", lambda: len(list(settings.run_dir.glob("worker*.ready"))) == workers)
        watched = [psutil.Process(worker.pid) for worker in running]
        reader = open_online_reader(settings.online_location)
        peak, early_peak, warm = 0, 0, None
        deadline = time.monotonic() + 600
        while True:
            done = sum(reader.positions(names.TOPIC_EVENTS).values())
            now, cpu = time.perf_counter(), sum(sum(part.cpu_times()[:2]) for part in watched)
            peak = max(peak, *(part.memory_info().rss for part in watched))
            if done < count * _EARLY:
                early_peak = peak
            if warm is None and done >= count * _WARM:
                warm = (done, now, cpu)
            if done >= count and _in_lake(lake, partitions) >= count:
                break
            if time.monotonic() > deadline or any(worker.poll() is not None for worker in running):
                raise SystemExit(f"the workers came to {done} of {count}; see {settings.run_dir}/logs")
            time.sleep(0.05)
        reader.close()
    assert warm is not None
    return Measured((count - warm[0]) / (now - warm[1]), (cpu - warm[2]) / (count - warm[0]) * 1e6, peak, early_peak)


def _partitions(settings: Settings) -> list[int]:
    consumer = KafkaConsumer(settings)
    try:
        return list(consumer.partitions(names.TOPIC_EVENTS))
    finally:
        consumer.close()


def _in_lake(lake: Lake, partitions: list[int]) -> int:
    held = committed_offsets(lake.open(names.TABLE_EVENTS), names.TOPIC_EVENTS, partitions)
    return sum(offset + 1 for offset in held.values())
