"""From histories to a trained network."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tastemaker.keras import seed_everything, tensorflow
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext
from tastemaker.models.two_tower.asking import ContentTower, QueryTower
from tastemaker.models.two_tower.checkpoints import Checkpoints
from tastemaker.models.two_tower.content import ContentScale, content_scale, encode_content
from tastemaker.models.two_tower.item_table import facts_of_table
from tastemaker.models.two_tower.item_tower import Beginning
from tastemaker.models.two_tower.judging import hold_out, ndcg_at, sample
from tastemaker.models.two_tower.network import Network
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.pipeline import Feed
from tastemaker.models.two_tower.progress import Curve
from tastemaker.models.two_tower.scoring import Scorer
from tastemaker.models.two_tower.spectral import spectral_seconds, spectral_vectors
from tastemaker.models.two_tower.steps import Stepper
from tastemaker.models.two_tower.strategies import strategy_named
from tastemaker.models.two_tower.training import Training
from tastemaker.models.two_tower.warm_start import Earlier, take_over

__all__ = ["Fitted", "fit"]

_SPECTRAL_SHARE = 0.3  # of the time that a fit has


@dataclass(frozen=True)
class Fitted:
    """A trained network and how to ask it.

    Attributes:
        network: with the best weights.
        query: its query tower.
        content: its item tower, for items that training never saw; None without content.
        scorer: scores histories.
        scale: how content is read; None without content.
        curve: of the training.
        type_names: event types in the order of their codes; empty when all are of one kind.
        until: time of the newest interaction; None without times.
    """

    network: Network
    query: QueryTower
    content: ContentTower | None
    scorer: Scorer
    scale: ContentScale | None
    curve: Curve
    type_names: tuple[str, ...]
    until: float | None


def fit(
    train: Histories,
    context: FitContext,
    parameters: TowerParameters,
    *,
    strategy: str = "none",
    earlier: Earlier | None = None,
    checkpoint_dir: Path | None = None,
) -> Fitted:
    """Train.

    Args:
        train: every user's interactions.
        context: see there.
        parameters: with nothing left open.
        strategy: see :func:`~tastemaker.models.two_tower.strategies.strategy_named`.
        earlier: weights of an earlier model to start from.
        checkpoint_dir: where a killed training goes on from.
    """
    seed_everything(context.seed % 2**32)
    generator = np.random.default_rng([context.seed, 1])
    now = None if train.times is None else float(train.times.max())
    if context.validation is None:
        train, validation = hold_out(train, generator, since=None if earlier is None else earlier.until)
    else:
        validation = sample(*context.validation, generator)
    facts = None if context.items is None else facts_of_table(context.items)
    scale = None if facts is None else content_scale(facts, now, parameters.time_unit)
    content = None if facts is None or scale is None else encode_content(facts, scale)
    counts = np.bincount(train.items, minlength=train.n_items) + 1e-3
    spectrum = None
    in_time = spectral_seconds(train, parameters.dimension) < _SPECTRAL_SHARE * context.remaining_s
    if parameters.spectral and earlier is None and in_time:
        spectrum = spectral_vectors(train, parameters.dimension, generator)
    distribution = strategy_named(strategy)
    with (distribution or tensorflow().distribute.get_strategy()).scope():
        feed = Feed(train, parameters, context.seed, 1 if distribution is None else distribution.num_replicas_in_sync)
        network = Network(train.n_items, content, Beginning(counts / counts.sum(), spectrum), parameters)
        network.compute_loss(feed.first() | {"seed": np.zeros(2, np.int32)})  # makes the weights
    if earlier is not None:
        take_over(network, earlier)
    stepper = Stepper(network, context.seed, distribution)
    query = QueryTower(network)
    scorer = Scorer(parameters, network.search_vectors().numpy(), query)

    def evaluate() -> float:
        assert validation is not None
        scorer.vectors = network.search_vectors().numpy()
        return ndcg_at(scorer, validation)

    training = Training(
        stepper,
        feed,
        evaluate=evaluate if validation is not None else None,
        deadline=context.deadline,
        progress=context.progress,
        checkpoints=None
        if checkpoint_dir is None
        else Checkpoints(checkpoint_dir, stepper, _fingerprint(train, context, parameters)),
    )
    curve = training.run(warm=earlier is not None)
    scorer.vectors = network.search_vectors().numpy()
    type_names = train.type_names if train.types is not None else ()
    item_tower = None if scale is None else ContentTower(network, scale.width)
    return Fitted(network, query, item_tower, scorer, scale, curve, type_names, now)


def _fingerprint(train: Histories, context: FitContext, parameters: TowerParameters) -> str:
    """Of everything that a training depends on."""
    digest = hashlib.sha256(json.dumps([parameters.to_json(), context.seed, train.n_items]).encode())
    for values in (train.offsets, train.items, train.weights, train.times, train.types):
        digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
