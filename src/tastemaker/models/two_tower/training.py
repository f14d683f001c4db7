"""The training loop: compiled steps, a moving average of the weights, early stopping and a deadline."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.network import Network
from tastemaker.models.two_tower.steps import Stepper

tf = tensorflow()

__all__ = ["Curve", "Training"]

Batch = dict[str, npt.NDArray[np.generic]]
_EVALUATE_STEPS = (50, 500)  # least and most steps between evaluations
_SPARE_S = 1.0


@dataclass
class Curve:
    """What a training did.

    Attributes:
        steps: steps taken when evaluated, with the NDCG of each evaluation in ``ndcg`` and the loss in ``loss``.
        ndcg: see ``steps``.
        loss: see ``steps``.
        best: the highest NDCG.
        stopped: why training ended: "patience", "epochs" or "deadline".
    """

    steps: list[int] = field(default_factory=list)
    ndcg: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    best: float = -1.0
    stopped: str = ""


@dataclass
class Training:
    """Trains a network.

    Attributes:
        network: with its weights made.
        stepper: takes the steps.
        epoch: batches of one pass, by its number; the same number gives the same batches.
        evaluate: NDCG of the network with its present weights; None keeps the last weights.
        deadline: ``time.monotonic()`` by which :meth:`run` returns; None without one.
        progress: told each evaluation in a line.
    """

    network: Network
    stepper: Stepper
    epoch: Callable[[int], Iterator[Batch]]
    evaluate: Callable[[], float] | None
    deadline: float | None
    progress: Callable[[str], None]

    def run(self) -> Curve:
        """Train until there is no progress, or no time; the network ends with the best weights."""
        parameters, curve = self.network.parameters, Curve()
        self._best: list[Any] | None = None
        self._cost_s, waited, steps, slowest = 0.0, 0, 0, 0.0
        losses: list[Any] = []
        interval = _EVALUATE_STEPS[1]
        for epoch in range(parameters.epochs):
            begun = steps
            for batch in self.epoch(epoch):
                if self._left() < self._cost_s + 2 * slowest + _SPARE_S:
                    curve.stopped = "deadline"
                    break
                started = time.monotonic()
                losses.append(self.stepper.step(batch, steps))
                if steps:  # the first step compiles
                    slowest = max(slowest, time.monotonic() - started)
                steps += 1
                if steps % interval == 0:
                    waited = self._judge(curve, steps, losses, waited)
                    if waited >= parameters.patience:
                        curve.stopped = "patience"
                        break
            if curve.stopped or steps == begun:
                break
            if epoch == 0:  # now known: an evaluation per pass, within bounds
                per_pass = steps - begun
                interval = int(np.clip(per_pass, *_EVALUATE_STEPS))
        curve.stopped = curve.stopped or "epochs"
        unjudged = steps > (curve.steps[-1] if curve.steps else 0)
        if unjudged and (self._best is None or self._left() > self._cost_s + _SPARE_S):
            self._judge(curve, steps, losses, waited)
        if self._best is not None:
            self.stepper.restore(self._best)
        return curve

    def _left(self) -> float:
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()

    def _judge(self, curve: Curve, steps: int, losses: list[Any], waited: int) -> int:
        """Evaluate the averaged weights and keep them if they are the best; evaluations without progress so far."""
        started = time.monotonic()
        loss = float(np.mean([float(value) for value in losses]))
        losses.clear()
        held = self.stepper.average()
        value = self.evaluate() if self.evaluate is not None else float(len(curve.steps))
        better = value > curve.best
        if better:
            curve.best, self._best = value, self.stepper.weights()
        self.stepper.restore(held)
        self._cost_s = max(self._cost_s, time.monotonic() - started)
        curve.steps.append(steps)
        curve.ndcg.append(value)
        curve.loss.append(loss)
        self.progress(f"two-tower: {steps} steps, loss {loss:.4f}, validation NDCG {value:.4f}")
        return 0 if better else waited + 1
