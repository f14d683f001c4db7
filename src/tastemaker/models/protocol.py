"""What a model is: it learns from histories, and scores the whole catalogue for a history."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.models.histories import Histories

__all__ = ["FitContext", "Model", "Scores"]

Scores = npt.NDArray[np.float32]


def _silent(message: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class FitContext:
    """What a fit needs besides the interactions.

    Attributes:
        seed: of all that is random; the same seed on the same machine and data gives the same model.
        items: row ``i`` describes item ``i``; any of the columns ``title``, ``category`` (strings), ``price``
            (number), ``created_at`` (unit of the interactions' times), ``vector`` (list of numbers given from
            outside). None when nothing is known.
        validation: histories and what followed them, for early stopping: ``(history, relevant)`` with the same users;
            nothing of ``relevant`` is in the training data. None: the model stops by its own rule.
        deadline: ``time.monotonic()`` by which the fit must return with what it has; None: no limit.
        progress: told what happens, in a line each.
    """

    seed: int
    items: pa.Table | None = None
    validation: tuple[Histories, Histories] | None = None
    deadline: float | None = None
    progress: Callable[[str], None] = field(default=_silent)

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline; infinite without one, below 0 after it."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()


@runtime_checkable
class Model(Protocol):
    """A model. Its hyperparameters are arguments of its constructor, all with defaults, and its attributes.

    Attributes:
        name: as it appears in reports, in kebab case.
    """

    name: str

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Values worth trying per hyperparameter, the default among them; empty when there is nothing to tune."""
        ...

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Learn.

        Args:
            train: every user's interactions.
            context: see there.

        Raises:
            DataError: there is nothing to learn from, or the model needs times and there are none.
        """
        ...

    def score(self, histories: Histories) -> Scores:
        """How well each item fits as the next one; higher is better, finite, comparable within a user only.

        Args:
            histories: of any users, with the items that the model was fitted on.

        Returns:
            float32 ``[users, items]``. A user without a history gets what the model says of nobody in particular.
        """
        ...
