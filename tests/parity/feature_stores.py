"""Online stores in memory that hold what the naive packing gives, without any executor."""

from collections.abc import Iterable, Sequence
from itertools import count

from feature_packing import labels_of, packed_states
from feature_reference import Arrival, key_of, seen_by, time_of

from tastemaker.events.contract import Event
from tastemaker.features.history import HistoryEvent, newest_first, pack_history
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.semantics import HEAD_US
from tastemaker.features.stores.memory import MemoryStore
from tastemaker.features.stores.protocol import OnlineStore

__all__ = ["fresh_location", "fresh_store", "put_states", "states_of"]

_names = count()


def fresh_location() -> str:
    """The location of a store in memory that nobody has opened yet."""
    return f"memory:parity-{next(_names)}"


def fresh_store(plan: FeaturePlan) -> MemoryStore:
    """An empty store for a plan."""
    store = MemoryStore(fresh_location())
    with store.transaction() as transaction:
        transaction.set_meta("current_views", "\n".join(view.signature for view in plan.views))
    return store


def put_states(store: OnlineStore, views: Iterable[ViewPlan], arrivals: Sequence[Arrival | Event]) -> None:
    """Write the states of all entities, where they differ from what is there, and delete those that are gone."""
    reader = store.reader()
    with store.transaction() as transaction:
        transaction.put_labels(labels_of(arrivals))
        for view in views:
            before = {key: row.state for key, row in reader.all_rows(view.signature)}
            after = states_of(view, arrivals)
            changed = [key for key, (_, state) in after.items() if before.get(key) != state]
            transaction.put(
                view.signature, changed, [after[key][0] for key in changed], [after[key][1] for key in changed]
            )
            transaction.delete(view.signature, [key for key in before if key not in after])


def states_of(view: ViewPlan, arrivals: Sequence[Arrival | Event]) -> dict[str, tuple[int, bytes]]:
    """Time of the newest event and packed state by stored key."""
    own: dict[tuple[str, ...], list[Event]] = {}
    for event in seen_by(view, arrivals):
        own.setdefault(key_of(view, event) or (), []).append(event)
    packed = _histories(view, own) if view.kind == "history" else packed_states(view, arrivals)
    return {join_key(key): (max(map(time_of, own[key])), state) for key, state in packed.items()}


def _histories(view: ViewPlan, own: dict[tuple[str, ...], list[Event]]) -> dict[tuple[str, ...], bytes]:
    packed = {}
    for key, events in own.items():
        ordered = sorted(events, key=lambda event: (time_of(event), event.event_id), reverse=True)
        head = sum(time_of(event) >= time_of(ordered[0]) - HEAD_US for event in ordered)
        packed[key] = pack_history(
            [
                HistoryEvent(
                    time_of(event),
                    event.event_id,
                    event.item_id or "",
                    event.type,
                    event.category,
                    event.value,
                    event.price,
                )
                for event in ordered[: head + newest_first(view)]
            ]
        )
    return packed
