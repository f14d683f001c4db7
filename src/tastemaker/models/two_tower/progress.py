"""Where a training stands."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Curve", "State"]


@dataclass
class Curve:
    """What a training did.

    Attributes:
        steps: steps taken at each evaluation.
        loss: mean loss since the evaluation before; NaN where no step was taken.
        ndcg: NDCG of each evaluation; NaN when there was no validation part.
        best: the highest NDCG; the number of steps when there was no validation part: the last weights are the best.
        stopped: why training ended: "patience", "epochs" or "deadline"; empty before.
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    ndcg: list[float] = field(default_factory=list)
    best: float = -1.0
    stopped: str = ""

    def add(self, steps: int, loss: float, ndcg: float) -> None:
        """Note an evaluation."""
        self.steps.append(steps)
        self.loss.append(loss)
        self.ndcg.append(ndcg)


@dataclass
class State:
    """What must be known to go on.

    Attributes:
        epoch: passes that are done.
        batch: steps taken in the present pass.
        steps: steps taken in all.
        waited: evaluations since the best one.
        interval: steps between evaluations.
        curve: see there.
        best: the weights with the highest NDCG; None before the first evaluation.
    """

    epoch: int = 0
    batch: int = 0
    steps: int = 0
    waited: int = 0
    interval: int = 500
    curve: Curve = field(default_factory=Curve)
    best: list[npt.NDArray[np.float32]] | None = None
