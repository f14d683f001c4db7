"""The ranking stage: stored features of the candidates, the exported ranker, scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.errors import ServingError
from tastemaker.features.reader import FeatureReader
from tastemaker.keras import tensorflow
from tastemaker.release.ranking_features import RankingLayout
from tastemaker.serving.context import ShopperContext

__all__ = ["Ranker", "read_stored"]


def read_stored(
    reader: FeatureReader,
    layout: RankingLayout,
    context: ShopperContext,
    *,
    rows: npt.NDArray[np.int64],
    item_ids: Sequence[str],
    now_us: int,
) -> npt.NDArray[np.float32]:
    """Stored features of one shopper's candidates, float32 ``[n, stored]`` in the order of the layout.

    Args:
        reader: of the online store.
        layout: which columns.
        context: whose; brings the features of the shopper's own items along.
        rows: of the candidates.
        item_ids: of the candidates.
        now_us: the moment, in microseconds.
    """
    blocks: dict[str, npt.NDArray[np.float32]] = {}
    for view in dict.fromkeys(view for view, _, _ in layout.stored):
        plan = reader.plan.view(view)
        if plan.entities == (names.ENTITY_USER,):
            block = reader.matrix(view, [context.user], now_us) if context.user else _defaults(reader, view)
            blocks[view] = np.repeat(block, len(rows), axis=0)
        elif plan.entities == (names.ENTITY_USER, names.ENTITY_ITEM):
            blocks[view] = _own(reader, view, context, rows, now_us)
        else:
            blocks[view] = reader.matrix(view, list(item_ids), now_us)
    columns = [blocks[view][:, column] for view, _, column in layout.stored]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=np.float32)


def _defaults(reader: FeatureReader, view: str) -> npt.NDArray[np.float32]:
    return np.array([[feature.default_value for feature in reader.plan.view(view).features]], dtype=np.float32)


def _own(
    reader: FeatureReader, view: str, context: ShopperContext, rows: npt.NDArray[np.int64], now_us: int
) -> npt.NDArray[np.float32]:
    block = np.repeat(_defaults(reader, view), len(rows), axis=0)
    owned, values = context.query.owned, context.owned_values
    if view != names.VIEW_USER_ITEM_ACTIVITY:
        raise ServingError(
            f"the ranking service reads {view}, a view of user and item that serving does not scan; declare its"
            f" features in {names.VIEW_USER_ITEM_ACTIVITY}"
        )
    if len(owned):
        order = np.argsort(owned)
        place = np.minimum(np.searchsorted(owned[order], rows), len(owned) - 1)
        mine = owned[order][place] == rows
        block[mine] = values[order[place[mine]]]
    return block


class Ranker:
    """The exported ranker.

    Args:
        path: its SavedModel.
        batch: candidates per call; fewer are padded, so that one shape is ever run.
    """

    def __init__(self, path: Path, batch: int) -> None:
        if not (path / "saved_model.pb").is_file():
            raise ServingError(f"{path} is no exported ranker; train the release again")
        self._model = tensorflow().saved_model.load(str(path))
        self._batch = batch

    def __call__(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores, float32 ``[n]``, of a feature matrix ``[n, features]``; higher is better."""
        scores = []
        for start in range(0, len(matrix), self._batch):
            block = matrix[start : start + self._batch]
            padded = np.zeros((self._batch, matrix.shape[1]), dtype=np.float32)
            padded[: len(block)] = block
            scores.append(self._model.score(padded).numpy()[: len(block)])
        return np.concatenate(scores) if scores else np.zeros(0, dtype=np.float32)
