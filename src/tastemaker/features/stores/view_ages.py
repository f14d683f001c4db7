"""Which views an online store has rows of, and how far those are that are being built."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from tastemaker.features.keys import bucket_of

__all__ = ["REBUILD", "Progress", "ViewAges", "read_ages"]

REBUILD: Final = "rebuild"
"""The metadata of a store that is new, or was emptied because its format was an earlier one: why it is to be built."""
_CURRENT: Final = "current_views"
_FORMER: Final = "former_views"
_BUILDING: Final = "building_views"
_PROGRESS: Final = "building_progress"


class _Metadata(Protocol):
    def get_meta(self, key: str) -> str | None: ...


class _WritableMetadata(Protocol):
    def set_meta(self, key: str, value: str) -> None: ...


class Progress(NamedTuple):
    """How far a view is built: its keys are in ``of`` buckets, of which the first ``done`` are finished.

    ``of`` is 0 before the first of them is begun.
    """

    done: int = 0
    of: int = 0

    def includes(self, key: str) -> bool:
        """Whether a key's row is built, so that live events go to it; before that the lake has them."""
        return bool(self.of) and bucket_of(key) % self.of < self.done


@dataclass(frozen=True, slots=True)
class ViewAges:
    """Signatures of views.

    Attributes:
        current: complete, and kept up to date.
        former: those of the declarations before the last change. Nothing updates them any more; a release that was
            trained with them reads them as they stood, until one that was trained with the new ones replaces it.
        building: not complete yet. One that is in ``former`` too is readable meanwhile.
    """

    current: tuple[str, ...]
    former: tuple[str, ...] = ()
    building: Mapping[str, Progress] | None = None

    @property
    def unfinished(self) -> Mapping[str, Progress]:
        """What is being built."""
        return self.building or {}

    @property
    def live(self) -> frozenset[str]:
        """The views that events are applied to."""
        return frozenset(self.current) | self.unfinished.keys()

    @property
    def known(self) -> frozenset[str]:
        """The views that there are rows of."""
        return self.live | frozenset(self.former)

    def changed_to(self, wanted: Iterable[str]) -> "ViewAges":
        """After a change of the declarations.

        Views that are not complete have to be built; going on with one that was begun. The views that are replaced
        become the former ones. If the change before this one was never completed, its former views stay as well,
        because the releases that read them may be live still.
        """
        wanted = tuple(wanted)
        if self.live == set(wanted):
            return self
        building = {view: self.unfinished.get(view, Progress()) for view in wanted if view not in self.current}
        kept = self.former if self.building else [view for view in self.former if view in building]
        return ViewAges(
            current=tuple(view for view in wanted if view in self.current),
            former=tuple(dict.fromkeys((*kept, *(view for view in self.current if view not in wanted)))),
            building=building,
        )

    def anew(self, views: Iterable[str]) -> "ViewAges":
        """With complete views to be built once more; what was begun already goes on.

        The rows that are there stay readable until the last of them is replaced.
        """
        again = [view for view in dict.fromkeys(views) if view in self.current]
        return ViewAges(
            current=tuple(view for view in self.current if view not in again),
            former=tuple(dict.fromkeys((*self.former, *again))),
            building={**self.unfinished, **dict.fromkeys(again, Progress())},
        )

    def advanced(self, view: str, progress: Progress) -> "ViewAges":
        """With a view's progress; one whose last bucket is done is current from then on."""
        if progress.done < progress.of:
            return replace(self, building={**self.unfinished, view: progress})
        return ViewAges(
            current=(*self.current, view),
            former=tuple(other for other in self.former if other != view),
            building={other: own for other, own in self.unfinished.items() if other != view},
        )

    def write(self, metadata: _WritableMetadata) -> None:
        """Keep it with the rows."""
        metadata.set_meta(_CURRENT, "\n".join(self.current))
        metadata.set_meta(_FORMER, "\n".join(self.former))
        metadata.set_meta(_BUILDING, "\n".join(self.unfinished))
        metadata.set_meta(_PROGRESS, "\n".join(f"{done}/{of}" for done, of in self.unfinished.values()))


def read_ages(metadata: _Metadata) -> ViewAges | None:
    """What a store says; None of one that never had rows."""
    current = metadata.get_meta(_CURRENT)
    if current is None:
        return None
    views = (metadata.get_meta(_BUILDING) or "").splitlines()
    progress = (metadata.get_meta(_PROGRESS) or "").splitlines() if views else []
    return ViewAges(
        current=tuple(current.splitlines()),
        former=tuple((metadata.get_meta(_FORMER) or "").splitlines()),
        building={view: Progress(*map(int, text.split("/"))) for view, text in zip(views, progress, strict=True)},
    )
