"""Fit the two-tower model, and export both towers with the vectors of the catalogue."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.events.item import Item
from tastemaker.keras import seed_everything, tensorflow
from tastemaker.release.files import ITEM_TOWER, QUERY_TOWER
from tastemaker.release.tower_parameters import TowerParameters
from tastemaker.retrieval.interest import type_weights
from tastemaker.retrieval.item_content import encode_items
from tastemaker.training.interactions import Interactions
from tastemaker.training.tower_examples import TowerExamples, build_examples
from tastemaker.training.two_tower import ItemTower, QueryTower, TwoTowerModel

__all__ = ["export_towers", "train_towers"]


tf = tensorflow()
keras = tf.keras


def train_towers(
    interactions: Interactions,
    items: Sequence[Item | None],
    targets: tuple[str, ...],
    parameters: TowerParameters,
    *,
    seed: int,
    progress: Callable[[str], None] = lambda message: None,
) -> tuple[TwoTowerModel, float]:
    """Fit the model; the same seed on the same machine gives the same weights.

    Args:
        interactions: what happened, with rows of ``items``.
        items: the catalogue; None for an item of which nothing but the id is known.
        targets: event types that a list should lead to.
        parameters: see there.
        seed: of initial weights, dropout and the order of examples.
        progress: told the loss after each epoch.

    Returns:
        The model, and the mean loss of its last epoch.

    Raises:
        DataError: no shopper came back, so that there is nothing to learn from.
    """
    seed_everything(seed)
    examples = build_examples(interactions, targets, parameters.history)
    if len(examples) < 2:
        raise DataError(
            f"only {len(examples)} baskets of {', '.join(targets)} have a history before them; the two-tower model"
            " learns from shoppers who came back: import more history, or train at a later cut"
        )
    content = {"id": np.arange(1, len(items) + 1, dtype=np.int32), **asdict(encode_items(items, parameters.content))}
    model = TwoTowerModel(
        ItemTower(len(items), parameters),
        QueryTower(type_weights().tolist(), parameters),
        content,
        examples.sampling_probability(len(items), parameters.pairs_per_basket),
        parameters,
    )
    model.compile(optimizer=keras.optimizers.Adam(parameters.learning_rate))
    generator = np.random.default_rng(seed)
    loss = float("nan")
    for epoch in range(parameters.epochs):
        dataset = tf.data.Dataset.from_generator(
            lambda: _batches(examples, parameters, generator), output_signature=_signature(parameters.history)
        ).prefetch(2)
        fitted = model.fit(dataset, epochs=1, verbose=0)
        loss = float(fitted.history["mean_loss"][-1])
        progress(f"two-tower epoch {epoch + 1} of {parameters.epochs}: loss {loss:.3f}")
    return model, loss


def _signature(history: int) -> dict[str, Any]:
    wide = (None, history)
    return {
        "items": tf.TensorSpec(wide, tf.int32),
        "types": tf.TensorSpec(wide, tf.int32),
        "age_days": tf.TensorSpec(wide, tf.float32),
        "basket": tf.TensorSpec((None,), tf.int32),
        "item": tf.TensorSpec((None,), tf.int32),
    }


def _batches(
    examples: TowerExamples, parameters: TowerParameters, generator: np.random.Generator
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    for group, basket, item in examples.batches(parameters.batch_pairs, parameters.pairs_per_basket, generator):
        yield {
            "items": examples.items[group],
            "types": examples.types[group],
            "age_days": examples.age_days[group],
            "basket": basket,
            "item": item,
        }


def export_towers(model: TwoTowerModel, parameters: TowerParameters, directory: Path) -> npt.NDArray[np.float32]:
    """Write both towers as SavedModels of one function ``encode`` each, and compute the catalogue's vectors.

    Args:
        model: fitted.
        parameters: those that it was fitted with.
        directory: gets ``item_tower/`` and ``query_tower/``.

    Returns:
        float32 ``[items, dimension]``, from the exported function.
    """
    content = parameters.content

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec((None,), tf.int32, "id"),
            tf.TensorSpec((None, content.n_tokens), tf.int32, "tokens"),
            tf.TensorSpec((None, content.n_categories), tf.int32, "categories"),
            tf.TensorSpec((None,), tf.float32, "log_price"),
            tf.TensorSpec((None,), tf.float32, "has_price"),
        ]
    )
    def encode_items_(id: Any, tokens: Any, categories: Any, log_price: Any, has_price: Any) -> Any:
        return model.items(
            {"id": id, "tokens": tokens, "categories": categories, "log_price": log_price, "has_price": has_price}
        )

    wide = (None, parameters.history)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec((*wide, parameters.dimension), tf.float32, "vectors"),
            tf.TensorSpec(wide, tf.int32, "types"),
            tf.TensorSpec(wide, tf.float32, "age_days"),
            tf.TensorSpec(wide, tf.float32, "mask"),
        ]
    )
    def encode_query(vectors: Any, types: Any, age_days: Any, mask: Any) -> Any:
        return model.query({"vectors": vectors, "types": types, "age_days": age_days, "mask": mask})

    for name, tower, function in (
        (ITEM_TOWER, model.items, encode_items_),
        (QUERY_TOWER, model.query, encode_query),
    ):
        module = tf.Module()
        module.tower = tower  # its variables are saved with the function
        module.encode = function
        tf.saved_model.save(module, str(directory / name), signatures={"serving_default": function})
    vectors = encode_items_(**{name: value for name, value in model.content.items()})
    return np.asarray(vectors.numpy(), dtype=np.float32)
