"""Connects a release to the online store, as a model to serve."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.serving.model_services.any_model import AnyModel
from tastemaker.settings import Settings

if TYPE_CHECKING:
    from tastemaker.features.reading.reader import FeatureReader

__all__ = ["open_ranking", "open_retrieval"]


def open_retrieval(settings: Settings, release_dir: Path) -> AnyModel:
    """Retrieval by a release.

    Args:
        settings: where the online store and the feature plan are.
        release_dir: the release's files.

    Raises:
        DataError: there is no plan or no online store yet, or they do not fit together.
        ServingError: the release or a recipe does not load.
    """
    from tastemaker.serving.model_services.retrieval import RetrievalModel
    from tastemaker.serving.model_services.shop import ModelShop
    from tastemaker.serving.recipes import load_recipes

    recipes = load_recipes(Path(settings.surfaces_dir) if settings.surfaces_dir else None)
    return _following(
        settings,
        release_dir,
        lambda reader: RetrievalModel(ModelShop(release_dir, reader, settings.clock, recipes=recipes, timed=True)),
    )


def open_ranking(settings: Settings, release_dir: Path) -> AnyModel:
    """Ranking by a release; as :func:`open_retrieval`."""
    from tastemaker.serving.model_services.ranking import RankingModel, no_index
    from tastemaker.serving.model_services.shop import ModelShop
    from tastemaker.serving.recipes import load_recipes

    recipes = load_recipes(Path(settings.surfaces_dir) if settings.surfaces_dir else None)
    return _following(
        settings,
        release_dir,
        lambda reader: RankingModel(
            ModelShop(
                release_dir,
                reader,
                settings.clock,
                recipes=recipes,
                make_index=no_index,
                keep_items=True,
                timed=True,
            )
        ),
    )


def _following(settings: Settings, release_dir: Path, open_by: "Callable[[FeatureReader], AnyModel]") -> AnyModel:
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.features.reading.reader import FeatureReader
    from tastemaker.features.stores.opening import open_online_reader
    from tastemaker.release.files import PLAN
    from tastemaker.serving.following import FittingPlan
    from tastemaker.serving.model_services.following import FollowingModel

    trained = FeaturePlan.load(release_dir / PLAN)
    store = open_online_reader(settings.online_location)
    return FollowingModel(
        FittingPlan(trained, settings.plan_path, store),
        lambda plan: open_by(FeatureReader(settings.online_location, plan)),
    )
