"""The limits of a gate policy, a class for each check."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CalibrationLimits",
    "ColdStartLimits",
    "CoverageLimits",
    "DataQualityLimits",
    "DataVolumeLimits",
    "DriftShareLimits",
    "ExposureLimits",
    "LeakCheckLimits",
    "Limits",
    "LineageLimits",
    "ParityLimits",
    "PopularityLimits",
    "QualityLimits",
    "SegmentLimits",
    "ServingLimits",
    "SizeLimits",
]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Metric = Literal["precision", "recall", "ndcg", "mrr", "hit_rate"]


class Limits(BaseModel):
    """Every key is required and none is unknown: a policy says all it means, and a typing error is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataVolumeLimits(Limits):
    """Below these a release cannot be judged."""

    min_events: Count
    min_test_users: Annotated[int, Field(ge=1)]


class DataQualityLimits(Limits):
    """Columns that may have more missing values, new categories, be constant, empty or absent."""

    max_columns: Count


class DriftShareLimits(Limits):
    """Share of the columns whose distribution may have drifted, and who counts.

    Attributes:
        max_share: of the checked columns.
        max_false_alarm_rate: that the limits may have been calibrated at.
        floors: by column, a distance up to which it does not count, where the usual floor is too small: a column that
            grows with time, or with the season.
    """

    max_share: Share
    max_false_alarm_rate: Share
    floors: dict[str, Positive]


class QualityLimits(Limits):
    """A comparison by the interval of the paired difference.

    Attributes:
        metric: what is compared.
        mode: ``superiority``: the lower end must be above ``margin`` times the other's value; ``non_inferiority``:
            above minus that.
        margin: share of the other's value.
    """

    metric: Metric
    mode: Literal["superiority", "non_inferiority"]
    margin: Share


class SegmentLimits(Limits):
    """No segment may be shown to be worse by more than a share of the other's NDCG.

    Attributes:
        min_users: smaller segments do not count.
        margin: share of the other's value.
    """

    min_users: Annotated[int, Field(ge=1)]
    margin: Share


class ColdStartLimits(SegmentLimits):
    """The same for shoppers of whom little or nothing is known."""


class CoverageLimits(Limits):
    """Share of the catalogue that the candidate's lists must use at least."""

    min_share: Share


class PopularityLimits(Limits):
    """How much more popular listed items may be than what the same shoppers bought, as a share of the catalogue."""

    max_lift: Share


class ExposureLimits(Limits):
    """Fairness of exposure among items.

    Attributes:
        max_gini: inequality of how often items are listed.
        min_new_item_ratio: share of the places that new items have, by their share in what was bought.
    """

    max_gini: Share
    min_new_item_ratio: Annotated[float, Field(ge=0)]


class CalibrationLimits(Limits):
    """How far probabilities may be off.

    Attributes:
        max_error: expected calibration error.
        max_ratio: of what is foretold to what happened, or the reverse.
    """

    max_error: Share
    max_ratio: Annotated[float, Field(ge=1)]


class ParityLimits(Limits):
    """Largest difference between a feature in training and in serving."""

    max_difference: Annotated[float, Field(ge=0)]


class LeakCheckLimits(Limits):
    """The leak check must have run.

    Attributes:
        min_features: that it looked at.
        require_planted: whether it must have found a leak that was planted for it.
    """

    min_features: Annotated[int, Field(ge=1)]
    require_planted: bool


class ServingLimits(Limits):
    """Of a short load on the built Bento.

    Attributes:
        min_requests: below, the load was too short to say anything.
        max_failed_share: requests that were not answered with 200.
        max_p99_ms: 99 % quantile of the time of an answer in milliseconds.
        max_memory_mb: resident memory after the load in MiB.
    """

    min_requests: Annotated[int, Field(ge=1)]
    max_failed_share: Share
    max_p99_ms: Positive
    max_memory_mb: Positive


class SizeLimits(Limits):
    """Of all files of the release, in MiB."""

    max_mb: Positive


class LineageLimits(Limits):
    """Data range, lake versions, code hash, parameters and plan hash are always required.

    Attributes:
        require_commit: whether the code's git commit must be known.
        require_licences: whether the licences of code and data must be known.
    """

    require_commit: bool
    require_licences: bool
