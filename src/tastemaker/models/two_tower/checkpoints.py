"""Checkpoints of a training, so that a killed one goes on where it was."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.progress import Curve, State
from tastemaker.models.two_tower.steps import Stepper

tf = tensorflow()

__all__ = ["Checkpoints"]


class Checkpoints:
    """Keeps the newest state of one training in a folder.

    Args:
        directory: made when it is not there.
        stepper: whose network, optimizer and averages are kept.
        fingerprint: of data and parameters; a checkpoint of anything else is not gone on from.
    """

    def __init__(self, directory: Path, stepper: Stepper, fingerprint: str) -> None:
        self._directory, self._fingerprint = directory, fingerprint
        directory.mkdir(parents=True, exist_ok=True)
        self._kept = tf.train.Checkpoint(
            weights=stepper.variables, optimizer=stepper.optimizer, shadow=stepper.shadow, taken=stepper.taken
        )

    def save(self, state: State) -> None:
        """Keep a state; whatever happens in between, the one before stays whole."""
        name = f"step-{state.steps}"
        path = self._kept.write(str(self._directory / name))
        if state.best is not None:
            best = {str(at): values for at, values in enumerate(state.best)}
            np.savez(self._directory / f"{name}-best.npz", **best)  # type: ignore[arg-type]
        told = asdict(state) | {"best": None, "checkpoint": Path(path).name, "fingerprint": self._fingerprint}
        fresh = self._directory / "state.json.new"
        fresh.write_text(json.dumps(told))
        fresh.replace(self._directory / "state.json")  # from here on the new one counts
        for old in self._directory.glob("step-*"):
            if not old.name.startswith((f"{name}.", f"{name}-")):
                old.unlink()

    def load(self) -> State | None:
        """Put the kept weights in place; None when there is nothing of this training."""
        told = self._directory / "state.json"
        if not told.exists():
            return None
        values = json.loads(told.read_text())
        if values.pop("fingerprint") != self._fingerprint:
            return None
        name = values.pop("checkpoint")
        self._kept.read(str(self._directory / name)).assert_consumed()
        best = None
        if (file := self._directory / f"{name}-best.npz").exists():
            with np.load(file) as kept:
                best = [kept[str(at)] for at in range(len(kept.files))]
        return State(**(values | {"curve": Curve(**values["curve"]), "best": best}))

    def clear(self) -> None:
        """Forget: the training is over."""
        shutil.rmtree(self._directory, ignore_errors=True)
