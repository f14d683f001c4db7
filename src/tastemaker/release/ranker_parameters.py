"""Parameters of the ranker of a release; apart from it, so that they can be read without TensorFlow."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field, field_validator

from tastemaker.events.contract import EVENT_TYPES, TYPES_WITHOUT_ITEM
from tastemaker.models.ranker.parameters import RankerParameters

__all__ = ["ReleaseRankerParameters"]


class ReleaseRankerParameters(RankerParameters):
    """Parameters of the ranker, and of the lists that it learns from.

    Attributes:
        outcomes: event types that name an item, the one that matters most last: a shop with clicks sets
            ``("view", "cart_add", "purchase")``, with ``outcome_weights`` of what each is worth.
        cuts_days: moments of the past, in days before the cut, at which lists are made for training; each is
            labelled with what its shoppers did in the ``label_days`` after it.
        label_days: length of the label window.
        max_lists: most lists per moment; more shoppers are sampled.
    """

    cuts_days: tuple[int, ...] = (42, 28)
    label_days: int = Field(default=28, ge=1)
    max_lists: int = Field(default=20_000, ge=1)

    @field_validator("outcomes")
    @classmethod
    def _are_of_items(cls, outcomes: tuple[str, ...]) -> tuple[str, ...]:
        known = [kind for kind in EVENT_TYPES if kind not in TYPES_WITHOUT_ITEM and kind != "impression"]
        for outcome in outcomes:
            if outcome not in known:
                raise ValueError(f"{outcome!r} is no event that says what a shopper does with an item: {known}")
        return outcomes

    def only(self, outcomes: Sequence[str]) -> Self:
        """The same, of some of the outcomes, in their order."""
        kept = [(kind, weight) for kind, weight in zip(self.outcomes, self.weights, strict=True) if kind in outcomes]
        return self.model_copy(
            update={
                "outcomes": tuple(kind for kind, _ in kept),
                "outcome_weights": tuple(weight for _, weight in kept),
            }
        )
