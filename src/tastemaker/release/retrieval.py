"""Load what :mod:`tastemaker.training.retrieval_fit` wrote: catalogue, encoders, item-to-item table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from tastemaker.errors import ServingError
from tastemaker.events.item import Item
from tastemaker.release.files import COVISITATION, ITEM_TOWER, ITEM_VECTORS, ITEMS, QUERY_TOWER, TOGETHER
from tastemaker.release.parameters import TrainingParameters
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.covisitation import Covisitation
from tastemaker.retrieval.encoders import ItemEncoder, QueryEncoder

__all__ = ["LoadedRetrieval", "load_retrieval"]


@dataclass(frozen=True, eq=False)
class LoadedRetrieval:
    """Everything that retrieval needs of a release.

    Attributes:
        catalogue: as it was at the cut.
        items: the item tower.
        queries: the query tower.
        covisitation: the item-to-item source.
        together: item-to-item tables of one kind of event, by the names of ``TOGETHER``; those that the release has.
    """

    catalogue: Catalogue
    items: ItemEncoder
    queries: QueryEncoder
    covisitation: Covisitation
    together: Mapping[str, Covisitation] = field(default_factory=dict)


def load_retrieval(directory: Path, parameters: TrainingParameters) -> LoadedRetrieval:
    """Load it.

    Args:
        directory: that it was written to.
        parameters: that it was fitted with.

    Raises:
        ServingError: a file is missing or does not belong to the others.
    """
    try:
        items = msgspec.json.decode((directory / ITEMS).read_bytes(), type=list[Item])
        vectors = np.load(directory / ITEM_VECTORS)
        with np.load(directory / COVISITATION) as table:
            covisitation = Covisitation(table["items"], table["weights"])
            together = {
                name: Covisitation(table[f"{name}_items"], table[f"{name}_weights"])
                for name in TOGETHER
                if f"{name}_items" in table
            }
            rows = len(table["items"])
    except (OSError, KeyError, ValueError, msgspec.MsgspecError) as error:
        raise ServingError(f"the release in {directory} is not complete ({error}); train it again") from error
    if not len(items) == len(vectors) == rows:
        raise ServingError(
            f"the release in {directory} has {len(items)} items, {len(vectors)} vectors and a table of {rows} rows:"
            " its files are of different runs; train it again"
        )
    return LoadedRetrieval(
        catalogue=Catalogue(tuple(item.item_id for item in items), tuple(items), vectors, len(items)),
        items=ItemEncoder(directory / ITEM_TOWER, parameters.towers.content),
        queries=QueryEncoder(directory / QUERY_TOWER, parameters.towers.history),
        covisitation=covisitation,
        together=together,
    )
