"""Load what :mod:`tastemaker.training.retrieval_fit` wrote: catalogue, encoders, item-to-item table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from tastemaker.errors import DataError, ServingError
from tastemaker.events.item import Item
from tastemaker.models.two_tower.saved import load_saved
from tastemaker.release.files import COVISITATION, ITEMS, TOGETHER, TOWERS
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


def load_retrieval(directory: Path) -> LoadedRetrieval:
    """Load it.

    Args:
        directory: that it was written to.

    Raises:
        ServingError: a file is missing or does not belong to the others.
    """
    try:
        items = msgspec.json.decode((directory / ITEMS).read_bytes(), type=list[Item])
        towers = load_saved(directory / TOWERS)
        with np.load(directory / COVISITATION) as table:
            covisitation = Covisitation(table["items"], table["weights"])
            together = {
                name: Covisitation(table[f"{name}_items"], table[f"{name}_weights"])
                for name in TOGETHER
                if f"{name}_items" in table
            }
            rows = len(table["items"])
    except (OSError, KeyError, ValueError, TypeError, DataError, msgspec.MsgspecError) as error:
        raise ServingError(f"the release in {directory} is not complete ({error}); train it again") from error
    item_ids = tuple(item.item_id for item in items)
    if item_ids != towers.vocabulary or len(items) != rows:
        raise ServingError(
            f"the release in {directory} has {len(items)} items, towers of {len(towers.vectors)} and a table of {rows}"
            " rows: its files are of different runs; train it again"
        )
    return LoadedRetrieval(
        catalogue=Catalogue(item_ids, tuple(items), towers.vectors, len(items)),
        items=ItemEncoder(towers),
        queries=QueryEncoder(towers),
        covisitation=covisitation,
        together=together,
    )
