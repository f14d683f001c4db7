"""The ranking stage: stored features of the candidates, the exported ranker, scores."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.errors import DataError, ServingError
from tastemaker.features.plan import ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.models.ranker.forward import Forward
from tastemaker.release.ranking_features import RankingLayout
from tastemaker.serving.context import ShopperContext

__all__ = [
    "RankFunction",
    "Ranker",
    "ReadMatrix",
    "default_items",
    "features_by_view",
    "read_stored",
    "read_user",
    "stored_items",
]

# From float32 [n, features] to scores float32 [n]; higher is better.
RankFunction = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
# From a view, rows of the catalogue, the moment in microseconds and features to float32 [n, features].
ReadMatrix = Callable[[str, npt.NDArray[np.int64], int, Sequence[str]], npt.NDArray[np.float32]]


def read_user(
    reader: FeatureReader, layout: RankingLayout, user: str | None, now_us: int
) -> dict[str, npt.NDArray[np.float32]]:
    """A user's own features, by view: float32 ``[1, features]``; defaults for nobody.

    Raises:
        StoreUnavailable: the online store does not answer.
    """
    found: dict[str, npt.NDArray[np.float32]] = {}
    for view, (features, _) in layout.by_view.items():
        plan = reader.plan.view(view)
        if plan.entities == (names.ENTITY_USER,):
            found[view] = reader.matrix(view, [user], now_us, features) if user else _defaults(plan, features)
    return found


def read_stored(
    reader: FeatureReader,
    layout: RankingLayout,
    context: ShopperContext,
    *,
    rows: npt.NDArray[np.int64],
    now_us: int,
    read_items: ReadMatrix,
    user_blocks: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> npt.NDArray[np.float32]:
    """Stored features of one shopper's candidates, float32 ``[n, stored]`` in the order of the layout.

    Args:
        reader: of the online store.
        layout: which columns.
        context: whose; brings the features of the shopper's own items along.
        rows: of the candidates.
        now_us: the moment, in microseconds.
        read_items: reads the views of items.
        user_blocks: what :func:`read_user` has read; it is read here when absent.
    """
    if user_blocks is None:
        user_blocks = read_user(reader, layout, context.user, now_us)
    stored = np.empty((len(rows), len(layout.stored)), dtype=np.float32)
    for view, (features, where) in layout.by_view.items():
        plan = reader.plan.view(view)
        if plan.entities == (names.ENTITY_USER,):
            block = user_blocks[view]
        elif plan.entities == (names.ENTITY_USER, names.ENTITY_ITEM):
            block = _own(plan, context, rows, tuple(features))
        else:
            block = read_items(view, rows, now_us, features)
        stored[:, where] = block
    return stored


def features_by_view(layout: RankingLayout) -> dict[str, list[str]]:
    """The stored features of each view, in the order of the layout."""
    return {view: features for view, (features, _) in layout.by_view.items()}


def default_items(reader: FeatureReader) -> ReadMatrix:
    """Reads nothing: every item's features are at their defaults, as where they are too old to be believed."""

    def read(view: str, rows: npt.NDArray[np.int64], now_us: int, features: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.repeat(_defaults(reader.plan.view(view), features), len(rows), axis=0)

    return read


def stored_items(reader: FeatureReader, item_ids: Sequence[str]) -> ReadMatrix:
    """Reads the online store itself.

    Args:
        reader: of the store.
        item_ids: of the catalogue, by row.
    """

    def read(view: str, rows: npt.NDArray[np.int64], now_us: int, features: Sequence[str]) -> npt.NDArray[np.float32]:
        return reader.matrix(view, [item_ids[row] for row in rows.tolist()], now_us, features)

    return read


def _defaults(view: ViewPlan, features: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.array([[view.feature(name).default_value for name in features]], dtype=np.float32)


def _own(
    view: ViewPlan, context: ShopperContext, rows: npt.NDArray[np.int64], features: tuple[str, ...]
) -> npt.NDArray[np.float32]:
    if view.name != names.VIEW_USER_ITEM_ACTIVITY:
        raise ServingError(
            f"the ranking service reads {view.name}, a view of user and item that serving does not scan; declare its"
            f" features in {names.VIEW_USER_ITEM_ACTIVITY}"
        )
    block = np.repeat(_defaults(view, features), len(rows), axis=0)
    owned = context.query.owned
    if len(owned):
        places = [view.feature_names.index(feature) for feature in features]
        order = np.argsort(owned)
        ordered = owned[order]
        place = np.minimum(np.searchsorted(ordered, rows), len(owned) - 1)
        mine = ordered[place] == rows
        block[mine] = context.owned_values[order[place[mine]]][:, places]
    return block


class Ranker:
    """The exported ranker, run in plain numpy: for some hundred candidates, TensorFlow's hand-over costs more.

    Args:
        path: of the export.

    Raises:
        ServingError: there is none, or it does not read.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._forward = Forward.load(path)
        except DataError as error:
            raise ServingError(f"{path} is no exported ranker ({error}); train the release again") from error

    def __call__(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores, float32 ``[n]``, of a feature matrix ``[n, features]``; higher is better."""
        return self._forward(matrix)
