"""How an aggregate view's state is packed: rows of 64-bit integers, the same in memory, on disk and in SQL.

A row is ``kind, start, slot 0, slot 1, ...``. A slot is a partial aggregate that several features may share.
``kind`` says what the row covers:

- ``0, 1, ...``: a tile of that tile group, beginning at ``start``;
- :data:`BASE`: everything older than the head, for lifetime features;
- :data:`HEAD`: the events at exactly ``start``, newer than ``HEAD_US`` before the entity's newest event.

Rows are in the order base, tiles by group and start, head by start. The state is a function of the set of events:
neither their order nor the cuts between batches leave a trace in it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US, HEAD_US, decay_weights, floor_to

__all__ = ["BASE", "HEAD", "Layout", "Slot", "TileGroup", "layout_of"]

BASE: Final = -2
HEAD: Final = -1


@dataclass(frozen=True, slots=True)
class Slot:
    """One partial aggregate: ``last`` time, ``count``, or ``sum`` of micro-units, over some event types."""

    op: Literal["last", "count", "sum"]
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TileGroup:
    """Tiles of one size.

    Attributes:
        hop_us: length of a tile.
        horizon_us: how far back a read can look; older tiles are dropped.
        slots: the slots that its windows need; the others are zero in its rows.
    """

    hop_us: int
    horizon_us: int
    slots: tuple[int, ...]

    def oldest_start(self, newest_us: int) -> int:
        """Start of the oldest tile that a read may still need, given the entity's newest event."""
        return floor_to(newest_us - HEAD_US - self.horizon_us, self.hop_us)


@dataclass(frozen=True, slots=True)
class Layout:
    """Slots and tile groups of an aggregate view.

    Attributes:
        slots: slot 0 is the newest event of any type that the view sees.
        groups: one per tile size.
        base_slots: slots of the base row: ``last`` slots and those of lifetime features.
        feature_slots: slot by feature, in the order of the view's features.
        feature_groups: tile group by feature; None where the feature reads the base row.
    """

    slots: tuple[Slot, ...]
    groups: tuple[TileGroup, ...]
    base_slots: tuple[int, ...]
    feature_slots: tuple[int, ...]
    feature_groups: tuple[int | None, ...]

    @property
    def width(self) -> int:
        """Integers per row."""
        return 2 + len(self.slots)


_OP: Final[dict[str, Literal["last", "count", "sum"]]] = {
    "count": "count",
    "decayed_count": "count",
    "sum": "sum",
    "time_since_last": "last",
}


def _hop(feature: FeatureSpec) -> int:
    """Tile size that a feature needs; 0 where it reads the base row."""
    if feature.function == "decayed_count":
        return DAY_US
    return feature.slide_us if feature.window_us and feature.function != "time_since_last" else 0


def _horizon(feature: FeatureSpec) -> int:
    if feature.function == "decayed_count":
        return len(decay_weights(feature.half_life_us)) * DAY_US
    return feature.window_us


@lru_cache(maxsize=256)
def layout_of(view: ViewPlan) -> Layout:
    """The layout of an aggregate view; the same for every process that has the plan."""
    slots = [Slot("last", tuple(sorted(view.types)))]
    feature_slots = []
    for feature in view.features:
        slot = Slot(_OP[feature.function], feature.types)
        if slot not in slots:
            slots.append(slot)
        feature_slots.append(slots.index(slot))
    hops = sorted({_hop(feature) for feature in view.features} - {0})
    members = {
        hop: [
            (slot, feature) for slot, feature in zip(feature_slots, view.features, strict=True) if _hop(feature) == hop
        ]
        for hop in [0, *hops]
    }
    return Layout(
        slots=tuple(slots),
        groups=tuple(
            TileGroup(
                hop_us=hop,
                horizon_us=max(_horizon(feature) for _, feature in members[hop]),
                slots=tuple(sorted({slot for slot, _ in members[hop]})),
            )
            for hop in hops
        ),
        base_slots=tuple(sorted({0} | {slot for slot, _ in members[0]})),
        feature_slots=tuple(feature_slots),
        feature_groups=tuple(hops.index(_hop(f)) if _hop(f) else None for f in view.features),
    )
