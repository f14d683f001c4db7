"""A lake beside a feature state, and stores whose rows can be compared."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tastemaker import names
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.stores.protocol import Row
from tastemaker.features.streaming.state import ConsumedEvent, FeatureState
from tastemaker.features.streaming.tails import fold_states
from tastemaker.lake.tables import Lake
from tastemaker.stream.rows import event_rows

__all__ = ["LakeSide", "rebuilt", "rows_of"]


class LakeSide:
    """What a worker does beside its state: first occurrences are brought into the lake, each offset once."""

    def __init__(self, path: Path) -> None:
        self.lake = Lake(path)
        self.lake.create()
        self.gathered: list[ConsumedEvent] = []
        self.held: dict[int, int] = {}

    def gather(self, records: Sequence[ConsumedEvent]) -> Callable[[list[bool]], None]:
        """What to do before a batch is committed: bring it into the lake."""

        def before_commit(answers: list[bool]) -> None:
            self.add(records, answers)
            self.flush()

        return before_commit

    def add(self, records: Sequence[ConsumedEvent], answers: list[bool]) -> None:
        fresh = [record for record, first in zip(records, answers, strict=True) if first]
        known = {(record.partition, record.offset) for record in self.gathered}
        self.gathered += [record for record in fresh if (record.partition, record.offset) not in known]
        for record in records:
            self.held[record.partition] = max(self.held.get(record.partition, -1), record.offset)

    def flush(self) -> None:
        apps = {f"worker:{names.TOPIC_EVENTS}:{partition}": offset for partition, offset in self.held.items()}
        committed = self.lake.versions(names.TABLE_EVENTS, apps)
        new = [r for r in self.gathered if r.offset > committed.get(f"worker:{names.TOPIC_EVENTS}:{r.partition}", -1)]
        self.lake.append(names.TABLE_EVENTS, event_rows(new), apps)
        self.gathered = []


def rows_of(state: FeatureState, plan: FeaturePlan) -> dict[str, dict[str, tuple[int, bytes]]]:
    """Every row by view and key, as one state where it has tails."""
    reader = state.store.reader()
    return {view.name: _whole(view, dict(reader.all_rows(view.signature))) for view in plan.views}


def _whole(view: ViewPlan, rows: dict[str, Row]) -> dict[str, tuple[int, bytes]]:
    states = [row.state for row in rows.values()]
    if view.kind != "batch":
        states = fold_states(view, states)
    return {key: (row.event_us, state) for (key, row), state in zip(rows.items(), states, strict=True)}


def rebuilt(lake: Lake, plan: FeaturePlan, name: str) -> dict[str, dict[str, tuple[int, bytes]]]:
    """The rows that the lake alone gives."""
    fresh = FeatureState.open(f"memory:{name}-rebuilt", plan)
    fresh.bootstrap(lake)
    rows = rows_of(fresh, plan)
    fresh.close()
    return rows
