"""What was seen of two releases in one step, by shopper."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["BAD", "OUTCOMES", "Figures", "Shadowed"]

BAD: Final = ("errors", "empty_lists", "tiers")
OUTCOMES: Final = ("slow", "clicked", "carted")

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shadowed:
    """Lists that the candidate made for shoppers who saw the champion's.

    Attributes:
        lists: how many.
        worse: by guardrail, shoppers whose first unlike pair of lists was bad by the candidate.
        better: the same, bad by the champion.
    """

    lists: int = 0
    worse: dict[str, int] = field(default_factory=dict)
    better: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Figures:
    """Lists of shoppers, by the release that they are of.

    Where shoppers are assigned to releases, each is there once, with the release that they are assigned to, whoever
    made their lists. Where each list is drawn for itself, a shopper is there once for each release.

    Attributes:
        candidate: bool ``[users]``: whether the lists are the candidate's.
        lists: int64 ``[users]``.
        outcomes: by name, int64 ``[users]``: how many of these lists were slow, clicked, or led to a cart.
        bad: by guardrail, int64 ``[users]``: what was drawn at random and met an error, an empty list or a lower tier:
            1 for a shopper who did, or, where each list is drawn, how many lists did.
        shadow: of the lists that nobody saw.
    """

    candidate: Flags
    lists: Counts
    outcomes: dict[str, Counts]
    bad: dict[str, Counts]
    shadow: Shadowed = Shadowed()

    @classmethod
    def none(cls) -> "Figures":
        """Nothing was seen yet."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(
            nothing.astype(bool),
            nothing,
            dict.fromkeys(OUTCOMES, nothing),
            dict.fromkeys(BAD, nothing),
        )

    @property
    def requests(self) -> int:
        """Lists that shoppers saw, of both releases."""
        return int(self.lists.sum())

    @property
    def by_candidate(self) -> int:
        """Lists that tell something of the candidate: those of its shoppers, and those that nobody saw."""
        return int(self.lists[self.candidate].sum()) + self.shadow.lists
