"""iALS: matrix factorisation of implicit feedback by alternating least squares (Hu, Koren and Volinsky, 2008)."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy import sparse

from tastemaker.errors import DataError
from tastemaker.models.histories import Floats, Histories
from tastemaker.models.inputs import popularity_tie, require_interactions, values
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["Ials"]

_TIE = 1e-7  # popularity orders the items for a user without history
_STEPS = 4  # of conjugate gradients per solve while training: it goes on from the last epoch's solution
_FOLD_IN_STEPS = 24  # from zero, to the solution


class Ials:
    """Items by the inner product with a vector that is solved for from the history.

    The loss over all pairs is ``sum over observed (1 - s)^2 + unobserved * sum over all s^2``, with regularisation that
    grows with how often a user or an item occurs: ``regularisation * (m / mean m) ** frequency``, where ``m`` is
    ``n + unobserved * N``. Without that scaling and without tuning iALS is far below what it can do (Rendle et al.,
    "Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys 2022); dividing by the mean lets one
    value fit catalogues of all sizes. Solves are by conjugate gradients (Takács et al., 2011).

    Args:
        dim: of the vectors.
        regularisation: above 0.
        unobserved: weight of a pair that was not observed, where an observed one has 1.
        frequency: exponent of the scaling; 0 is plain L2.
        epochs: passes over both sides; fewer when the deadline comes.
        half_life: of an item of a history that is scored, in interactions; None: all count the same, as they do without
            times.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "ials"

    def __init__(
        self,
        *,
        dim: int = 256,
        regularisation: float = 0.3,
        unobserved: float = 0.02,
        frequency: float = 1.0,
        epochs: int = 12,
        half_life: float | None = 2.0,
    ) -> None:
        if dim < 1 or not regularisation > 0 or not unobserved > 0 or epochs < 1:
            raise DataError("ials needs dim and epochs of at least 1, regularisation and unobserved above 0")
        if half_life is not None and not half_life > 0:
            raise DataError(f"a half-life must be above 0, not {half_life}")
        self.dim = dim
        self.regularisation = regularisation
        self.unobserved = unobserved
        self.frequency = frequency
        self.epochs = epochs
        self.half_life = half_life

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Size, regularisation and what the unobserved weighs."""
        choices: dict[str, tuple[Any, ...]] = {
            "dim": (128, 256, 512),
            "regularisation": (0.03, 0.3, 1.0, 3.0),
            "unobserved": (0.001, 0.004, 0.02, 0.06, 0.2),
        }
        return choices if train.times is None else {**choices, "half_life": (1.0, 2.0, 6.0, None)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Alternate.

        Raises:
            DataError: there are no interactions.
        """
        from tastemaker.models.conjugate_gradients import solve_rows

        require_interactions(train)
        by_user = train.matrix(binary=True)
        by_item = by_user.T.tocsr()
        random = np.random.default_rng(context.seed)
        scale = 0.1 / np.sqrt(self.dim)
        self._vectors: Floats = random.standard_normal((train.n_items, self.dim), dtype=np.float32) * np.float32(scale)
        users: Floats = np.zeros((train.n_users, self.dim), np.float32)
        # Users without interactions would only lower the mean.
        self._mean = len(by_user.data) / max(int((np.diff(by_user.indptr) > 0).sum()), 1)
        user_ridge = self._ridge(by_user, train.n_items, self._mean)
        item_ridge = self._ridge(by_item, train.n_users, len(by_item.data) / train.n_items)
        for epoch in range(self.epochs):
            began = context.remaining_s
            solve_rows(by_user, self._vectors, users, gram=self._gram_of(self._vectors), ridge=user_ridge, steps=_STEPS)
            solve_rows(by_item, users, self._vectors, gram=self._gram_of(users), ridge=item_ridge, steps=_STEPS)
            if context.remaining_s < (began - context.remaining_s) * 1.5:  # no room for another one
                context.progress(f"ials: stopped after {epoch + 1} of {self.epochs} epochs")
                break
        self._gram = self._gram_of(self._vectors)
        self._tie = popularity_tie(train.popularity(), _TIE)
        return self

    def score(self, histories: Histories) -> Scores:
        """Fold in, then multiply."""
        from tastemaker.models.conjugate_gradients import solve_rows

        known = values(histories, self.half_life)
        users = np.zeros((histories.n_users, self.dim), np.float32)
        ridge = self._ridge(known, histories.n_items, self._mean)
        solve_rows(known, self._vectors, users, gram=self._gram, ridge=ridge, steps=_FOLD_IN_STEPS)
        scores: Scores = users @ self._vectors.T
        scores += self._tie
        return scores

    def _gram_of(self, vectors: Floats) -> Floats:
        """What all pairs weigh together, ``[d, d]``."""
        return np.asarray(self.unobserved * (vectors.T @ vectors), dtype=np.float32)

    def _ridge(self, matrix: sparse.csr_matrix, others: int, mean: float) -> Floats:
        """The regularisation of each row's vector, ``[rows]``; ``mean`` is that of their interactions."""
        everywhere = self.unobserved * others
        found = self.regularisation * ((np.diff(matrix.indptr) + everywhere) / (mean + everywhere)) ** self.frequency
        return np.asarray(found, dtype=np.float32)
