"""Which partitions a worker has, and where it takes them up."""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tastemaker import names
from tastemaker.broker.protocol import Positions
from tastemaker.stream.backlog import Backlog
from tastemaker.stream.online_state import OnlineState
from tastemaker.stream.sinks import LakeSink

__all__ = ["Ownership"]

_LOG = logging.getLogger(__name__)
_STATEFUL = (names.TOPIC_EVENTS, names.TOPIC_ITEMS)
_RELEASE_S = 20.0


class Ownership:
    """See :class:`tastemaker.broker.protocol.GroupListener`.

    Whoever works on records of the partitions holds :attr:`lock` and looks at :attr:`generation` first: so partitions
    change hands only between two batches.

    Args:
        state: the online state.
        sinks: the ways into the lake, by topic.
        backlog: what was read of the partitions.
    """

    def __init__(self, state: OnlineState, sinks: Mapping[str, LakeSink[Any]], backlog: Backlog) -> None:
        self._state = state
        self._sinks = sinks
        self._backlog = backlog
        self.lock = threading.RLock()
        self.generation = 0
        self.online: dict[str, dict[int, int]] = {}

    def assigned(self, partitions: Mapping[str, Sequence[int]]) -> Positions:
        """Take partitions over from whoever had them, and start each at the older of what state and lake have."""
        with self.lock:
            self._next_generation()
            start: dict[str, dict[int, int]] = {}
            for topic, sink in self._sinks.items():
                own = list(partitions.get(topic, ()))
                if topic in _STATEFUL:
                    self._state.claim(topic, own)
                in_lake = sink.claim(own)
                online = self._state.positions(topic) if topic in _STATEFUL else in_lake
                self.online[topic] = {partition: online.get(partition, 0) for partition in own}
                if own:
                    start[topic] = {p: min(in_lake[p], self.online[topic][p]) for p in own}
        _LOG.info("reading from %s", start)
        return start

    def revoked(self, lost: bool) -> None:
        """Let go of everything: what was applied goes to the lake first, unless others are at work there already."""
        with self.lock:
            self._next_generation()
            for sink in self._sinks.values():
                if lost:
                    sink.discard()
                else:
                    sink.release(_RELEASE_S)
            self.online = {}
        _LOG.info("gave up all partitions%s", ", because the group took this worker for dead" if lost else "")

    def advance(self, topic: str, last: Mapping[int, int]) -> dict[int, int]:
        """The positions that the online state has with these records, never behind those it had."""
        online = self.online[topic]
        for partition, offset in last.items():
            online[partition] = max(online[partition], offset + 1)
        return {partition: online[partition] for partition in last}

    def _next_generation(self) -> None:
        self.generation += 1
        self._backlog.clear()
