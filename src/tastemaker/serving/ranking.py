"""The ranking stage: stored features of the candidates, the exported ranker, scores."""

from collections.abc import Callable, Sequence
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

__all__ = ["Ranker", "ReadMatrix", "features_by_view", "read_stored"]

# View, item ids, moment in microseconds, features: float32 [n, features].
ReadMatrix = Callable[[str, Sequence[str], int, Sequence[str]], npt.NDArray[np.float32]]


def read_stored(
    reader: FeatureReader,
    layout: RankingLayout,
    context: ShopperContext,
    *,
    rows: npt.NDArray[np.int64],
    item_ids: Sequence[str],
    now_us: int,
    read_items: ReadMatrix | None = None,
) -> npt.NDArray[np.float32]:
    """Stored features of one shopper's candidates, float32 ``[n, stored]`` in the order of the layout.

    Args:
        reader: of the online store.
        layout: which columns.
        context: whose; brings the features of the shopper's own items along.
        rows: of the candidates.
        item_ids: of the candidates.
        now_us: the moment, in microseconds.
        read_items: reads the views of items; the reader's own ``matrix`` when absent.
    """
    wanted = features_by_view(layout)
    blocks: dict[str, npt.NDArray[np.float32]] = {}
    for view, features in wanted.items():
        plan = reader.plan.view(view)
        if plan.entities == (names.ENTITY_USER,):
            known = bool(context.user)
            block = reader.matrix(view, [context.user or ""], now_us, features) if known else _defaults(plan, features)
            blocks[view] = np.repeat(block, len(rows), axis=0)
        elif plan.entities == (names.ENTITY_USER, names.ENTITY_ITEM):
            places = [plan.feature_names.index(feature) for feature in features]
            blocks[view] = _own(plan, context, rows)[:, places]
        else:
            blocks[view] = (read_items or reader.matrix)(view, item_ids, now_us, features)
    columns = [blocks[view][:, wanted[view].index(feature)] for view, feature, _ in layout.stored]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=np.float32)


def features_by_view(layout: RankingLayout) -> dict[str, list[str]]:
    """The stored features of each view, in the order of the layout."""
    wanted: dict[str, list[str]] = {}
    for view, feature, _ in layout.stored:
        wanted.setdefault(view, []).append(feature)
    return wanted


def _defaults(view: ViewPlan, features: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.array([[view.feature(name).default_value for name in features]], dtype=np.float32)


def _own(view: ViewPlan, context: ShopperContext, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    block = np.repeat(_defaults(view, view.feature_names), len(rows), axis=0)
    owned, values = context.query.owned, context.owned_values
    if view.name != names.VIEW_USER_ITEM_ACTIVITY:
        raise ServingError(
            f"the ranking service reads {view.name}, a view of user and item that serving does not scan; declare its"
            f" features in {names.VIEW_USER_ITEM_ACTIVITY}"
        )
    if len(owned):
        order = np.argsort(owned)
        place = np.minimum(np.searchsorted(owned[order], rows), len(owned) - 1)
        mine = owned[order][place] == rows
        block[mine] = values[order[place[mine]]]
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
