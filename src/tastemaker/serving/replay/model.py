"""What a replay needs of a release: its ranker, and the vectors of its items. Neither TensorFlow nor a store."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError, ServingError
from tastemaker.models.two_tower.saved import load_saved
from tastemaker.release.files import RANKER, TOWERS, ModelCard
from tastemaker.serving.ranking import Ranker, RankFunction

__all__ = ["ReplayModel", "load_replay_model"]


@dataclass(frozen=True, eq=False)
class ReplayModel:
    """Parts of a release.

    Attributes:
        release_id: of the release.
        names: of the features that the ranker takes, in order.
        ranker: gives scores.
        item_ids: of the vocabulary, in the order of the vectors.
        vectors: float32 ``[items, dimension]``.
    """

    release_id: str
    names: tuple[str, ...]
    ranker: RankFunction
    item_ids: tuple[str, ...]
    vectors: npt.NDArray[np.float32]

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """The row of each item."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}


def load_replay_model(directory: Path, release_id: str) -> ReplayModel:
    """Load it.

    Args:
        directory: of the release.
        release_id: its id.

    Raises:
        ServingError: something is missing, or does not read.
    """
    card = ModelCard.read(directory)
    try:
        towers = load_saved(directory / TOWERS)
    except (DataError, OSError, ValueError) as error:
        raise ServingError(f"the release in {directory} is not complete ({error}); train it again") from error
    return ReplayModel(
        release_id, card.ranking_features, Ranker(directory / RANKER), towers.vocabulary or (), towers.vectors
    )
