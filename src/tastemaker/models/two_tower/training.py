"""The training loop: early stopping, a deadline, and going on after a kill."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tastemaker.models.two_tower.checkpoints import Checkpoints
from tastemaker.models.two_tower.pipeline import Feed
from tastemaker.models.two_tower.progress import Curve, State
from tastemaker.models.two_tower.steps import Stepper

__all__ = ["Training"]

_EVALUATE_STEPS = (50, 500)  # least and most steps between evaluations
_SPARE_S = 1.0
_COMPILE_S = 20.0  # what the first step takes where it is compiled by XLA
_FIRST_EVALUATION_S = 2.0  # until one was measured


class Training:
    """Trains a network.

    Args:
        stepper: takes the steps.
        feed: gives the batches.
        evaluate: NDCG of the network with its present weights; None keeps the last weights.
        deadline: ``time.monotonic()`` by which :meth:`run` returns; None without one.
        progress: told each evaluation in a line.
        checkpoints: where to go on from; None starts anew.
    """

    def __init__(
        self,
        stepper: Stepper,
        feed: Feed,
        *,
        evaluate: Callable[[], float] | None,
        deadline: float | None,
        progress: Callable[[str], None],
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.stepper, self.feed, self._evaluate = stepper, feed, evaluate
        self._deadline, self._progress, self._checkpoints = deadline, progress, checkpoints
        self._cost_s = 0.0 if evaluate is None else _FIRST_EVALUATION_S
        self._slowest_s = _COMPILE_S / 2 if stepper.network.parameters.compiled else 0.0
        self._losses: list[Any] = []
        self._measured = False

    def run(self, *, warm: bool = False) -> Curve:
        """Train until there is no progress, or no time; the network ends with the best weights.

        Args:
            warm: the weights are of an earlier model: they compete with what training makes of them.
        """
        parameters = self.stepper.network.parameters
        state = (self._checkpoints.load() if self._checkpoints is not None else None) or State()
        if warm and not state.steps:
            self._judge(state)
        while not state.curve.stopped and state.epoch < parameters.epochs:
            self._pass(state)
            if not state.batch:
                break  # not one step: there is nothing to learn from
            if not state.curve.stopped:
                if state.epoch == 0:  # now known: one evaluation per pass, within bounds
                    state.interval = int(np.clip(state.batch, *_EVALUATE_STEPS))
                state.epoch, state.batch = state.epoch + 1, 0
        state.curve.stopped = state.curve.stopped or "epochs"
        unjudged = state.steps > (state.curve.steps[-1] if state.curve.steps else 0)
        if unjudged and (state.best is None or self._left() > self._cost_s + _SPARE_S):
            self._judge(state)
        if state.best is not None:
            self.stepper.restore(state.best)
        if self._checkpoints is not None and state.curve.stopped != "deadline":
            self._checkpoints.clear()
        return state.curve

    def _pass(self, state: State) -> None:
        for group in self.feed.steps(state.epoch, state.batch):
            # Room for this step, for an evaluation, and for what both vary.
            late = self._left() < self._cost_s + 2 * self._slowest_s + _SPARE_S
            if self.stepper.agree(late):
                state.curve.stopped = "deadline"
                return
            started = time.monotonic()
            self._losses.append(self.stepper.step(group, state.steps))
            # The first step, which compiles, says nothing about the others.
            took = time.monotonic() - started
            self._slowest_s = max(0.95 * self._slowest_s, took) if self._measured else 0.0
            self._measured = True
            state.steps, state.batch = state.steps + 1, state.batch + 1
            if state.steps % state.interval == 0:
                self._judge(state)
                if state.waited >= self.stepper.network.parameters.patience:
                    state.curve.stopped = "patience"
                elif self._checkpoints is not None:
                    self._checkpoints.save(state)
                if state.curve.stopped:
                    return

    def _left(self) -> float:
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    def _judge(self, state: State) -> None:
        """Evaluate the averaged weights, and keep them if they are the best so far."""
        started = time.monotonic()
        loss = float(np.mean([float(value) for value in self._losses])) if self._losses else float("nan")
        self._losses.clear()
        held = self.stepper.average()
        value = self._evaluate() if self._evaluate is not None else float("nan")
        merit = float(state.steps) if self._evaluate is None else value
        better = merit > state.curve.best
        if better:
            state.curve.best, state.best = merit, self.stepper.weights()
        self.stepper.restore(held)
        self._cost_s = max(self._cost_s, time.monotonic() - started)
        state.waited = 0 if better else state.waited + 1
        state.curve.add(state.steps, loss, value)
        judged = f", validation NDCG {value:.4f}" if self._evaluate is not None else ""
        self._progress(f"two-tower: {state.steps} steps, loss {loss:.4f}{judged}")
