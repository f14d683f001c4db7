"""What is kept in process follows a store of any kind, through its changes alone, and equals what a reader reads."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.events.contract import Event
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.features.semantics import DAY_US
from tastemaker.features.streaming.state import ConsumedEvent, FeatureState

NOW_US = 18_000 * DAY_US + DAY_US // 2
BUY = ("purchase",)
VIEW = ViewPlan(
    name="by_item",
    kind="aggregate",
    entities=("item",),
    join_keys=("item_id",),
    features=(
        FeatureSpec(
            name="buys_2d",
            dtype="int64",
            function="count",
            column="event_id",
            types=BUY,
            window_us=2 * DAY_US,
            slide_us=DAY_US,
            default=0,
        ),
        FeatureSpec(name="spend", dtype="float64", function="sum", column="value", types=BUY, default=0),
        FeatureSpec(name="since", dtype="float64", function="time_since_last", column="occurred_at", types=BUY),
        FeatureSpec(name="buyers", dtype="int64", function="approx_distinct", column="user_id", types=BUY, n=64),
    ),
    table=names.TABLE_EVENTS,
    timestamp_field="occurred_at",
)
PLAN = FeaturePlan(views=(VIEW,))
ITEMS = [f"i{number}" for number in range(30)]
NUMBERED = [*ITEMS, "unknown"]


class Shop:
    """A store that is written, one that is read, and what is in process."""

    def __init__(self, location: Path | str) -> None:
        self.state = FeatureState.open(location, PLAN)
        self.offset = 0
        self.buy(ITEMS[:20], days_ago=1)
        self.reader = FeatureReader(location, PLAN)
        self.resident = ResidentMatrix(self.reader.store, PLAN, {VIEW.name: None}, NOW_US)
        self.resident.number_by(lambda key: NUMBERED.index(str(key)))

    def buy(self, items: list[str], days_ago: float) -> None:
        """Everyone of three buys each of them."""
        records = []
        for item in items:
            for user in range(3):
                event = Event(
                    event_id=f"e{self.offset}",
                    type="purchase",
                    occurred_at=from_us(NOW_US) - timedelta(days=days_ago, minutes=self.offset % 50),
                    user_id=f"u{user}",
                    item_id=item,
                    value=1.25 * user,
                )
                records.append(ConsumedEvent(event, 0, self.offset))
                self.offset += 1
        self.state.apply(records, {0: self.offset})

    def follow(self, now_us: int = NOW_US) -> None:
        while not self.resident.refresh(now_us, limit=7):
            pass

    def assert_equal(self, now_us: int = NOW_US) -> np.ndarray:
        found = self.resident.matrix(VIEW.name, NUMBERED, now_us)
        expected = self.reader.matrix(VIEW.name, NUMBERED, now_us)
        assert found.tobytes() == expected.tobytes()
        rows = np.arange(len(NUMBERED))[::-1]
        by_row = self.resident.matrix_of_rows(VIEW.name, rows, NUMBERED.__getitem__, now_us)
        assert by_row.tobytes() == expected[::-1].tobytes()
        return found


@pytest.fixture
def shop(location: Path | str):
    shop = Shop(location)
    yield shop
    shop.reader.close()
    shop.state.close()


def test_rows_are_those_of_the_reader_as_windows_decay(shop: Shop) -> None:
    found = shop.assert_equal()
    # Three bought each of the first 20 a day ago, for 0 + 1.25 + 2.5.
    assert found[0, :2].tolist() == [3, 3.75]
    assert found[25, :2].tolist() == [0, 0]
    for days in (1, 2, 3, 40):
        shop.assert_equal(NOW_US + days * DAY_US)
        shop.follow(NOW_US + days * DAY_US)
        assert shop.assert_equal(NOW_US + days * DAY_US)[0, 1] == 3.75


def test_changes_of_known_and_new_rows_are_followed(shop: Shop) -> None:
    shop.buy(ITEMS[10:], days_ago=0.1)
    before = shop.resident.matrix(VIEW.name, ITEMS, NOW_US)
    assert before[25, 0] == 0
    shop.follow()
    assert shop.assert_equal()[25, 0] == 3
    assert shop.assert_equal()[15, 0] == 6


def test_deleted_rows_are_at_their_defaults(shop: Shop) -> None:
    with shop.state.store.transaction() as tx:
        tx.delete(VIEW.signature, ITEMS[:2])
    shop.follow()
    assert shop.assert_equal()[0, :2].tolist() == [0, 0]


def test_view_that_was_emptied_and_written_anew_is_read_again(shop: Shop) -> None:
    with shop.state.store.transaction() as tx:
        tx.drop_view(VIEW.signature)
    shop.follow()
    assert not shop.assert_equal()[:, :2].any()
    shop.state = FeatureState(shop.state.store, PLAN)
    shop.buy(ITEMS[5:7], days_ago=0.5)
    shop.follow()
    assert shop.assert_equal()[5, 0] == 3
