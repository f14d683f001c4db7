"""Event ids are forgotten when a duplicate could not count any more, and not before."""

from datetime import UTC, datetime

import pytest

from tastemaker import names
from tastemaker.events.contract import Event
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.stores.memory import MemoryStore
from tastemaker.features.streaming.state import ConsumedEvent, FeatureState
from tastemaker.stream.pruning import Pruning

DAY = 86_400_000_000
HOUR_S = 3600.0


def plan(*latenesses: int) -> FeaturePlan:
    """A view of purchases per allowed lateness in days; 0 allows any."""
    bought = FeatureSpec(
        name="bought", dtype="int64", function="count", column=names.EVENT_ID, types=("purchase",), default=0.0
    )
    return FeaturePlan(
        views=tuple(
            ViewPlan(
                name=f"view_{place}",
                kind="aggregate",
                entities=("user",),
                join_keys=(names.USER_ID,),
                features=(bought,),
                table=names.TABLE_EVENTS,
                timestamp_field=names.OCCURRED_AT,
                lateness_us=days * DAY,
            )
            for place, days in enumerate(latenesses)
        )
    )


def bought(event_id: str, offset: int) -> ConsumedEvent:
    event = Event(event_id=event_id, type="purchase", occurred_at=datetime(2026, 1, 1, tzinfo=UTC), user_id="u")
    return ConsumedEvent(event, 0, offset)


@pytest.mark.parametrize(
    ("latenesses", "age_days", "forgotten"),
    [
        ((30,), 32, 1),  # later than 30 days and the day of margin
        ((30,), 31, 0),  # 31 days exactly: before the moment, not at it
        ((30, 60), 32, 0),  # the longest counts
        ((30, 60), 92, 1),
        ((30, 0), 10_000, 0),  # a view that allows any lateness
    ],
)
def test_ids_are_kept_as_long_as_a_duplicate_could_count(
    latenesses: tuple[int, ...], age_days: int, forgotten: int
) -> None:
    now = [0]
    declared = plan(*latenesses)
    state = FeatureState(MemoryStore(f"pruning-{latenesses}-{age_days}", now_us=lambda: now[0]), declared)
    state.apply([bought("a", 0)], {0: 1})
    now[0] = age_days * DAY
    assert Pruning(state, declared.views, now_us=lambda: now[0]).tick() == forgotten
    # Whoever comes again is a duplicate where the id is still known.
    assert state.apply([bought("a", 1)], {0: 2}) == [bool(forgotten)]


def test_an_hour_passes_between_two_looks() -> None:
    now, seconds = [0], [0.0]
    declared = plan(30)
    state = FeatureState(MemoryStore("hourly", now_us=lambda: now[0]), declared)
    pruning = Pruning(state, declared.views, now_us=lambda: now[0], monotonic_s=lambda: seconds[0])
    assert pruning.tick() == 0
    state.apply([bought("a", 0)], {0: 1})
    now[0] = 40 * DAY
    seconds[0] = HOUR_S - 1
    assert pruning.tick() == 0
    seconds[0] = HOUR_S
    assert pruning.tick() == 1
