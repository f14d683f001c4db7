"""A trained model as one folder: SavedModels with signatures, item vectors, weights, and what they belong to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.asking import ContentTower
from tastemaker.models.two_tower.content import ContentScale
from tastemaker.models.two_tower.fitting import Fitted
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.progress import Curve
from tastemaker.models.two_tower.scoring import Scorer
from tastemaker.models.two_tower.warm_start import named_weights

tf = tensorflow()

__all__ = ["FORMAT", "Loaded", "export", "load_export", "vocabulary_hash"]

FORMAT: Final = 1


@dataclass(frozen=True)
class Loaded:
    """What an export has.

    Attributes:
        parameters: of the model.
        scorer: scores histories.
        content: vectors of new items from the arrays of their content; None without content.
        scale: how content is read; None without content.
        vocabulary: ids of the items in their order; None when it was not given.
        curve: of the training.
        weights: by name, for a warm start.
    """

    parameters: TowerParameters
    scorer: Scorer
    content: Any
    scale: ContentScale | None
    vocabulary: tuple[str, ...] | None
    curve: Curve
    weights: dict[str, npt.NDArray[np.float32]]


def vocabulary_hash(vocabulary: Sequence[str] | None, n_items: int) -> str:
    """SHA-256 of the items' ids in their order; of their number when ids are not known."""
    told = json.dumps(n_items if vocabulary is None else list(vocabulary))
    return hashlib.sha256(told.encode()).hexdigest()


def export(
    fitted: Fitted, directory: Path, vocabulary: Sequence[str] | None = None, about: Mapping[str, str] | None = None
) -> None:
    """Write a model.

    Args:
        fitted: see there.
        directory: made when it is not there.
        vocabulary: ids of the items in their order.
        about: further facts, such as the version of the feature service.

    Raises:
        DataError: the vocabulary is not of the catalogue's size.
    """
    network, n_items = fitted.network, len(fitted.scorer.vectors)
    if vocabulary is not None and len(vocabulary) != n_items:
        raise DataError(f"the vocabulary has {len(vocabulary)} items, the model {n_items}")
    directory.mkdir(parents=True, exist_ok=True)
    tf.saved_model.save(fitted.query, str(directory / "query"), {"serving_default": fitted.query.ask})
    if fitted.scale is not None:
        content = ContentTower(network, fitted.scale.width)
        tf.saved_model.save(content, str(directory / "content"), {"serving_default": content.ask})
    np.save(directory / "vectors.npy", fitted.scorer.vectors)
    np.savez(directory / "weights.npz", **named_weights(network))  # type: ignore[arg-type]
    if vocabulary is not None:
        (directory / "vocabulary.json").write_text(json.dumps(list(vocabulary)))
    told = {
        "format": FORMAT,
        "n_items": n_items,
        "vocabulary_sha256": vocabulary_hash(vocabulary, n_items),
        "parameters": network.parameters.to_json(),
        "content": None if fitted.scale is None else asdict(fitted.scale),
        "curve": asdict(fitted.curve),
        "about": dict(about or {}),
    }
    (directory / "model.json").write_text(json.dumps(told, indent=2))


def load_export(directory: Path) -> Loaded:
    """Read what :func:`export` wrote.

    Raises:
        DataError: there is no model, it is of another format, or its vocabulary does not belong to it.
    """
    file = directory / "model.json"
    if not file.exists():
        raise DataError(f"{directory} holds no two-tower model: model.json is missing; save one there first")
    told = json.loads(file.read_text())
    if told["format"] != FORMAT:
        raise DataError(f"{file} has format {told['format']}, this version reads {FORMAT}; train the model anew")
    ids = directory / "vocabulary.json"
    vocabulary = tuple(json.loads(ids.read_text())) if ids.exists() else None
    vectors = np.load(directory / "vectors.npy")
    if told["vocabulary_sha256"] != vocabulary_hash(vocabulary, len(vectors)):
        raise DataError(f"the vocabulary in {directory} is not the one that the model was saved with")
    parameters = TowerParameters.from_json(told["parameters"])
    query = tf.saved_model.load(str(directory / "query"))
    scale = content = None
    if told["content"] is not None:
        values = told["content"]
        scale = ContentScale(**(values | {"price": tuple(values["price"]), "age": tuple(values["age"])}))
        content = tf.saved_model.load(str(directory / "content"))
    with np.load(directory / "weights.npz") as kept:
        weights = {name: kept[name] for name in kept.files}
    return Loaded(
        parameters, Scorer(parameters, vectors, query), content, scale, vocabulary, Curve(**told["curve"]), weights
    )
