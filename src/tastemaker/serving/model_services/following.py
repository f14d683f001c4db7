"""A model that goes over to the rows of newly declared views when these are built, while it answers."""

from collections.abc import Callable
from typing import Any

from tastemaker.features.plan import FeaturePlan
from tastemaker.serving.model_services.any_model import AnyModel

__all__ = ["FollowingModel"]


class FollowingModel:
    """An :class:`~tastemaker.serving.model_services.any_model.AnyModel` over one that is opened again.

    Args:
        fit: gives the declarations to read by.
        open_by: opens a model by declarations; takes seconds, during which the former one answers.
    """

    def __init__(self, fit: Callable[[], FeaturePlan], open_by: Callable[[FeaturePlan], AnyModel]) -> None:
        self._fit, self._open_by = fit, open_by
        self._plan = fit()
        self._current = open_by(self._plan)

    @property
    def release_id(self) -> str:
        """The release that it serves."""
        return self._current.release_id

    def check(self, request: Any, where: str = "") -> None:
        """As of the model."""
        self._current.check(request, where)

    def answer(self, request: Any) -> Any:
        """As of the model."""
        return self._current.answer(request)

    def warm_up(self) -> None:
        """As of the model."""
        self._current.warm_up()

    def refresh(self) -> None:
        """Take in items that are new or changed, and views that were built."""
        plan = self._fit()
        if plan.state_hash == self._plan.state_hash:
            self._current.refresh()
            return
        following = self._open_by(plan)
        following.warm_up()
        self._current, self._plan = following, plan
