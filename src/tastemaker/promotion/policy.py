"""The gate policy: which checks a release must pass, and their limits. A YAML file, validated strictly."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tastemaker.errors import DataError
from tastemaker.promotion import policy_limits as limits
from tastemaker.promotion.hashing import hash_bytes
from tastemaker.promotion.policy_file import read_policy

__all__ = ["GatePolicy", "PolicyChecks", "load_policy"]


class PolicyChecks(limits.Limits):
    """All checks by name; ``null`` switches one off, in sight."""

    data_volume: limits.DataVolumeLimits | None
    data_quality: limits.DataQualityLimits | None
    drift: limits.DriftShareLimits | None
    baseline_quality: limits.QualityLimits | None
    champion_quality: limits.QualityLimits | None
    worst_segment: limits.SegmentLimits | None
    cold_start: limits.ColdStartLimits | None
    coverage: limits.CoverageLimits | None
    popularity_bias: limits.PopularityLimits | None
    exposure: limits.ExposureLimits | None
    calibration: limits.CalibrationLimits | None
    train_serve_parity: limits.ParityLimits | None
    leaks: limits.LeakCheckLimits | None
    serving: limits.ServingLimits | None
    size: limits.SizeLimits | None
    lineage: limits.LineageLimits | None


class GatePolicy(limits.Limits):
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
        return hash_bytes(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode())


def load_policy(path: Path) -> GatePolicy:
    """Read and validate a policy file.

    Raises:
        DataError: the file is missing, no YAML, or breaks the schema; names the file, every wrong key, and what
            is wrong with it.
    """
    policy = read_policy(path, GatePolicy, kind="gate policy", shipped="monitoring/gates/", part="a check")
    if all(one is None for _, one in policy.checks):
        raise DataError(f"the gate policy {path}: checks: all are null, so it would pass everything")
    return policy
