"""Kill worker, broker, store and collector at random points under load, then compare every feature with the batch."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from benchmarks.fault_check import Comparison, compare
from benchmarks.fault_load import ITEMS, Load
from benchmarks.fault_stack import FaultStack, StoreKind, fault_stack
from benchmarks.goal import Goal
from benchmarks.local_kafka import wait_until
from tastemaker import names
from tastemaker.broker.kafka import KafkaConsumer
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.repository import materialize
from tastemaker.features.stores.opening import open_online_reader
from tastemaker.features.stores.protocol import StoreUnavailable
from tastemaker.lake.offsets import committed_offsets
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stack.workspace import prepare

__all__ = ["FaultRun", "Outcome", "drain", "positions", "run", "run_faults"]

_HOUR_US = 3_600_000_000
_LATER_US = (0, 2 * _HOUR_US, 10 * 24 * _HOUR_US)
_MOMENT_S = 2.0  # how long to wait for a commit or an append to begin, to kill in the middle of it
_FROZEN_S = 14.0  # longer than a session of the consumer group: another worker takes over meanwhile
_STILL_S = 120.0  # without any progress: whoever catches up after a kill may take long on a busy machine


@dataclass
class Outcome:
    """What a run did and found.

    Attributes:
        kills: by victim.
        frozen: how often a worker stood still until the group had gone on without it.
        sent: events that the collector accepted.
        repeated: of those, sent once more after their confirmation.
        retried: sent again for want of one.
        corrections: how many correct or take back another.
        lost: accepted events that the lake lacks.
        doubled: events that the lake has more than once.
        unknown: rows of the lake that nobody sent.
        comparisons: one of each round.
    """

    kills: Counter[str] = field(default_factory=Counter)
    frozen: int = 0
    sent: int = 0
    repeated: int = 0
    retried: int = 0
    corrections: int = 0
    lost: int = 0
    doubled: int = 0
    unknown: int = 0
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def mismatched(self) -> int:
        """Values that differ, of all rounds."""
        return sum(found.mismatched for found in self.comparisons)

    def __str__(self) -> str:
        last = self.comparisons[-1]
        return (
            f"{self.kills.total()} kills ({', '.join(f'{n} {victim}' for victim, n in sorted(self.kills.items()))}),"
            f" {self.frozen} takeovers from a worker that stood still\n"
            f"{self.sent:,} events: {self.repeated:,} sent once more, {self.retried:,} retried,"
            f" {self.corrections:,} corrections; lost {self.lost}, doubled {self.doubled}, unknown {self.unknown}\n"
            f"{last.features} features of {last.entities:,} entities;"
            f" {sum(found.values for found in self.comparisons):,} values compared, {self.mismatched} mismatches"
        )


class FaultRun:
    """One stack under load, and who is killed when.

    Args:
        stack: its broker and store run.
        seed: of the load and of the kills.
        pause_s: between two requests of the load.
    """

    def __init__(self, stack: FaultStack, seed: int, pause_s: float = 0.0) -> None:
        self.stack = stack
        self.settings: Settings = stack.settings
        self.plan: FeaturePlan = prepare(self.settings)
        self.load = Load(self.settings.collector_url, seed, pause_s)
        self.outcome = Outcome()
        self._random = random.Random(seed + 1)
        self._reader: Any = None

    def start(self) -> None:
        """Start collector and workers; the catalogue gets its items."""
        self.stack.start_and_wait("collector", *self.stack.workers)
        answer = httpx.post(f"{self.settings.collector_url}/v1/items", json=ITEMS, trust_env=False)
        answer.raise_for_status()
        self._reader = open_online_reader(self.settings.online_location)

    def strike(self, victim: str, then_s: float = 0.5) -> None:
        """Kill one at a moment that hurts, start it again, and go on once the others or it do their work again.

        Args:
            victim: its name.
            then_s: the longest time until it is started again.
        """
        self._await_moment()
        self.stack.check()
        self.stack.kill(victim)
        self.outcome.kills[victim.partition("-")[0]] += 1
        time.sleep(self._random.uniform(0, then_s))
        self.stack.start(victim)

    def freeze(self, victim: str) -> None:
        """Have a worker stand still until others have its partitions, then let it go on."""
        self._await_moment()
        self.stack.freeze(victim)
        time.sleep(_FROZEN_S)
        self.stack.thaw(victim)
        self.outcome.frozen += 1

    def await_progress(self) -> None:
        """Wait until events are applied again."""
        before = self.applied()
        wait_until(
            f"progress beyond {before} events (see {self.stack.logs})",
            lambda: self._checked() and self.applied() > before,
        )

    def applied(self) -> int:
        """How many records of events the online store has passed; -1 while it is away."""
        try:
            return sum(self._reader.positions(names.TOPIC_EVENTS).values())
        except StoreUnavailable:
            return -1

    def finish(self) -> None:
        """Wait until everything is everywhere, and compare."""
        drain(self.settings, self._checked)
        load, outcome = self.load, self.outcome
        outcome.sent, outcome.repeated = len(load.accepted), load.repeated
        outcome.retried, outcome.corrections = load.retried, load.corrections
        with Lake(self.settings.lake_dir).connect() as duck:
            rows = duck.execute(f"SELECT {names.EVENT_ID}, count(*) FROM {names.TABLE_EVENTS} GROUP BY 1").fetchall()
        in_lake = {event_id for event_id, _ in rows}
        outcome.lost = len(load.accepted - in_lake)
        outcome.unknown = len(in_lake - load.accepted)
        outcome.doubled = sum(count > 1 for _, count in rows)
        materialize(self.settings, self.settings.clock.now())
        now_us = self.settings.clock.now_us()
        outcome.comparisons.append(compare(self.settings, self.plan, [now_us + later for later in _LATER_US]))

    def _checked(self) -> bool:
        self.stack.check()
        return True

    def _await_moment(self) -> None:
        """Wait for the middle of a commit, or of an append to the lake, or for any moment."""
        look: Callable[[], Any] = self._random.choice((lambda: None, self._store_work, self._lake_work))
        time.sleep(self._random.uniform(0, 1.0))
        began, before = time.monotonic(), look()
        while look() == before is not None and time.monotonic() < began + _MOMENT_S:
            time.sleep(0.0005)

    def _store_work(self) -> object:
        """Something that changes as soon as the store is written to."""
        location = self.settings.online_location
        if isinstance(location, Path):
            with suppress(FileNotFoundError):
                stat = location.with_name(location.name + "-wal").stat()
                return stat.st_size, stat.st_mtime_ns
            return None
        import redis

        with suppress(redis.RedisError):
            return redis.Redis.from_url(location).info("persistence")["aof_current_size"]
        return None

    def _lake_work(self) -> object:
        """Something that changes when an append begins, which writes files before it commits them."""
        return sum(1 for _ in (self.settings.lake_dir / names.TABLE_EVENTS).glob("*.parquet"))


def run_faults(
    store: StoreKind,
    kills: int,
    seed: int,
    *,
    repository: Path,
    rounds: int = 1,
    workers: int = 2,
    freezes: int = 0,
    victims: Sequence[str] = (),
    prepared: Path | None = None,
) -> Outcome:
    """A stack whose processes are killed under load, again and again.

    Args:
        store: the online store: a file that is written to by the workers that are killed, or a server that is killed.
        kills: how many.
        seed: of everything that is random.
        repository: with the declarations.
        rounds: after how many parts of the kills to compare.
        workers: how many share the partitions.
        freezes: in how many of the rounds a worker also stands still while another takes over from it.
        victims: who is killed, in this order, again and again; when left out every process, workers twice as often,
            in random order.
        prepared: see :func:`benchmarks.fault_stack.fault_stack`.
    """
    pick = random.Random(seed + 2)
    with fault_stack(store, workers, repository, prepared) as stack:
        faults = FaultRun(stack, seed)
        faults.start()
        waiting: list[str] = []
        for number in range(rounds):
            with faults.load.sending():
                faults.await_progress()
                for _ in range(kills * number // rounds, kills * (number + 1) // rounds):
                    if not waiting:
                        waiting = list(victims) or pick.sample(turn := [*stack.names, *stack.workers], len(turn))
                    faults.strike(waiting.pop(0))
                    if pick.random() > 0.25:  # else the next one dies while this one starts
                        faults.await_progress()
                if number < freezes:
                    faults.freeze(pick.choice(stack.workers))
                    faults.await_progress()
            faults.finish()
        return faults.outcome


def positions(settings: Settings) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """By partition of the events topic, the next offset of the topic, the lake and the online store."""
    with closing(KafkaConsumer(settings)) as consumer:
        ends = consumer.end_offsets([names.TOPIC_EVENTS])[names.TOPIC_EVENTS]
    held = committed_offsets(Lake(settings.lake_dir).open(names.TABLE_EVENTS), names.TOPIC_EVENTS, ends)
    with closing(open_online_reader(settings.online_location)) as reader:
        online = reader.positions(names.TOPIC_EVENTS)
    lake = {partition: held.get(partition, -1) + 1 for partition in ends}
    return ends, lake, {partition: online.get(partition, 0) for partition in ends}


def drain(settings: Settings, meanwhile: Callable[[], object]) -> None:
    """Wait until lake and online store have every event of the topic.

    Args:
        settings: where they are.
        meanwhile: asked now and then; may raise.

    Raises:
        SystemExit: neither has got any further for two minutes.
    """
    before: tuple[dict[int, int], dict[int, int], dict[int, int]] | None = None
    deadline = time.monotonic() + _STILL_S
    while True:
        meanwhile()
        ends, lake, online = found = positions(settings)
        if ends == lake == online:
            return
        if found != before:
            before, deadline = found, time.monotonic() + _STILL_S
        if time.monotonic() > deadline:
            raise SystemExit(
                f"of events until {ends} the lake has {lake}, the online store {online}, and no more comes"
            )
        time.sleep(0.1)


def run() -> list[Goal]:
    """60 kills of worker, broker, store and collector under load; then every feature as the batch has it."""
    console = Console()
    kills = int(os.environ.get("FAULT_KILLS", "60"))
    seed = int(os.environ.get("FAULT_SEED", "1"))
    goals = []
    total = 0
    stores: tuple[StoreKind, ...] = ("sqlite", "redis")
    for number, store in enumerate(stores):
        began = time.monotonic()
        share = kills // 2 + (kills % 2 if number else 0)
        outcome = run_faults(store, share, seed + number, rounds=3, freezes=1, repository=Path.cwd())
        console.print(f"{store}: {outcome}, in {time.monotonic() - began:.0f} s", highlight=False)
        total += outcome.kills.total()
        goals += [
            Goal(
                f"{store}: events lost, doubled or unknown", outcome.lost + outcome.doubled + outcome.unknown, "<=", 0
            ),
            Goal(f"{store}: values that differ from the batch", outcome.mismatched, "<=", 0),
        ]
    return [Goal("kills", total, ">", 49), *goals]
