"""What users did, as flat integer arrays: what every model learns from and what it is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.errors import DataError

__all__ = ["Histories"]

_REPEATS = 0.05  # share of repeated interactions from which items are worth recommending again

Floats = npt.NDArray[np.float32]
Moments = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Histories:
    """The interactions of some users, user by user, oldest first.

    Users have no identity here: a model may learn from rows, never about a row. That is what lets every model serve
    users that training never saw.

    Attributes:
        offsets: int64 ``[users + 1]``; user ``u`` owns the positions from ``offsets[u]`` up to ``offsets[u + 1]``.
        items: int32 ``[n]``, codes from 0 up to ``n_items``; an item may occur more than once.
        n_items: size of the catalogue that is ranked.
        weights: float32 ``[n]``, above 0: how much an interaction counts.
        times: float64 ``[n]``, in any unit, not decreasing within a user; None when there is no order at all.
        types: int16 ``[n]``, indices into ``type_names``; None when all interactions are of one kind.
        type_names: event types.
        now: float64 ``[users]``, the moment at which each is asked about, in the unit of ``times``; None without times.

    Raises:
        DataError: the arrays do not fit together.
    """

    offsets: Ints
    items: npt.NDArray[np.int32]
    n_items: int
    weights: Floats
    times: Moments | None = None
    types: npt.NDArray[np.int16] | None = None
    type_names: tuple[str, ...] = ()
    now: Moments | None = None

    def __post_init__(self) -> None:
        n = len(self.items)
        if self.offsets[0] != 0 or self.offsets[-1] != n or (np.diff(self.offsets) < 0).any():
            raise DataError(f"offsets must rise from 0 to the number of interactions, {n}")
        for name in ("weights", "times", "types"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise DataError(f"{name} has {len(column)} values for {n} interactions")
        if n and (self.items.min() < 0 or self.items.max() >= self.n_items):
            raise DataError(f"item codes must lie in [0, {self.n_items}); code unknown items away before")
        if self.now is not None and len(self.now) != self.n_users:
            raise DataError(f"now has {len(self.now)} values for {self.n_users} users")

    @classmethod
    def of(
        cls,
        users: npt.ArrayLike,
        items: npt.ArrayLike,
        *,
        n_users: int,
        n_items: int,
        times: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        types: npt.ArrayLike | None = None,
        type_names: Sequence[str] = (),
    ) -> "Histories":
        """Group coded interactions by user; at one time, they keep their order.

        Args:
            users: int ``[n]``, from 0 up to ``n_users``.
            items: int ``[n]``.
            n_users: number of users, those without interactions too.
            n_items: size of the catalogue.
            times: ``[n]``.
            weights: ``[n]``; 1 when left out.
            types: ``[n]``.
            type_names: see the class.
        """
        rows, codes = np.asarray(users, dtype=np.int64), np.asarray(items, dtype=np.int32)
        moments = None if times is None else np.asarray(times, dtype=np.float64)
        order = np.argsort(rows, kind="stable") if moments is None else np.lexsort((moments, rows))
        strength = np.ones(len(rows), np.float32) if weights is None else np.asarray(weights, dtype=np.float32)
        kinds = None if types is None else np.asarray(types, dtype=np.int16)[order]
        latest = None if moments is None else np.full(n_users, moments.max(initial=0.0))
        return cls(
            offsets=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_users))]).astype(np.int64),
            items=codes[order],
            n_items=n_items,
            weights=strength[order],
            times=None if moments is None else moments[order],
            types=kinds,
            type_names=tuple(type_names),
            now=latest,
        )

    @property
    def n_users(self) -> int:
        """How many users."""
        return len(self.offsets) - 1

    @property
    def rows(self) -> Ints:
        """int64 ``[n]``: the user of each interaction."""
        return np.repeat(np.arange(self.n_users), self.lengths)

    @property
    def lengths(self) -> Ints:
        """int64 ``[users]``: interactions of each."""
        return np.diff(self.offsets)

    @property
    def ages(self) -> Moments | None:
        """float64 ``[n]``: time from each interaction to its user's ``now``, at least 0; None without times."""
        if self.times is None or self.now is None:
            return None
        return np.maximum(np.repeat(self.now, self.lengths) - self.times, 0.0)

    @cached_property
    def repeats(self) -> float:
        """Share of the interactions with an item that their user had before; 0 without interactions."""
        return 1.0 - self.matrix(binary=True).nnz / len(self.items) if len(self.items) else 0.0

    @property
    def worth_repeating(self) -> bool:
        """Whether so much is repeated (more than a twentieth) that a list should have items of a user's own history."""
        return self.repeats > _REPEATS

    def take(self, users: npt.NDArray[np.integer]) -> "Histories":
        """The histories of some users, in the order asked for; a user may be asked for twice.

        Args:
            users: int ``[m]``.
        """
        lengths = self.lengths[users]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        where = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][users] - offsets[:-1], lengths)
        kept = self._at(where)
        return replace(kept, offsets=offsets, now=None if self.now is None else self.now[users])

    def where(self, keep: npt.NDArray[np.bool_]) -> "Histories":
        """The same users with only those interactions at which ``keep [n]`` is true."""
        offsets = np.concatenate([[0], np.cumsum(keep)])[self.offsets].astype(np.int64)
        return replace(self._at(np.flatnonzero(keep)), offsets=offsets, now=self.now)

    def at(self, now: npt.ArrayLike) -> "Histories":
        """The same interactions, asked about at another moment, one for all or ``[users]``."""
        return replace(self, now=np.broadcast_to(np.asarray(now, dtype=np.float64), (self.n_users,)).copy())

    def last(self, n: int) -> "Histories":
        """At most the ``n`` newest interactions of each user."""
        ends = np.repeat(self.offsets[1:], self.lengths)
        return self.where(ends - np.arange(len(self.items)) <= n)

    def matrix(self, values: npt.NDArray[np.floating] | None = None, *, binary: bool = False) -> sparse.csr_matrix:
        """float32 ``[users, items]``: per pair the sum of ``values [n]`` (else of the weights); 1s when ``binary``."""
        data = self.weights if values is None else np.asarray(values, dtype=np.float32)
        shape = (self.n_users, self.n_items)
        # A copy: adding up duplicates happens in place.
        found = sparse.csr_matrix((data, self.items, self.offsets), shape=shape, copy=True)
        found.sum_duplicates()
        if binary:
            found.data[:] = 1.0
        return found

    def popularity(self) -> Floats:
        """float32 ``[items]``: distinct users of each item; one heavy user counts once."""
        return np.asarray(self.matrix(binary=True).sum(axis=0), dtype=np.float32).ravel()

    def _at(self, where: Ints) -> "Histories":
        """Interactions by position, as one user's: the caller sets the offsets."""
        return replace(
            self,
            offsets=np.array([0, len(where)], dtype=np.int64),
            items=self.items[where],
            weights=self.weights[where],
            times=None if self.times is None else self.times[where],
            types=None if self.types is None else self.types[where],
            now=None,
        )
