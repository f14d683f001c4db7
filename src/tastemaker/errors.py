"""The few domain errors. A message says what is wrong, where, and the remedy."""

__all__ = [
    "ContractError",
    "DataError",
    "GateRejected",
    "RolloutError",
    "ServingError",
    "StackError",
    "TastemakerError",
]


class TastemakerError(Exception):
    """Base of every error that a person can act on; the CLI prints its message without a traceback."""


class DataError(TastemakerError):
    """Input data cannot be used: a missing file or column, a type that does not convert."""


class ContractError(TastemakerError):
    """A record or request breaks a published contract.

    Attributes:
        field: the offending field as a path (``context.device``), or ``""`` for the whole record.
        problem: what is wrong with it and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}" if field else problem)


class GateRejected(TastemakerError):
    """An action needs a release whose gate verdict is a pass, and this one has none."""


class RolloutError(TastemakerError):
    """A rollout cannot take a step: there is none, another one runs, or what serves does not follow."""


class ServingError(TastemakerError):
    """The recommender cannot answer: no release, or a release that does not load."""


class StackError(TastemakerError):
    """A process of the local stack cannot start or be reached."""
