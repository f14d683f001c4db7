"""Parameters of the ranker of a release; apart from it, so that they can be read without TensorFlow."""

from pydantic import Field

from tastemaker.models.ranker.parameters import RankerParameters

__all__ = ["ReleaseRankerParameters"]


class ReleaseRankerParameters(RankerParameters):
    """Parameters of the ranker, and of the lists that it learns from.

    Attributes:
        cuts_days: moments of the past, in days before the cut, at which lists are made for training; each is
            labelled with what its shoppers bought in the ``label_days`` after it.
        label_days: length of the label window.
        max_lists: most lists per moment; more shoppers are sampled.
    """

    cuts_days: tuple[int, ...] = (42, 28)
    label_days: int = Field(default=28, ge=1)
    max_lists: int = Field(default=20_000, ge=1)
