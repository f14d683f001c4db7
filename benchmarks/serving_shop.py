"""A shop of a million items with a trained release: Online Retail, and simulated items around its own.

The release is trained on Online Retail alone. The simulated items are copies of its items under other ids, with prices
that vary: the release's item tower gives them vectors, as it does to new items. A tenth of them have the activity of
the item that they are copies of.
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tastemaker import names
from tastemaker.events.adapters import online_retail
from tastemaker.events.item import Item, decode_item, encode_item
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.opening import open_online_reader, open_online_store
from tastemaker.features.stores.protocol import StoredItem
from tastemaker.settings import Settings
from tastemaker.stack.workspace import import_history, prepare, rebuild_online
from tastemaker.training.pipeline import train_release

__all__ = ["make_shop"]

_CUT = datetime(2011, 11, 12, tzinfo=UTC)
_NOW = datetime(2011, 12, 10, tzinfo=UTC)  # the data's last day is over
_ACTIVE = 10  # of so many simulated items one has activity
_PIECE = 20_000


def make_shop(
    home: Path, n_items: int, progress: Callable[[str], None], repository: Path = Path()
) -> tuple[Settings, Path, list[str]]:
    """Make it, or take what an earlier run has made.

    Args:
        home: of the platform.
        n_items: how many items in all.
        progress: told what goes on.
        repository: where declarations and data are.

    Returns:
        The settings, the release's directory and the ids of shoppers.
    """
    settings = Settings.from_env(home=home, repository=repository)
    release, made = home / "release", home / f"shop-{n_items}.json"
    if not made.exists():
        settings = settings.with_clock_at(_NOW)
        import_history(settings, online_retail.load(settings.repository / "data" / "online_retail.parquet"))
        plan = prepare(settings)
        rebuild_online(settings)
        progress("training the release on Online Retail")
        train_release(settings, plan, _CUT, release, seed=1, progress=progress)
        progress(f"simulating items until there are {n_items:,}")
        _add_items(settings, plan, n_items)
        made.write_text(json.dumps(_users(settings, plan)))
    return Settings.from_env(home=home, repository=repository), release, json.loads(made.read_text())


def _users(settings: Settings, plan: FeaturePlan) -> list[str]:
    reader = open_online_reader(settings.online_location)
    return [key for key, _ in reader.all_rows(plan.view(names.VIEW_USER_HISTORY).signature)]


def _add_items(settings: Settings, plan: FeaturePlan, n_items: int) -> None:
    reader, pick = open_online_reader(settings.online_location), random.Random(1)
    _, stored = reader.items_changed(0)
    known = [(one.updated_us, decode_item(one.item)) for one in stored if one.item is not None]
    signature = plan.view(names.VIEW_ITEM_ACTIVITY).signature
    activity = dict(reader.all_rows(signature))
    store = open_online_store(settings.online_location)

    def copy_of(number: int) -> tuple[StoredItem, str]:
        updated_us, item = known[number % len(known)]
        fields = {name: getattr(item, name) for name in item.__struct_fields__}
        price = None if item.price is None else round(item.price * pick.uniform(0.7, 1.4), 2)
        copied = Item(**fields | {"item_id": f"simulated-{number}", "price": price})
        return StoredItem(copied.item_id, updated_us, encode_item(copied)), item.item_id

    missing = n_items - len(known)
    for begin in range(0, missing, _PIECE):
        piece = [copy_of(number) for number in range(begin, min(begin + _PIECE, missing))]
        active = [(one.item_id, activity[of]) for one, of in piece[::_ACTIVE] if of in activity]
        with store.transaction() as tx:
            tx.put_items([one for one, _ in piece])
            tx.put(
                signature,
                [key for key, _ in active],
                [row.event_us for _, row in active],
                [row.state for _, row in active],
            )
    store.close()
