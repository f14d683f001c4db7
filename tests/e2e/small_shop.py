"""A made-up shop that is small enough to train on in seconds, for tests of what surrounds the training."""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tastemaker.events.adapters import tabular
from tastemaker.settings import Settings

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 160


def open_shop(settings: Settings, scratch: Path) -> Settings:
    """Bring the shop into a home: lake, declarations, online store. Returns settings whose clock is at its end.

    40 customers with a favourite aisle each buy there every few days: 40 × 54 × 2 = 4,320 purchases.
    """
    from tastemaker.features.repository import materialize
    from tastemaker.stack.workspace import import_history, prepare, rebuild_online

    random.seed(7)
    with (scratch / "shop.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["who", "what", "when", "paid"])
        for user in range(40):
            for visit in range(0, DAYS, 3):
                moment = START + timedelta(days=visit, hours=8 + user % 10)
                for item in random.sample(range(8), 2):
                    rows.writerow([f"u{user}", f"aisle{user % 5}-{item}", moment.isoformat(), 2 + item])
    columns = {"user_id": "who", "item_id": "what", "occurred_at": "when", "value": "paid", "type": "=purchase"}
    dataset = tabular.load(scratch / "shop.csv", columns)
    settings = settings.with_clock_at(dataset.last_event + timedelta(minutes=5))
    import_history(settings, dataset)
    prepare(settings)
    rebuild_online(settings)
    materialize(settings, settings.clock.now())
    return settings
