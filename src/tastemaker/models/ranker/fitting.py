"""The training loop: epochs over the lists, judged on others, within a deadline."""

import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tastemaker.keras import tensorflow
from tastemaker.models.ranker.batches import list_batches, signature
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.network import RankerModel
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranker.quality import mean_ndcg
from tastemaker.models.ranker.report import FitReport

tf = tensorflow()
keras = tf.keras

__all__ = ["Fitting", "list_logits"]

_ROWS = 65_536


def list_logits(
    logits: Callable[[Any], Any], lists: RankingLists, rows: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """Logits of whole lists, float32 ``[lists, candidates, outcomes]``, in blocks of bounded memory.

    Args:
        logits: float32 ``[n, features]`` to ``[n, outcomes]``.
        lists: see there.
        rows: which of them.
    """
    _, width, features = lists.features.shape
    found = np.empty((len(rows), width, lists.labels.shape[2]), dtype=np.float32)
    step = max(1, _ROWS // width)
    for start in range(0, len(rows), step):
        block = lists.features[rows[start : start + step]]
        found[start : start + step] = logits(block.reshape(-1, features)).numpy().reshape(len(block), width, -1)
    return found


class Fitting:
    """One fit of a network.

    Args:
        model: not compiled yet.
        lists: to learn from.
        rows: which of them.
        parameters: see there.
        validation: to judge by, or None.
        seed: of order and draws.
        deadline: ``time.monotonic()`` from which no step is taken, or None.
        progress: told the loss after each epoch.
    """

    def __init__(
        self,
        model: RankerModel,
        lists: RankingLists,
        *,
        rows: npt.NDArray[np.int64],
        parameters: RankerParameters,
        validation: RankingLists | None,
        seed: int,
        deadline: float | None,
        progress: Callable[[str], None],
    ) -> None:
        self.model, self.parameters, self.validation = model, parameters, validation
        self.deadline = float("inf") if deadline is None else deadline
        self.progress = progress
        self.best_logits: npt.NDArray[np.float32] | None = None
        self._judged = np.zeros(0, dtype=np.int64) if validation is None else validation.useful
        self._judging_s = 0.0
        self._n_lists = len(rows)
        self._curve: list[float] = []
        self._epochs, self._loss = 0, float("nan")
        self._stopped: Literal["epochs", "patience", "deadline"] = "epochs"
        self._batches = list_batches(lists, rows, parameters, seed=seed)
        specs = signature(lists.features.shape[2], lists.labels.shape[2])
        model(tf.zeros((1, lists.features.shape[2])))  # makes the weights
        self._best = (-1.0, 0, model.get_weights())  # NDCG, epoch, weights
        # Not the model's own, by compiling it: what is saved would hold the optimiser's state as well.
        self._optimizer = keras.optimizers.AdamW(parameters.learning_rate, weight_decay=parameters.weight_decay)
        self._optimizer.exclude_from_weight_decay(var_names=["start_factor", "bias"])
        self._step = tf.function(self._train_step, input_signature=[specs], autograph=False)
        self._logits = tf.function(
            model, input_signature=[tf.TensorSpec((None, lists.features.shape[2]))], autograph=False
        )

    def run(self) -> None:
        """Train, and leave the best weights in the model."""
        self._judge(0)
        for epoch in range(1, self.parameters.epochs + 1):
            whole = self._epoch(epoch)
            judged = self._judge(epoch)
            self.progress(self._line(epoch))
            if not whole:
                self._stopped = "deadline"
                break
            if judged and epoch - self._best[1] >= self.parameters.patience:
                self._stopped = "patience"
                break
        if self._curve:
            self.model.set_weights(self._best[2])

    def report(self, *, calibration_error: tuple[float, ...], seconds: float) -> FitReport:
        """How it went."""
        return FitReport(
            lists=self._n_lists,
            epochs=self._epochs,
            loss=self._loss,
            stopped=self._stopped,
            best_epoch=self._best[1] if self._curve else self._epochs,
            validation_ndcg=tuple(self._curve),
            calibration_error=calibration_error,
            seconds=seconds,
        )

    def _epoch(self, epoch: int) -> bool:
        """One pass; False when time ran out before its end."""
        total = steps = 0.0
        for batch in self._batches:
            # What judging the epoch will take is kept back.
            if time.monotonic() + self._judging_s >= self.deadline:
                return False
            total, steps = total + float(self._step(batch)), steps + 1
            self._loss, self._epochs = total / steps, epoch
        return True

    def _train_step(self, batch: tuple[Any, ...]) -> Any:
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(batch, training=True)
        weights = self.model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    def _judge(self, epoch: int) -> bool:
        """Judge the present weights, and keep them when they are the best so far; False when nothing was judged."""
        if self.validation is None or not len(self._judged) or time.monotonic() >= self.deadline:
            return False
        begun = time.monotonic()
        logits = list_logits(self._logits, self.validation, self._judged)
        ndcg = mean_ndcg(logits, self.validation.labels[self._judged], self.parameters.weights, self.parameters.cutoff)
        self._curve.append(ndcg)
        if ndcg > self._best[0]:
            self._best, self.best_logits = (ndcg, epoch, self.model.get_weights()), logits
        self._judging_s = time.monotonic() - begun
        return True

    def _line(self, epoch: int) -> str:
        judged = f", NDCG@{self.parameters.cutoff} {self._curve[-1]:.4f} on validation lists" if self._curve else ""
        return f"ranker epoch {epoch} of {self.parameters.epochs}: loss {self._loss:.3f}{judged}"
