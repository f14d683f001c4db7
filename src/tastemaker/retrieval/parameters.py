"""How many candidates each source may name, and how many are ranked."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from tastemaker import names

__all__ = ["RetrievalParameters"]


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
