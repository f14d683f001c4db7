"""The recommender of a batch: the one that serves, without deadlines, at one moment."""

from datetime import datetime
from pathlib import Path

from tastemaker.clock import Clock, to_us
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.opening import open_online_reader
from tastemaker.release.files import PLAN
from tastemaker.serving.following import FittingPlan
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.recommender import Recommender
from tastemaker.serving.rerank.rule_watch import RuleWatch
from tastemaker.settings import Settings

__all__ = ["open_for_batch"]


class _Stopped(Clock):
    """A clock that stands still, so that windows end at the same moment for the first list and the last."""

    def now_us(self) -> int:
        return self.offset_us


def open_for_batch(
    settings: Settings, release_dir: Path, recipe: Recipe, rules: RuleWatch, as_of: datetime
) -> Recommender:
    """Open it; the catalogue and the rules stay as they are now, the shopper's rows are read as each list is made.

    Args:
        settings: where online store and feature plan are.
        release_dir: of the release.
        recipe: of the lists.
        rules: of the shop.
        as_of: the moment; events from it on are not looked at.

    Raises:
        DataError: there is no online store or plan, or they do not fit the release.
        ServingError: the release does not load.
    """
    store = open_online_reader(settings.online_location)
    plan = FittingPlan(FeaturePlan.load(release_dir / PLAN), settings.plan_path, store)()
    return Recommender(
        release_dir,
        FeatureReader(store, plan),
        _Stopped(to_us(as_of)),
        recipes={recipe.surface: recipe},
        rules=rules,
    )
