"""A recommender that goes over to the rows of newly declared views when these are built, while it answers."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.fitting import fitted
from tastemaker.features.stores.protocol import StoreReader
from tastemaker.features.stores.view_ages import ViewAges, read_ages
from tastemaker.serving.any_recommender import Answer, AnyRecommender
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse, ServedList
from tastemaker.serving.recipe import Recipe

__all__ = ["FittingPlan", "FollowingRecommender"]


class FittingPlan:
    """The declarations that a release reads by, now; see :func:`tastemaker.features.reading.fitting.fitted`.

    Args:
        release: those that it was trained with.
        path: of the plan in force.
        store: a reader of the online store.
    """

    def __init__(self, release: FeaturePlan, path: Path, store: StoreReader) -> None:
        self._release = release
        self._path = path
        self._store = store
        self._stamp: tuple[int, int] | None = None
        self._in_force = release

    def __call__(self) -> FeaturePlan:
        """Look; the plan is read again only when its file changed, and stays as it was where the file has gone."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            if self._stamp is None:
                raise
            return self._fitted()
        if self._stamp != (stat.st_ino, stat.st_mtime_ns):
            self._in_force = FeaturePlan.load(self._path)
            self._stamp = stat.st_ino, stat.st_mtime_ns
        return self._fitted()

    def _fitted(self) -> FeaturePlan:
        return fitted(self._release, self._in_force, read_ages(self._store) or ViewAges(()))


class FollowingRecommender:
    """An :class:`~tastemaker.serving.data_plane.AnyRecommender` over one that is opened again when its rows change.

    Args:
        fit: gives the declarations to read by.
        open_by: opens a recommender by declarations; takes seconds, during which the former one answers.
    """

    def __init__(self, fit: Callable[[], FeaturePlan], open_by: Callable[[FeaturePlan], AnyRecommender]) -> None:
        self._fit = fit
        self._open_by = open_by
        self._plan = fit()
        self._current = open_by(self._plan)

    @property
    def release_id(self) -> str:
        """The release that it serves."""
        return self._current.release_id

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """The surfaces that it serves."""
        return self._current.recipes

    def answer(self, request: RecommendationRequest, waited_ms: float = 0.0) -> Answer:
        """Make one list."""
        return self._current.answer(request, waited_ms)

    def recommend(self, request: RecommendationRequest) -> tuple[RecommendationResponse, ServedList]:
        """Make one list, and what is to be logged of it."""
        response, record = self.answer(request)
        return response, record.build()

    def shed(self, request: RecommendationRequest, why: str) -> Answer:
        """Answer at once from what is in process."""
        return self._current.shed(request, why)

    def refresh(self) -> None:
        """Take in items that are new or changed, and views that were built."""
        plan = self._fit()
        if plan.state_hash == self._plan.state_hash:
            self._current.refresh()
            return
        following = self._open_by(plan)
        following.warm_up()
        self._current, self._plan = following, plan

    def warm_up(self) -> None:
        """Do what only the first requests would otherwise pay for."""
        self._current.warm_up()

    def knows_item(self, item_id: str) -> bool:
        """Whether the catalogue has the item."""
        return self._current.knows_item(item_id)

    def close(self) -> None:
        """Close this thread's connection to the online store."""
        self._current.close()
