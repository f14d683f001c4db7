"""Load a release directory: everything that a recommender needs, checked to belong together."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tastemaker.errors import DataError, ServingError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.fitting import covers
from tastemaker.release.files import PLAN, RANKER, ModelCard, vocabulary_hash
from tastemaker.release.ranking_features import RankingLayout
from tastemaker.release.retrieval import LoadedRetrieval, load_retrieval
from tastemaker.serving.ranking import Ranker
from tastemaker.serving.signals import Signals

__all__ = ["Release", "load_release", "read_by"]

_MANIFEST: Final = "manifest.json"  # written at registration


@dataclass(frozen=True, eq=False)
class Release:
    """A loaded release.

    Attributes:
        release_id: from the manifest of a registered release, else the directory's name.
        card: how it was made.
        plan: the feature plan that it was trained with.
        retrieval: towers, tables, catalogue at the cut.
        ranker: the ranker.
        layout: columns of the ranker's matrix.
        signals: columns that the pipeline relies on.
    """

    release_id: str
    card: ModelCard
    plan: FeaturePlan
    retrieval: LoadedRetrieval
    ranker: Ranker
    layout: RankingLayout
    signals: Signals


def load_release(directory: Path) -> Release:
    """Load one.

    Raises:
        ServingError: something is missing, or its files do not belong together.
    """
    card = ModelCard.read(directory)
    try:
        plan = FeaturePlan.load(directory / PLAN)
        layout, signals = RankingLayout.of(plan), Signals.of(plan)
    except DataError as error:
        raise ServingError(f"the release in {directory} has no usable feature plan: {error}") from error
    if plan.hash != card.plan_hash or layout.names != card.ranking_features:
        raise ServingError(
            f"the release in {directory} was trained with feature plan {card.plan_hash}, but holds {plan.hash};"
            " train it again"
        )
    retrieval = load_retrieval(directory)
    if vocabulary_hash(retrieval.catalogue.item_ids) != card.vocabulary_hash:
        raise ServingError(f"the items of the release in {directory} are not those that it was trained on")
    ranker = Ranker(directory / RANKER)
    return Release(_release_id(directory), card, plan, retrieval, ranker, layout, signals)


def read_by(release: Release, plan: FeaturePlan) -> Release:
    """The release over the rows of declarations that cover those that it was trained with.

    Columns are found by name in these rows, which may have more than the release knows.

    Raises:
        ServingError: a view that it was trained with is not there, or declared otherwise.
    """
    changed = [view.name for view in release.plan.views if not covers(plan.by_name.get(view.name), view)]
    if changed:
        raise ServingError(
            f"release {release.release_id} was trained with feature plan {release.plan.hash}, and"
            f" {', '.join(changed)} of the plan that it is to read by, {plan.hash}, is declared otherwise; train a"
            " release with the declarations in force, or apply the old ones"
        )
    return replace(release, plan=plan, signals=Signals.of(plan))


def _release_id(directory: Path) -> str:
    try:
        return str(json.loads((directory / _MANIFEST).read_bytes())["release"])
    except FileNotFoundError:
        return directory.name
    except (KeyError, TypeError, ValueError) as error:
        raise ServingError(f"{directory / _MANIFEST} is no release manifest: {error!r}") from error
