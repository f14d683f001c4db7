"""Graph filters: collaborative filtering as smoothing over the graph of items (GF-CF, Shen et al., CIKM 2021)."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy import sparse

from tastemaker.errors import DataError
from tastemaker.models.histories import Floats, Histories
from tastemaker.models.inputs import bounded, popularity_tie, require_interactions, values
from tastemaker.models.protocol import FitContext, Scores
from tastemaker.models.spectrum import right_vectors

__all__ = ["GraphFilter"]

_TIE = 1e-9  # popularity orders what no filter reaches
_PASSES = 2
_PAIRS = 4e8  # of items; a stored one takes 8 bytes
_DENSE = 0.3  # share of pairs of items that meet, above which the gram matrix is kept with its zeros
_PER_SECOND = 10.0  # components that a slow machine finds in a second, where a deadline leaves little time


class GraphFilter:
    """Items by two filters over the normalised item graph: its neighbours, and its smoothest components.

    With ``R`` the interactions divided by the roots of the degrees of user and item, a history ``x`` scores
    ``x R'R + low_pass * x D^-1/2 V V' D^1/2``, where ``V`` holds the leading right singular vectors of ``R`` and ``D``
    the items' degrees. That is GF-CF. ``sharpening`` above 0 then takes out what is shared with everybody, as BSPM does
    (Choi et al., SIGIR 2023): scores go through ``exp(-sharpening * R'R)``, computed on the leading components, where
    ``R'R`` is diagonal.

    Args:
        components: of the low pass.
        low_pass: its weight.
        sharpening: strength of the sharpening; 0: none.
        half_life: of an item of a history, in interactions; None: all count the same, as they do without times.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "graph-filter"

    def __init__(
        self,
        *,
        components: int = 768,
        low_pass: float = 0.5,
        sharpening: float = 0.5,
        half_life: float | None = 1.0,
    ) -> None:
        if components < 1 or low_pass < 0 or sharpening < 0 or (half_life is not None and not half_life > 0):
            raise DataError(
                "graph-filter needs components of at least 1, weights of at least 0, and a half-life above 0"
            )
        self.components = components
        self.low_pass = low_pass
        self.sharpening = sharpening
        self.half_life = half_life

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Size and weight of the low pass, sharpening, normalisation."""
        choices: dict[str, tuple[Any, ...]] = {
            "components": (128, 384, 768),
            "low_pass": (0.1, 0.3, 0.5, 1.0),
            "sharpening": (0.0, 0.5, 1.0),
        }
        return choices if train.times is None else {**choices, "half_life": (1.0, 3.0, None)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Normalise, multiply, decompose.

        Raises:
            DataError: there are no interactions.
        """
        require_interactions(train)
        taken = bounded(train, context, share=0.3, most=_PAIRS).matrix(binary=True)
        popularity = train.popularity()
        degrees = np.maximum(popularity, 1.0)
        lengths = np.maximum(np.diff(taken.indptr), 1)
        normal = (sparse.diags(lengths**-0.5) @ taken @ sparse.diags(degrees**-0.5)).astype(np.float32).tocsr()
        gram = (normal.T @ normal).tocsr()
        # Where most items meet, zeros take less room than their places.
        self._gram = gram.toarray() if gram.nnz > _DENSE * gram.shape[0] ** 2 else gram
        rank = int(min(self.components, min(normal.shape) - 1, max(16.0, context.remaining_s * _PER_SECOND)))
        self._vectors: Floats = np.zeros((train.n_items, 0), np.float32)
        self._values: Floats = np.zeros(0, np.float32)
        if rank > 0 and (self.low_pass > 0 or self.sharpening > 0):
            self._vectors, self._values = right_vectors(normal, rank, seed=context.seed, passes=_PASSES)
        self._roots = np.sqrt(degrees).astype(np.float32)[:, None]
        # From low-pass coordinates to those of the sharpening.
        self._turn = self._vectors.T @ (self._vectors * self._roots)
        self._tie = popularity_tie(popularity, _TIE)
        return self

    def score(self, histories: Histories) -> Scores:
        """Both filters over each history."""
        known = values(histories, self.half_life)
        found = known @ self._gram
        scores: Scores = found if isinstance(found, np.ndarray) else found.toarray()
        if self._vectors.shape[1]:
            smooth = self.low_pass * (known @ (self._vectors / self._roots))
            scores += smooth @ (self._vectors * self._roots).T
            if self.sharpening > 0:
                power = np.square(self._values)
                common = (known @ self._vectors) * power + smooth @ self._turn
                scores += (common * np.expm1(-self.sharpening * power)) @ self._vectors.T
        scores += self._tie
        return scores
