"""What the data plane needs of a recommender."""

from collections.abc import Mapping
from typing import Protocol

from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.records import ListRecord

__all__ = ["Answer", "AnyRecommender"]

Answer = tuple[RecommendationResponse, ListRecord]


class AnyRecommender(Protocol):
    """What makes the lists; :class:`tastemaker.serving.recommender.Recommender` is one."""

    @property
    def release_id(self) -> str:
        """The release that it serves."""
        ...

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """The surfaces that it serves."""
        ...

    def answer(self, request: RecommendationRequest, waited_ms: float = 0.0) -> Answer:
        """Make one list, of whose budget some is spent."""
        ...

    def shed(self, request: RecommendationRequest, why: str) -> Answer:
        """Answer at once, in any thread, from what is in process."""
        ...

    def refresh(self) -> None:
        """Take in items that are new or changed."""
        ...

    def warm_up(self) -> None:
        """Do what only the first requests would otherwise pay for."""
        ...

    def knows_item(self, item_id: str) -> bool:
        """Whether the catalogue has the item."""
        ...

    def close(self) -> None:
        """Give back what this thread holds of it; it makes no lists after that. Another thread may call it as well."""
        ...
