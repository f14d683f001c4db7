"""The gate policy: which checks a release must pass, and their limits. A YAML file, validated strictly."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tastemaker.errors import DataError
from tastemaker.promotion.hashing import hash_bytes

__all__ = [
    "CoverageLimits",
    "DataVolumeLimits",
    "DriftShareLimits",
    "GatePolicy",
    "LineageLimits",
    "NonInferiorityLimits",
    "ParityLimits",
    "PolicyChecks",
    "QualityLiftLimits",
    "load_policy",
]

Share = Annotated[float, Field(ge=0, le=1)]
Metric = Literal["precision", "recall", "ndcg", "mrr", "hit_rate"]


class _Limits(BaseModel):
    # Every key is required and none is unknown: a policy says all it means, and a typing error is an error.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataVolumeLimits(_Limits):
    """Below these a release cannot be judged."""

    min_events: Annotated[int, Field(ge=0)]
    min_test_users: Annotated[int, Field(ge=1)]


class QualityLiftLimits(_Limits):
    """The lower bound of ``candidate - best baseline`` must be above ``min_lower_bound``."""

    metric: Metric
    min_lower_bound: float


class NonInferiorityLimits(_Limits):
    """The lower bound of ``candidate - champion`` must be above ``-margin`` times the champion's value."""

    metric: Metric
    margin: Share


class CoverageLimits(_Limits):
    """Share of the catalogue that the candidate's lists must use at least."""

    min_share: Share


class DriftShareLimits(_Limits):
    """Share of the feature columns that may have drifted."""

    max_share: Share


class ParityLimits(_Limits):
    """Largest difference between a feature in training and in serving."""

    max_difference: Annotated[float, Field(ge=0)]


class LineageLimits(_Limits):
    """Data range, lake versions, code hash, parameters and plan hash are always required."""

    require_commit: bool


class PolicyChecks(_Limits):
    """All checks by name; ``null`` switches one off, in sight."""

    data_volume: DataVolumeLimits | None
    quality_lift: QualityLiftLimits | None
    non_inferiority: NonInferiorityLimits | None
    coverage: CoverageLimits | None
    drift: DriftShareLimits | None
    train_serve_parity: ParityLimits | None
    lineage: LineageLimits | None


class GatePolicy(_Limits):
    """A gate policy.

    Attributes:
        name: as it appears in verdicts.
        description: whom it is for.
        checks: the checks and their limits.
        approval: whether a person decides on a release that passed; the one key that may be left out.
    """

    name: Annotated[str, Field(min_length=1)]
    description: str
    checks: PolicyChecks
    approval: Literal["none", "required"] = "none"

    def digest(self) -> str:
        """SHA-256 of its content; comments and layout of the file do not matter."""
        return hash_bytes(self.model_dump_json().encode())


def load_policy(path: Path) -> GatePolicy:
    """Read and validate a policy file.

    Raises:
        DataError: the file is missing, no YAML, or breaks the schema; names the file, every wrong key, and what
            is wrong with it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"there is no gate policy {path}; see monitoring/gates/ for the shipped ones") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"the gate policy {path} cannot be read: {error}") from error
    try:
        policy = GatePolicy.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {_words(problem['type'], problem['msg'])}"
            for problem in error.errors()
        )
        raise DataError(f"the gate policy {path}: {problems}") from error
    if all(limits is None for _, limits in policy.checks):
        raise DataError(f"the gate policy {path}: checks: all are null, so it would pass everything")
    return policy


def _words(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is no known key; remove it or correct its spelling"
    if kind == "missing":
        return "is missing; write it out (a check that is not wanted is null)"
    return message[0].lower() + message[1:]
