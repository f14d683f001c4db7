"""What is kept of an answer until it is logged: the arrays as they are, so that no caller waits for their text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tastemaker.serving.contract import RecommendationRequest, ServedList

__all__ = ["Kept", "ListRecord"]

Kept = Literal["", "hit", "miss", "changed"]


@dataclass(frozen=True, eq=False)
class ListRecord:
    """One answer, to be logged.

    Attributes:
        request_id: of the answer.
        request: as it came.
        stages_us: microseconds by stage.
        build: makes what is logged; takes as long as a stage, and may be called in any thread.
        kept: ``hit``: ranked for an identical request before; ``miss``: no ranking was kept; ``changed``: one was, and
            something has changed since; empty where none may be kept.
    """

    request_id: str
    request: RecommendationRequest
    stages_us: Mapping[str, int]
    build: Callable[[], ServedList]
    kept: Kept = ""
