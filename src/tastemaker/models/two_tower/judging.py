"""What early stopping looks at: a small validation part, and NDCG on it."""

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from tastemaker.models.histories import Histories
from tastemaker.models.ndcg import ndcg
from tastemaker.models.protocol import Model, Scores
from tastemaker.models.quality import labels_of
from tastemaker.models.ranking import rank
from tastemaker.models.two_tower.sequences import basket_starts

__all__ = ["Validation", "hold_out", "ndcg_at", "sample"]

_USERS = 2_000
_SHARE = 0.05
_SHARE_OF_NEW = 0.25  # of the users who came since an earlier model was trained
_LEAST = 20


@dataclass(frozen=True)
class Validation:
    """Histories and what followed them, the same users in both.

    Attributes:
        history: what is known.
        relevant: what is to be found.
        exclude_seen: nothing that is relevant was seen before, so that seen items only take up places.
    """

    history: Histories
    relevant: Histories
    exclude_seen: bool


def sample(history: Histories, relevant: Histories, generator: np.random.Generator) -> Validation | None:
    """At most 2,000 random users of a validation part; None when nobody has anything relevant."""
    able = np.flatnonzero(relevant.lengths > 0)
    if not len(able):
        return None
    chosen = np.sort(generator.choice(able, min(_USERS, len(able)), replace=False))
    history, relevant = history.take(chosen), relevant.take(chosen)
    repeated = history.matrix(binary=True).multiply(relevant.matrix(binary=True)).nnz
    return Validation(history, relevant, exclude_seen=bool(repeated < 0.01 * len(relevant.items)))


def hold_out(
    train: Histories, generator: np.random.Generator, *, since: float | None = None
) -> tuple[Histories, Validation | None]:
    """Take the last basket (without an order: a fifth at random) of a twentieth of the users, at most 2,000.

    Args:
        train: every user's interactions.
        generator: of the choice.
        since: only of users whose last basket is later: an earlier model that is started from knows the others' last
            baskets, and would look better than what becomes of it. None: of all.

    Returns:
        What is left to train on, and the validation part; None and everything when there are too few users.
    """
    begins = basket_starts(train)
    baskets = np.bincount(train.rows, weights=begins, minlength=train.n_users)
    able = np.flatnonzero(baskets >= 3 if train.times is not None else train.lengths >= 5)
    share = _SHARE
    if since is not None and train.times is not None:
        able, share = able[train.times[train.offsets[1:][able] - 1] > since], _SHARE_OF_NEW
    n = min(_USERS, int(len(able) * share))
    if n < _LEAST:
        return train, None
    chosen = np.zeros(train.n_users, dtype=np.bool_)
    chosen[generator.choice(able, n, replace=False)] = True
    if train.times is None:
        hidden = chosen[train.rows] & (generator.random(len(train.items)) < 0.2)
    else:
        number = np.cumsum(begins)
        last = np.zeros(train.n_users, dtype=number.dtype)
        full = train.lengths > 0
        last[full] = number[train.offsets[1:][full] - 1]
        hidden = chosen[train.rows] & (number == last[train.rows])
    kept, held = train.where(~hidden), train.where(hidden)
    return kept, sample(kept, held, generator)


class _Scores(Protocol):
    """What is ranked by: a model or a part of one."""

    def score(self, histories: Histories) -> Scores: ...


def ndcg_at(model: _Scores, validation: Validation, k: int = 20) -> float:
    """Mean NDCG of a model's lists, the ideal list cut at ``min(k, relevant)``."""
    ranked = rank(cast(Model, model), validation.history, k, exclude_seen=validation.exclude_seen)
    distinct = np.diff(validation.relevant.matrix(binary=True).tocsr().indptr)
    return float(ndcg(labels_of(ranked, validation.relevant), distinct).mean())
