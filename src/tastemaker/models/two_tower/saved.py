"""Read a model that was saved: with TensorFlow's loader alone, without the code that trained it."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.content import ContentScale
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.progress import Curve

__all__ = [
    "CARD",
    "CONTENT",
    "FORMAT",
    "QUERY",
    "VECTORS",
    "VOCABULARY",
    "WEIGHTS",
    "Saved",
    "copy_weights",
    "load_saved",
    "vocabulary_hash",
]

FORMAT: Final = 2
CARD: Final = "model.json"
QUERY: Final = "query"
CONTENT: Final = "content"
VECTORS: Final = "vectors.npy"
WEIGHTS: Final = "weights.npz"
VOCABULARY: Final = "vocabulary.json"


@dataclass(frozen=True, eq=False)
class Saved:
    """A model as it was saved.

    Attributes:
        directory: where it is.
        parameters: of the model.
        vectors: float32 ``[n_items, width]``, what queries are multiplied with.
        scale: how content is read; None without content.
        vocabulary: ids of the items in their order; None when it was not given.
        type_names: event types that training knew, in the order of their codes; empty when all were of one kind.
        curve: of the training.
        until: time of the newest interaction that it learned from; None without times.
        about: further facts that were saved with it.
    """

    directory: Path
    parameters: TowerParameters
    vectors: npt.NDArray[np.float32]
    scale: ContentScale | None
    vocabulary: tuple[str, ...] | None
    type_names: tuple[str, ...]
    curve: Curve
    until: float | None
    about: dict[str, str]

    def query_tower(self) -> Any:
        """The query tower; see :class:`~tastemaker.models.two_tower.asking.QueryTower`."""
        return tensorflow().saved_model.load(str(self.directory / QUERY))

    def content_tower(self) -> Any:
        """The item tower; see :class:`~tastemaker.models.two_tower.asking.ContentTower`.

        Raises:
            DataError: the model knows items by id alone.
        """
        if self.scale is None:
            raise DataError(f"the model in {self.directory} knows items by id alone; train it with their content")
        return tensorflow().saved_model.load(str(self.directory / CONTENT))

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """All weights by name, for a warm start."""
        with np.load(self.directory / WEIGHTS) as kept:
            return {name: kept[name] for name in kept.files}


def copy_weights(directory: Path, target: Path) -> None:
    """Copy what a warm start needs of a saved model, and not its exported towers."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (CARD, VECTORS, WEIGHTS, VOCABULARY):
        if (directory / name).exists():
            shutil.copy(directory / name, target / name)


def vocabulary_hash(vocabulary: Sequence[str] | None, n_items: int) -> str:
    """SHA-256 of the items' ids in their order; of their number when ids are not known."""
    told = json.dumps(n_items if vocabulary is None else list(vocabulary))
    return hashlib.sha256(told.encode()).hexdigest()


def load_saved(directory: Path) -> Saved:
    """Read what :func:`~tastemaker.models.two_tower.export.export` wrote; its towers are loaded when asked for.

    Raises:
        DataError: there is no model, it is of another format, or its vocabulary does not belong to it.
    """
    file = directory / CARD
    if not file.exists():
        raise DataError(f"{directory} holds no two-tower model: {CARD} is missing; save one there first")
    told = json.loads(file.read_text())
    if told["format"] != FORMAT:
        raise DataError(f"{file} has format {told['format']}, this version reads {FORMAT}; train the model anew")
    ids = directory / VOCABULARY
    vocabulary = tuple(json.loads(ids.read_text())) if ids.exists() else None
    vectors = np.load(directory / VECTORS)
    if told["vocabulary_sha256"] != vocabulary_hash(vocabulary, len(vectors)):
        raise DataError(f"the vocabulary in {directory} is not the one that the model was saved with")
    scale = told["content"]
    if scale is not None:
        scale = ContentScale(**(scale | {"price": tuple(scale["price"]), "age": tuple(scale["age"])}))
    return Saved(
        directory=directory,
        parameters=TowerParameters.from_json(told["parameters"]),
        vectors=vectors,
        scale=scale,
        vocabulary=vocabulary,
        type_names=tuple(told["type_names"]),
        curve=Curve(**told["curve"]),
        until=told["until"],
        about=told["about"],
    )
