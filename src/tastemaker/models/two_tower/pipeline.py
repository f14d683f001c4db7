"""Batches on their way to the training steps, through ``tf.data``."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tastemaker.keras import tensorflow
from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.bags import bags
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.sequences import batches

tf = tensorflow()

__all__ = ["Feed"]

_AHEAD = 4  # batches that are made while a step computes


class Feed:
    """Passes over the training data.

    Args:
        train: every user's interactions.
        parameters: see there.
        seed: with the number of a pass it decides its batches.
        replicas: batches that make a step.
    """

    def __init__(self, train: Histories, parameters: TowerParameters, seed: int, replicas: int = 1) -> None:
        self.train, self.parameters, self.seed, self.replicas = train, parameters, seed, replicas
        self._signature = {
            name: tf.TensorSpec([None] * values.ndim, values.dtype)
            for name, values in next(self._batches(0, 0)).items()
        }

    def first(self) -> dict[str, Any]:
        """A batch, to make a network's weights with."""
        return next(self._batches(0, 0))

    def steps(self, number: int, skip: int) -> Iterator[list[dict[str, Any]]]:
        """The batches of each step of one pass.

        Args:
            number: of the pass; the same number gives the same batches.
            skip: steps to leave out at the beginning, which were taken before.

        Yields:
            One batch per replica.
        """
        made: Callable[[], Any] = lambda: self._batches(number, skip * self.replicas)  # noqa: E731
        data = tf.data.Dataset.from_generator(made, output_signature=self._signature).prefetch(_AHEAD)
        group: list[dict[str, Any]] = []
        for batch in data:
            group.append(batch)
            if len(group) == self.replicas:
                yield group
                group = []

    def _batches(self, number: int, skip: int) -> Iterator[dict[str, Any]]:
        generator = np.random.default_rng([self.seed, 2, number])
        return (batches if self.parameters.ordered else bags)(self.train, self.parameters, generator, skip=skip)
