"""Write a trained model as one folder: SavedModels with signatures, vectors, weights, and what they belong to."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.fitting import Fitted
from tastemaker.models.two_tower.saved import (
    CARD,
    CONTENT,
    FORMAT,
    QUERY,
    VECTORS,
    VOCABULARY,
    WEIGHTS,
    vocabulary_hash,
)
from tastemaker.models.two_tower.warm_start import named_weights

tf = tensorflow()

__all__ = ["export"]


def export(
    fitted: Fitted, directory: Path, vocabulary: Sequence[str] | None = None, about: Mapping[str, str] | None = None
) -> None:
    """Write a model; :func:`~tastemaker.models.two_tower.saved.load_saved` reads it.

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
    tf.saved_model.save(fitted.query, str(directory / QUERY), {"serving_default": fitted.query.ask})
    if fitted.content is not None:
        tf.saved_model.save(fitted.content, str(directory / CONTENT), {"serving_default": fitted.content.ask})
    np.save(directory / VECTORS, fitted.scorer.vectors)
    np.savez(directory / WEIGHTS, **named_weights(network))  # type: ignore[arg-type]
    if vocabulary is not None:
        (directory / VOCABULARY).write_text(json.dumps(list(vocabulary)))
    told = {
        "format": FORMAT,
        "n_items": n_items,
        "vocabulary_sha256": vocabulary_hash(vocabulary, n_items),
        "type_names": list(fitted.type_names),
        "parameters": network.parameters.to_json(),
        "content": None if fitted.scale is None else asdict(fitted.scale),
        "until": fitted.until,
        "curve": asdict(fitted.curve),
        "about": dict(about or {}),
    }
    (directory / CARD).write_text(json.dumps(told, indent=2))
