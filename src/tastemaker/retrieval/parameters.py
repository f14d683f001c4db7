"""How many candidates each source may name, how many are ranked, and how much the present visit counts."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from tastemaker import names

__all__ = ["IntentParameters", "RetrievalParameters"]


class IntentParameters(BaseModel):
    """How much the present visit counts.

    Attributes:
        half_life_minutes: after so long an event that is no purchase says half as much of the present intent.
        lift: of a perfect match, in distances from the median candidate to the best; 0 switches intent off.
        decisive: a lift above this share of that distance is the reason that is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    half_life_minutes: float = Field(default=30.0, gt=0)
    lift: float = Field(default=1.5, ge=0)
    decisive: float = Field(default=0.2, ge=0)


class RetrievalParameters(BaseModel):
    """Parameters of the blend.

    Attributes:
        quotas: candidates to ask for, by source.
        limit: candidates that are ranked; also the ranker's fixed batch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quotas: Mapping[str, int] = {
        names.SOURCE_REPEAT: 120,
        names.SOURCE_COVISITATION: 80,
        names.SOURCE_TWO_TOWER: 100,
        names.SOURCE_TRENDING: 40,
    }
    limit: int = Field(default=200, ge=1, le=4_096)
