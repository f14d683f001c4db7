"""How a release's lists behave beside being right: by segment, towards new shoppers, and towards the catalogue."""

from typing import Any

import msgspec

from tastemaker.document import Document
from tastemaker.evaluation.intervals import Estimate

__all__ = ["ListConduct", "ProbabilityError", "SegmentQuality"]


class SegmentQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Quality for some of the test users.

    Attributes:
        segment: such as ``history: 1 to 5 purchases`` or ``country: Germany``.
        users: in it.
        against: the model that it is compared with: the champion, or the best baseline where there is none.
        ours: mean NDCG of the release.
        theirs: mean NDCG of the other.
        difference: ours minus theirs, paired by user, with its interval; as wide as all segments together need, so
            that the worst of them is not found by looking at many.
        cold: whether these are shoppers of whom little or nothing is known.
    """

    segment: str
    users: int
    against: str
    ours: float
    theirs: float
    difference: Estimate
    cold: bool = False


class ProbabilityError(msgspec.Struct, frozen=True, kw_only=True):
    """How far the ranker's probabilities are off on the test window.

    Attributes:
        pairs: of a shopper and a listed item that were looked at.
        bought: of them.
        expected: how many the probabilities foretell.
        error: expected calibration error; see :func:`~tastemaker.models.ranker.calibration.expected_calibration_error`.
    """

    pairs: int
    bought: int
    expected: float
    error: float


class ListConduct(Document, frozen=True, kw_only=True):
    """What the lists of the test users are like.

    Attributes:
        segments: with at least 30 users each.
        popularity: mean share of the catalogue that is less popular than a listed item, 0 to 1.
        bought_popularity: the same of what these users bought in the test window.
        gini: inequality of how often items of the catalogue are listed, 0 to 1.
        baseline_gini: the smallest of the baselines.
        new_item_share: share of the places that items have which nobody had bought 28 days before the cut.
        new_bought_share: their share in what was bought in the test window.
        probabilities: None where no list had scores.
    """

    KIND = "a list conduct"
    REMEDY = "evaluate the release again"

    segments: tuple[SegmentQuality, ...] = ()
    popularity: float | None = None
    bought_popularity: float | None = None
    gini: float | None = None
    baseline_gini: float | None = None
    new_item_share: float | None = None
    new_bought_share: float | None = None
    probabilities: ProbabilityError | None = None

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per segment, for a table artifact."""
        return [
            {
                "segment": one.segment,
                "users": one.users,
                "ndcg": round(one.ours, 4),
                one.against: round(one.theirs, 4),
                "difference": f"{one.difference.value:+.3f} [{one.difference.low:+.3f}, {one.difference.high:+.3f}]",
            }
            for one in self.segments
        ]
