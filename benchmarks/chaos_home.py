"""A shop on the shipped data with a release that is trained in a minute or two, and who asks it for what."""

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tastemaker import names
from tastemaker.events.adapters import online_retail
from tastemaker.events.item import decode_item
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.opening import open_online_reader
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.release.tower_parameters import ReleaseTowerParameters
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.settings import Settings
from tastemaker.stack.workspace import import_history, prepare
from tastemaker.training.pipeline import train_release

__all__ = ["Shop", "prepared_shop", "shop_of"]

_CUT: Final = datetime(2011, 11, 12, tzinfo=UTC)
_NOW: Final = datetime(2011, 12, 10, tzinfo=UTC)  # the data's last day is over
# What is judged is not how good the lists are.
_PARAMETERS: Final = TrainingParameters(
    towers=ReleaseTowerParameters(
        chosen={"dimension": 64, "window": 64, "basket": 8, "temperature": 0.1, "learning_rate": 0.006, "epochs": 1}
    ),
    ranker=ReleaseRankerParameters(epochs=3, cuts_days=(28,), max_lists=1_000),
)


@contextmanager
def prepared_shop(progress: Callable[[str], None]) -> Iterator[tuple[Path, Path]]:
    """A home with a lake, a plan and a clock, and beside it a release; both are left as they are by whoever uses them.

    ``CHAOS_HOME`` names where they are kept from one run to the next.

    Yields:
        The home and the release's directory.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(os.environ.get("CHAOS_HOME", scratch)).absolute()
        home, release, made = place / "home", place / "release", place / "made"
        if not made.exists():
            settings = Settings.from_env(home=home, online_store="unused.sqlite").with_clock_at(_NOW)
            import_history(settings, online_retail.load(settings.repository / "data" / "online_retail.parquet"))
            progress("training a release on Online Retail")
            train_release(settings, prepare(settings), _CUT, release, seed=1, parameters=_PARAMETERS, progress=progress)
            made.touch()
        yield home, release


class Shop:
    """Who and what there is.

    Args:
        shoppers: ids of known ones.
        items: ids of all that can be listed.
        categories: as requests name them; may be empty.
    """

    def __init__(self, shoppers: list[str], items: list[str], categories: list[str]) -> None:
        self.shoppers, self.items, self.categories = shoppers, items, categories

    def requests(self, n: int, seed: int) -> list[RecommendationRequest]:
        """Visits of the home page above all, some of them by nobody known; product pages, carts, categories."""
        pick = random.Random(seed)
        return [self._request(pick) for _ in range(n)]

    def _request(self, pick: random.Random) -> RecommendationRequest:
        user, drawn = pick.choice(self.shoppers), pick.random()
        if drawn < 0.6:
            return RecommendationRequest(user=user)
        if drawn < 0.65:
            return RecommendationRequest(session=f"visit-{pick.randrange(1_000)}")
        if drawn < 0.8 or not self.categories:
            return RecommendationRequest(surface="similar", user=user, items=(pick.choice(self.items),))
        if drawn < 0.9:
            return RecommendationRequest(surface="cart", user=user, items=tuple(pick.sample(self.items, 2)))
        return RecommendationRequest(surface="category", user=user, category=pick.choice(self.categories))


def shop_of(settings: Settings) -> Shop:
    """The shop of a home whose online store is filled."""
    plan = FeaturePlan.load(settings.plan_path)
    with closing(open_online_reader(settings.online_location)) as reader:
        shoppers = [key for key, _ in reader.all_rows(plan.view(names.VIEW_USER_HISTORY).signature)]
        stored = [decode_item(one.item) for one in reader.items_changed(0)[1] if one.item is not None]
    items = [item.item_id for item in stored if item.available]
    categories = sorted({"/".join(item.category[:1]) for item in stored if item.category})
    return Shop(sorted(shoppers), sorted(items), categories)
