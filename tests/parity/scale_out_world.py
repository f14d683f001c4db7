"""The shipped declarations over a small lake, on this machine and on a local Ray cluster."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from feature_histories import DAY_US, NOW_US, table_of

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.events.contract import Event
from tastemaker.features.repository import apply
from tastemaker.features.streaming.state import ConsumedEvent
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.settings import Settings

__all__ = ["EVENTS", "ITEMS", "World", "entity_frame", "events"]

REPOSITORY = Path(__file__).parents[2]
EVENTS, PARTITION_ROWS = 4000, 2500
TYPES = ["view", "view", "view", "cart_add", "purchase", "purchase", "wishlist", "return", "search"]
# Ids that only their escaping keeps apart in a key, and one that is not text in the entity frame.
USERS = [*(f"u{number}" for number in range(120)), "u\x1fi1", "u\x1b", "17"]
ITEMS = [*(f"i{number}" for number in range(60)), "i\x00", "1\x1fi1"]
BEGIN_US = NOW_US - 400 * DAY_US


def events() -> list[Event]:
    """Purchases and visits over 400 days, skewed to few users and items, some at identical moments."""
    draw = random.Random(7)
    made: list[Event] = []
    for number in range(EVENTS):
        user = draw.choice(USERS[: 1 + draw.randrange(len(USERS))])
        at_us = draw.choice(
            [BEGIN_US + draw.randrange(NOW_US - BEGIN_US), NOW_US - draw.randrange(100) * 3_600_000_000]
        )
        kind = draw.choice(TYPES)
        # Of any user and item, so of another bucket.
        corrects = draw.choice(made).event_id if made and draw.random() < 0.05 else None
        made.append(
            Event(
                event_id=f"e{number}",
                type=kind,  # type: ignore[arg-type]
                occurred_at=from_us(at_us),
                user_id=user if draw.random() < 0.9 else None,
                session_id=f"s{draw.randrange(300)}",
                item_id=None if kind == "search" else draw.choice(ITEMS[: 1 + draw.randrange(len(ITEMS))]),
                value=draw.choice([None, draw.uniform(0, 500)]),
                category=draw.choice(["kitchen/mugs", "kitchen", "garden", None]),
                price=draw.choice([None, 1.25, 7.0]),
                corrects=corrects,
            )
        )
    return made


def items() -> pa.Table:
    """Two or three versions of each item, the last of some without a price, or a tombstone."""
    draw = random.Random(8)
    rows = [
        {
            "item_id": item,
            "title": f"title of {item}",
            "category": ["kitchen", "mugs"],
            "price": draw.choice([None, draw.uniform(1, 50)]),
            "attributes": "{}",
            "available": draw.random() < 0.8,
            "created_at": from_us(BEGIN_US),
            "updated_at": from_us(BEGIN_US + draw.randrange(NOW_US - BEGIN_US)),
            "deleted": draw.random() < 0.1,
            "kafka_partition": 0,
            "kafka_offset": number * 3 + version,
        }
        for number, item in enumerate(ITEMS)
        for version in range(draw.choice([2, 3]))
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_ITEMS])


def entity_frame(rows: int) -> pd.DataFrame:
    """Known, unknown and missing ids at moments of events and between them, in no order, with a label."""
    draw = random.Random(9)
    at_events = [event.occurred_at for event in events()[:200]]
    picks = [
        {
            "user_id": draw.choice([*USERS, "nobody", None]),
            "session_id": draw.choice([f"s{draw.randrange(300)}", None]),
            "item_id": draw.choice([*ITEMS, "nothing"]),
            "category": draw.choice(["kitchen/mugs", "kitchen", "attic"]),
            "event_timestamp": draw.choice([*at_events, from_us(BEGIN_US + draw.randrange(NOW_US - BEGIN_US))]),
            "label": draw.random(),
            "requested_us": draw.randrange(NOW_US),
            "device": draw.choice(["phone", None]),
            "country": draw.choice(["FR", ""]),
        }
        for _ in range(rows)
    ]
    frame = pd.DataFrame(picks)
    frame.index = pd.Index(np.arange(rows)[::-1] * 7)  # row numbers are positions, not labels
    return frame


class World:
    """The shipped declarations over a small lake, with buckets small enough that every view has several."""

    def __init__(self, home: Path, ray_home: str) -> None:
        shutil.copytree(
            REPOSITORY / "feature_repo", home / "repo" / "feature_repo", ignore=shutil.ignore_patterns("__pycache__")
        )
        overlay = home / "repo" / "feature_repo" / "feature_store.ray.yaml"
        options = yaml.safe_load(overlay.read_text())
        options["offline_store"] |= {
            "partition_rows": PARTITION_ROWS,
            "ray_conf": {"num_cpus": 2, "object_store_memory": 100_000_000, "_temp_dir": ray_home},
        }
        overlay.write_text(yaml.safe_dump(options))
        self.local = Settings(home=home / "local", repository=home / "repo")
        self.ray = self.local.model_copy(update={"features_engine": "ray"})
        self.plan = apply(self.local)
        lake = Lake(self.local.lake_dir)
        consumed = [ConsumedEvent(event, 0, place) for place, event in enumerate(events())]
        for number in range(3):  # several files
            lake.append(names.TABLE_EVENTS, table_of(consumed[number::3]), {"test": number})
        lake.append(names.TABLE_ITEMS, items(), {"test": 0})

    def online_rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.local.online_location)) as online:
            return online.execute(
                "SELECT signature, key, event_us, state FROM online JOIN views ON view = id ORDER BY signature, key"
            ).fetchall()

    def forget_online(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.local.online_location}{suffix}").unlink(missing_ok=True)
