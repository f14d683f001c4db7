"""What the ranker learns from, of the lists that were made: which outcomes, and which lists are held out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tastemaker.models.ranker.lists import RankingLists
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.training.ranking_set import RankingSet

__all__ = ["RankerLessons", "lessons_of"]

_HELD_OUT = 10
_FEW_LISTS = 500  # none is spared for that


@dataclass(frozen=True, eq=False)
class RankerLessons:
    """What a ranker is fitted with.

    Attributes:
        lists: that it learns from.
        held_out: that say when to stop, and how likely what the scores order is; None where all are learned from.
        parameters: of the outcomes that happened.
    """

    lists: RankingLists
    held_out: RankingLists | None
    parameters: ReleaseRankerParameters


def lessons_of(
    ranking_set: RankingSet,
    parameters: ReleaseRankerParameters,
    names: tuple[str, ...],
    progress: Callable[[str], None],
) -> RankerLessons:
    """Divide lists with labels.

    One list of ten is held out, unless there are few. An outcome that happened to nobody is left out, as it teaches
    nothing.

    Args:
        ranking_set: the lists.
        parameters: of the ranker.
        names: of the features, in order.
        progress: told which outcomes are left out.
    """
    happened = (ranking_set.labels == 1).any(axis=(0, 1))
    absent = [kind for kind, there in zip(parameters.outcomes, happened, strict=True) if not there]
    if absent and happened.any():
        progress(f"no {' and no '.join(absent)} in the label windows: the ranker learns the other outcomes")
        parameters = parameters.only([kind for kind in parameters.outcomes if kind not in absent])
        ranking_set = replace(ranking_set, labels=ranking_set.labels[:, :, happened])
    positions = ranking_set.positions if ranking_set.positions.any() else None
    n_lists = len(ranking_set.labels)
    spared = (np.arange(n_lists) % _HELD_OUT == _HELD_OUT - 1) & (n_lists >= _FEW_LISTS)
    lists, held_out = (
        RankingLists(
            ranking_set.features[part],
            ranking_set.labels[part],
            names,
            None if positions is None else positions[part],
        )
        for part in (~spared, spared)
    )
    return RankerLessons(lists, held_out if len(held_out.useful) else None, parameters)
