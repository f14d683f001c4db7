"""Features of all items in this process: a list reads them by the hundred."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.ranking import features_by_view
from tastemaker.serving.release import Release

__all__ = ["ItemFeatures"]


class ItemFeatures:
    """What a release's ranker takes of items, and their popularity.

    Args:
        reader: of the online store.
        release: whose ranker it is.
        now_us: the moment, in microseconds.
        ranked: whether the ranker's features are kept; else popularity alone.
    """

    def __init__(self, reader: FeatureReader, release: Release, now_us: int, *, ranked: bool = True) -> None:
        plan = reader.plan
        wanted = {
            view: features
            for view, features in features_by_view(release.layout).items()
            if ranked and plan.view(view).entities == (names.ENTITY_ITEM,)
        }
        self.views = tuple(wanted)
        self._popularity = plan.view(names.VIEW_ITEM_ACTIVITY).feature_names[release.signals.trend]
        kept = wanted.setdefault(names.VIEW_ITEM_ACTIVITY, [])
        if self._popularity not in kept:
            wanted[names.VIEW_ITEM_ACTIVITY] = [*kept, self._popularity]
        self._kept = ResidentMatrix(reader.store, plan, wanted, now_us)
        self._catalogue: Callable[[], Catalogue] | None = None

    def follow(self, catalogue: Callable[[], Catalogue]) -> None:
        """Read items by their rows in a catalogue, whose rows never move; call it once, before :meth:`read`."""
        self._catalogue = catalogue
        self._kept.number_by(lambda item_id: catalogue().row(str(item_id)))

    def refresh(self, now_us: int) -> None:
        """Follow the online store until nothing is left to do.

        Raises:
            StoreUnavailable: the online store does not answer.
        """
        while not self._kept.refresh(now_us):
            pass

    def popularity(self, item_ids: Sequence[str], now_us: int) -> npt.NDArray[np.float32]:
        """Recent purchases of some items, float32 ``[n]``."""
        return self._kept.matrix(names.VIEW_ITEM_ACTIVITY, item_ids, now_us, [self._popularity])[:, 0]

    def read(
        self, view: str, rows: npt.NDArray[np.int64], now_us: int, features: Sequence[str]
    ) -> npt.NDArray[np.float32]:
        """As :data:`tastemaker.serving.ranking.ReadMatrix` says."""
        assert self._catalogue is not None, "follow() comes first"
        return self._kept.matrix_of_rows(view, rows, self._catalogue().item_ids.__getitem__, now_us, features)
