"""A shop whose answer is known: each shopper buys from one category only, and the same staple every time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pyarrow as pa

from tastemaker import names
from tastemaker.clock import Clock, from_us, to_us
from tastemaker.events.contract import Event
from tastemaker.events.item import Item
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.repository import apply
from tastemaker.features.streaming.state import ConsumedEvent, ConsumedItem, FeatureState
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.release.tower_parameters import ReleaseTowerParameters
from tastemaker.retrieval.parameters import RetrievalParameters
from tastemaker.serving.recommender import Recommender
from tastemaker.settings import Settings
from tastemaker.training.pipeline import TrainedRelease, train_release

CUT = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 100
CATEGORIES = ("kitchen", "garden", "toys", "office")
PER_CATEGORY = 12
USERS = 80
PARAMETERS = TrainingParameters(
    towers=ReleaseTowerParameters(
        encoder="weighted-mean",
        chosen={
            "dimension": 16,
            "epochs": 8,
            "batch": 256,
            "window": 32,
            "learning_rate": 0.01,
            "average": 0.9,
            "compiled": False,
        },
    ),
    ranker=ReleaseRankerParameters(hidden=(16,), epochs=16, batch_lists=16),
    retrieval=RetrievalParameters(limit=48),
)


@dataclass(frozen=True)
class StoppedClock(Clock):
    """Says the same moment until it is replaced."""

    def now_us(self) -> int:
        """The moment, in microseconds."""
        return self.offset_us


def item(category: str, number: int, **changes) -> Item:
    """Item ``number`` of a category; its title has the category's word and its own."""
    made = Item(
        item_id=f"{category}-{number}",
        title=f"{category.title()} thing number{number}",
        category=("shop", category),
        price=2.0 + CATEGORIES.index(category) * 10,
        created_at=CUT - timedelta(days=DAYS),
    )
    return msgspec.structs.replace(made, **changes)


def category_of(user: int) -> str:
    """The one category that a user buys from."""
    return CATEGORIES[user % len(CATEGORIES)]


def staple_of(user: int) -> str:
    """The item that a user buys every time."""
    return f"{category_of(user)}-{user // len(CATEGORIES) % PER_CATEGORY}"


@dataclass
class Shop:
    """A platform home with lake, online store and a release."""

    settings: Settings
    trained: TrainedRelease

    def open(self, online: Path, now: datetime = CUT) -> "OpenShop":
        """A fresh online store, as of the cut, with the recommender on it."""
        plan = FeaturePlan.load(self.settings.plan_path)
        state = FeatureState.open(online, plan)
        state.bootstrap(Lake(self.settings.lake_dir))
        recommender = Recommender(self.trained.directory, FeatureReader(online, plan), StoppedClock(to_us(now)))
        return OpenShop(state, recommender, now)


@dataclass
class OpenShop:
    """A recommender, and the worker's end of its online store."""

    state: FeatureState
    recommender: Recommender
    now: datetime
    offset: int = 0

    def send(self, event_type: str, item_id: str, *, user: str | None = None, session: str | None = None) -> None:
        """One event, ten seconds ago."""
        event = Event(
            event_id=f"live-{self.offset}",
            type=event_type,
            occurred_at=self.now - timedelta(seconds=10),
            user_id=user,
            session_id=session,
            item_id=item_id,
        )
        self.state.apply([ConsumedEvent(event, 0, self.offset)], {0: self.offset + 1})
        self.offset += 1

    def change(self, item_id: str, changed: Item | None) -> None:
        """An item's new state, or its removal, and the look for it."""
        self.state.apply_items([ConsumedItem(item_id, changed, to_us(self.now), 0, self.offset)], {0: self.offset + 1})
        self.offset += 1
        self.recommender.refresh()


def make_shop(home: Path, repository: Path) -> Shop:
    """Fill a lake and train a release by the whole pipeline."""
    settings = Settings(home=home, repository=repository)
    lake = Lake(settings.lake_dir)
    lake.create()
    lake.append(names.TABLE_ITEMS, items_table(), {"shop": 0})
    lake.append(names.TABLE_EVENTS, purchases_table(), {"shop": 0})
    plan = apply(settings)
    trained = train_release(settings, plan, CUT, home / "release-1", seed=1, parameters=PARAMETERS)
    return Shop(settings, trained)


def items_table() -> pa.Table:
    """The catalogue."""
    rows = []
    for category in CATEGORIES:
        for number in range(PER_CATEGORY):
            made = item(category, number)
            rows.append(
                {
                    names.ITEM_ID: made.item_id,
                    names.TITLE: made.title,
                    names.CATEGORY: list(made.category),
                    names.PRICE: made.price,
                    names.BRAND: None,
                    names.ATTRIBUTES: "{}",
                    names.AVAILABLE: True,
                    names.CREATED_AT: made.created_at,
                    names.UPDATED_AT: made.created_at,
                    names.DELETED: False,
                    names.PARTITION: -1,
                    names.OFFSET: -1,
                }
            )
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_ITEMS])


def purchases_table() -> pa.Table:
    """Once a week each user buys the staple and one more item of the category, on different days."""
    random = Random(3)
    rows = []
    for user in range(USERS):
        for day in range(user % 7, DAYS, 7):
            at = CUT - timedelta(days=DAYS - day) + timedelta(hours=9, minutes=user % 60)
            other = random.choice([f"{category_of(user)}-{number}" for number in range(PER_CATEGORY)])
            for place, item_id in enumerate(dict.fromkeys([staple_of(user), other])):
                rows.append(purchase(f"u{user}-{day}-{place}", f"u{user}", item_id, at + timedelta(seconds=place)))
    rows.sort(key=lambda row: (row[names.OCCURRED_AT], row[names.EVENT_ID]))
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_EVENTS])


def purchase(event_id: str, user: str | None, item_id: str, at: datetime, session: str | None = None) -> dict:
    """A row of the events table."""
    return {
        names.EVENT_ID: event_id,
        names.TYPE: "purchase",
        names.USER_ID: user,
        names.SESSION_ID: session,
        names.ITEM_ID: item_id,
        names.OCCURRED_AT: from_us(to_us(at)),
        names.VALUE: 2.0,
        names.CONTEXT: "{}",
        names.SCHEMA_VERSION: 1,
        names.EXTRA: "{}",
        names.INGESTED_AT: at,
        names.PARTITION: -1,
        names.OFFSET: -1,
    }


__all__ = [
    "CATEGORIES",
    "CUT",
    "PARAMETERS",
    "PER_CATEGORY",
    "USERS",
    "OpenShop",
    "Shop",
    "category_of",
    "item",
    "make_shop",
    "purchase",
    "staple_of",
]
