"""What the worker needs of the online state."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from tastemaker.features.streaming.state import ConsumedEvent, ConsumedItem
from tastemaker.lake.tables import Lake

__all__ = ["BeforeCommit", "OnlineState"]

BeforeCommit = Callable[[list[bool]], None]
"""Called with the answers of :meth:`OnlineState.apply` when all but the commit is done; may be called again."""


class OnlineState(Protocol):
    """See :class:`tastemaker.features.streaming.state.FeatureState`."""

    @property
    def building(self) -> bool:
        """Whether some view is still being built from the lake."""
        ...

    def claim(self, topic: str, partitions: Iterable[int]) -> None:
        """Take over partitions from whoever wrote their state before."""
        ...

    def positions(self, topic: str) -> Mapping[int, int]:
        """Next offset to read, by partition."""
        ...

    def apply(
        self,
        records: Sequence[ConsumedEvent],
        positions: Mapping[int, int],
        before_commit: BeforeCommit | None = None,
    ) -> list[bool]:
        """Apply events and positions in one transaction; True for each first occurrence of an event id."""
        ...

    def apply_items(self, records: Sequence[ConsumedItem], positions: Mapping[int, int]) -> object:
        """Apply items and positions in one transaction."""
        ...

    def build_step(self, lake: Lake) -> float:
        """Go on with building for a short while; returns how much is done, from 0 to 1."""
        ...
