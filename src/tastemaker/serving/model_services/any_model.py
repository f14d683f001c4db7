"""What is served as a model: the least that the protocol needs of it."""

from typing import Any, Protocol

__all__ = ["AnyModel"]


class AnyModel(Protocol):
    """Retrieval, or ranking."""

    @property
    def release_id(self) -> str:
        """The release that it serves."""

    def check(self, request: Any, where: str = "") -> None:
        """Raise ApiProblem where a request is not what its surface needs."""

    def answer(self, request: Any) -> Any:
        """Answer one request; not from two threads at once."""

    def refresh(self) -> None:
        """Take in what changed."""

    def warm_up(self) -> None:
        """Do what only the first requests would otherwise pay for."""
