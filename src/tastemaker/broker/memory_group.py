"""The consumer groups of the in-process broker: who has which partition, with the rules that Kafka's have."""

import threading
import time
from collections.abc import Sequence

__all__ = ["MemoryGroup"]

Place = tuple[str, int]


class MemoryGroup:
    """One group. Partitions are given out when every member has given up those that it had."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._members: list[object] = []
        self._ready: set[int] = set()
        self._places: list[Place] = []
        self.generation = 0

    def join(self, member: object, places: Sequence[Place]) -> None:
        """A new member, which wants to share these partitions."""
        with self._changed:
            self._places = list(places)
        self.rejoin(member)

    def rejoin(self, member: object) -> None:
        """A member comes back that the group took for dead."""
        with self._changed:
            self._members.append(member)
            self._next_generation()

    def leave(self, member: object) -> None:
        """A member goes, or is taken for dead."""
        with self._changed:
            if self.has(member):
                self._members = [other for other in self._members if other is not member]
                self._next_generation()

    def has(self, member: object) -> bool:
        """Whether a consumer is a member."""
        return any(other is member for other in self._members)

    def members(self) -> list[object]:
        """The members, in the order of joining."""
        return list(self._members)

    def assignment(self, member: object, deadline: float) -> tuple[int, list[Place]] | None:
        """What a member that has given up its partitions gets, with the generation that it holds for.

        Args:
            member: which one.
            deadline: of ``time.monotonic``; None is returned when others still hold partitions then.
        """
        with self._changed:
            self._ready.add(id(member))
            self._changed.notify_all()
            while len(self._ready) < len(self._members):
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
            place = next(index for index, other in enumerate(self._members) if other is member)
            return self.generation, self._places[place :: len(self._members)]

    def _next_generation(self) -> None:
        self.generation += 1
        self._ready.clear()
        self._changed.notify_all()
