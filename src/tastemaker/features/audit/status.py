"""What the online store has of each declared view."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tastemaker.clock import from_us
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.protocol import StoreReader
from tastemaker.features.stores.view_ages import Progress, ViewAges, read_ages

__all__ = ["ViewState", "ViewStatus", "former_views", "view_status"]

ViewState = Literal["complete", "building", "missing"]


@dataclass(frozen=True)
class ViewStatus:
    """One view.

    Attributes:
        view: its name.
        kind: ``aggregate``, ``history`` or ``batch``.
        entities: what it is of.
        features: how many it has.
        rows: entities that have a row.
        newest: time of the newest event or table row of any; None without rows.
        state: ``building``: from the lake, and as far as ``progress``; ``missing``: nobody has begun to build it.
        readable: whether its rows are served; one that is built anew is, as it was before.
        progress: of the build.
    """

    view: str
    kind: str
    entities: tuple[str, ...]
    features: int
    rows: int
    newest: datetime | None
    state: ViewState
    readable: bool
    progress: Progress | None = None


def view_status(plan: FeaturePlan, reader: StoreReader | None) -> list[ViewStatus]:
    """Every stored view of a plan.

    Args:
        plan: the applied declarations.
        reader: of the online store; None where there is none yet.
    """
    ages = (read_ages(reader) if reader is not None else None) or ViewAges(())
    found = []
    for view in plan.views:
        signature = view.signature
        progress = ages.unfinished.get(signature)
        rows, newest = reader.size(signature) if reader is not None and signature in ages.known else (0, None)
        state: ViewState = "complete" if signature in ages.current else "missing" if progress is None else "building"
        found.append(
            ViewStatus(
                view=view.name,
                kind=view.kind,
                entities=view.entities,
                features=len(view.features),
                rows=rows,
                newest=None if newest is None else from_us(newest),
                state=state,
                readable=signature in {*ages.current, *ages.former},
                progress=progress,
            )
        )
    return found


def former_views(plan: FeaturePlan, reader: StoreReader) -> Iterable[str]:
    """Names of views whose rows of an earlier declaration are kept, for the releases that were trained with them."""
    ages = read_ages(reader) or ViewAges(())
    declared = {view.signature for view in plan.views}
    return sorted({view.partition("@")[0] for view in ages.former if view not in declared})
