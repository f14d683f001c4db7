"""What a model is: it learns from histories, and scores the whole catalogue for a history."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.models.histories import Histories

__all__ = ["PROTOCOLS", "FitContext", "Model", "Scores"]

Scores = npt.NDArray[np.float32]

# How lists are judged: by items drawn at random from each user's; by the last items of each user; by all that users do
# after one moment; by the next item of users that training never saw.
PROTOCOLS = ("random", "last-one", "temporal", "session")

_DEPTH = 20


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
        protocol: how the model will be judged, one of :data:`PROTOCOLS`; None: nobody knows, see
            :func:`~tastemaker.models.validation.guess_protocol`. It describes the task, it tells nothing of the truth.
        horizon: length of the window that is judged in the unit of the interactions' times; for ``temporal``.
        relevant_per_user: mean number of distinct items that each user is judged by.
        exclude_seen: whether the items of a user's own history are left out of the lists; None: unknown.
        cutoffs: list lengths that are judged; empty when unknown.
        trials: file that keeps the trials of a search, so that one that was killed goes on; it belongs to this data,
            these settings and this code. None keeps nothing.
        deadline: ``time.monotonic()`` by which the fit must return with what it has; None: no limit.
        progress: told what happens, in a line each.
    """

    seed: int
    items: pa.Table | None = None
    validation: tuple[Histories, Histories] | None = None
    protocol: str | None = None
    horizon: float | None = None
    relevant_per_user: float | None = None
    exclude_seen: bool | None = None
    cutoffs: tuple[int, ...] = ()
    trials: Path | None = None
    deadline: float | None = None
    progress: Callable[[str], None] = field(default=_silent)

    @property
    def depth(self) -> int:
        """Places of a list that count while a model is chosen: the longest cutoff, 20 when unknown."""
        return max(self.cutoffs, default=_DEPTH)

    def leaves_out_seen(self, train: Histories) -> bool:
        """Whether lists are made without the items of a user's own history; by the training data when unknown."""
        return not train.worth_repeating if self.exclude_seen is None else self.exclude_seen

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
