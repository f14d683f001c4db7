"""From histories to a trained network."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import seed_everything
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext
from tastemaker.models.two_tower.bags import bags
from tastemaker.models.two_tower.content import encode_content
from tastemaker.models.two_tower.judging import hold_out, ndcg_at, sample
from tastemaker.models.two_tower.network import Network
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.scoring import Scorer
from tastemaker.models.two_tower.sequences import batches
from tastemaker.models.two_tower.steps import Stepper
from tastemaker.models.two_tower.training import Curve, Training

__all__ = ["fit"]


def fit(train: Histories, context: FitContext, parameters: TowerParameters) -> tuple[Scorer, Curve]:
    """Train.

    Args:
        train: every user's interactions.
        context: see there.
        parameters: with nothing left open.
    """
    seed_everything(context.seed % 2**32)
    generator = np.random.default_rng([context.seed, 1])
    if context.validation is None:
        train, validation = hold_out(train, generator)
    else:
        validation = sample(*context.validation, generator)
    now = None if train.times is None else float(train.times.max())
    content = None if context.items is None else encode_content(context.items, now, parameters.time_unit)
    counts = np.bincount(train.items, minlength=train.n_items) + 1e-3
    network = Network(train.n_items, content, counts / counts.sum(), parameters)

    def epoch(number: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        drawn = np.random.default_rng([context.seed, 2, number])
        return (batches if parameters.ordered else bags)(train, parameters, drawn)

    first = next(epoch(0))
    network.compute_loss(first | {"seed": np.zeros(2, np.int32)})  # makes the weights
    scorer = Scorer(network)

    def evaluate() -> float:
        assert validation is not None
        scorer.refresh()
        return ndcg_at(scorer, validation)  # type: ignore[arg-type]

    training = Training(
        network=network,
        stepper=Stepper(network, context.seed),
        epoch=epoch,
        evaluate=evaluate if validation is not None else None,
        deadline=context.deadline,
        progress=context.progress,
    )
    curve = training.run()
    scorer.refresh()
    return scorer, curve
