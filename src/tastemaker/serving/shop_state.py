"""What all requests see of the shop: catalogue, candidate sources and popularity, kept up with the online store."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.candidates import CandidateSources, MakeIndex
from tastemaker.serving.item_features import ItemFeatures
from tastemaker.serving.release import Release

__all__ = ["ShopState", "read_state"]

# Windows decay without an event: popularity is read again after so long, changed or not.
_POPULARITY_US: Final = 300_000_000
_PIECE: Final = 50_000  # rows at a time: others want the processor too


@dataclass(frozen=True, eq=False)
class ShopState:
    """What a request sees from begin to end; a refresh swaps it as a whole.

    Attributes:
        catalogue: the items.
        sources: where candidates come from.
        popularity: float32 ``[rows]``, recent purchases of each row of the catalogue.
        items_rev: revision of the items that this is as of.
        activity_rev: likewise of the items' activity.
        popularity_us: when all of the popularity was read last.
    """

    catalogue: Catalogue
    sources: CandidateSources
    popularity: npt.NDArray[np.float32]
    items_rev: int
    activity_rev: int
    popularity_us: int


def read_state(
    reader: FeatureReader,
    release: Release,
    old: ShopState | None,
    now_us: int,
    *,
    make_index: MakeIndex,
    items: ItemFeatures,
) -> ShopState:
    """The state as of now; ``old`` itself where nothing has changed.

    Args:
        reader: of the online store.
        release: which serves.
        old: what was read before; None at the start.
        now_us: the moment, in microseconds.
        make_index: builds the index of vectors.
        items: has the activity of the items, as of a moment ago.

    Raises:
        StoreUnavailable: the online store does not answer.
        DataError: it was rebuilt for other declarations.
    """
    before = old.catalogue if old else release.retrieval.catalogue
    items_rev, changes = reader.items_changed(old.items_rev if old else 0)
    catalogue = before.updated(changes, release.retrieval.items)
    activity_rev, keys = reader.changed(names.VIEW_ITEM_ACTIVITY, old.activity_rev if old else 0)
    stale = old is None or now_us - old.popularity_us >= _POPULARITY_US
    if old is not None and catalogue is before and not keys and not stale:
        return old
    popularity = np.zeros(len(catalogue), dtype=np.float32)
    if old is None or stale:
        wanted = np.arange(len(catalogue))
    else:
        popularity[: len(old.popularity)] = old.popularity
        touched = catalogue.rows(key for key in keys if isinstance(key, str))
        wanted = np.unique(np.concatenate([touched[touched >= 0], np.arange(len(before), len(catalogue))]))
    if len(wanted):
        for piece in np.array_split(wanted, len(wanted) // _PIECE + 1):
            ids = [catalogue.item_ids[row] for row in piece.tolist()]
            popularity[piece] = items.popularity(ids, now_us)
    sources = CandidateSources.over(
        catalogue,
        release.retrieval.covisitation,
        popularity,
        together=release.retrieval.together,
        make_index=make_index,
        old=old.sources if old else None,
    )
    popularity_us = now_us if old is None or stale else old.popularity_us
    return ShopState(catalogue, sources, popularity, items_rev, activity_rev, popularity_us)
