"""The checks of a gate: each takes its limits and the evidence, and says what it found and what to do.

A new check is a limits class in ``policy_limits.py`` and a key in ``policy.py``, a function here in the file of its
subject, and a line in ``CHECKS``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tastemaker.promotion.checks.data import data_quality, data_volume, drift
from tastemaker.promotion.checks.lists import calibration, coverage, exposure, popularity_bias
from tastemaker.promotion.checks.origin import leaks, lineage
from tastemaker.promotion.checks.quality import baseline_quality, champion_quality, cold_start, worst_segment
from tastemaker.promotion.checks.serving import serving, size, train_serve_parity
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.verdict import CheckResult

__all__ = ["CHECKS"]

# By the policy's key; each is called with that key's limits.
CHECKS: Mapping[str, Callable[[Any, Evidence], CheckResult]] = {
    "data_volume": data_volume,
    "data_quality": data_quality,
    "drift": drift,
    "baseline_quality": baseline_quality,
    "champion_quality": champion_quality,
    "worst_segment": worst_segment,
    "cold_start": cold_start,
    "coverage": coverage,
    "popularity_bias": popularity_bias,
    "exposure": exposure,
    "calibration": calibration,
    "train_serve_parity": train_serve_parity,
    "leaks": leaks,
    "serving": serving,
    "size": size,
    "lineage": lineage,
}
