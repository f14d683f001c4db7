"""The benchmark's report: every figure of every model, and what the figures rest on."""

from typing import Any

import msgspec

from tastemaker.document import Document
from tastemaker.evaluation.intervals import Estimate

__all__ = ["BenchmarkReport", "Comparison", "ModelFailure", "ModelResult"]

Estimates = dict[str, Estimate]


class ModelResult(msgspec.Struct, frozen=True, kw_only=True):
    """One model.

    Attributes:
        metrics: by ``metric@k``, over all test users.
        slices: by slice, then by ``metric@k``.
        training_minutes: wall-clock minutes of the fit, tuning included.
        scoring_seconds: wall-clock seconds of scoring and ranking for all test users.
        peak_memory_mib: the most memory its process held, data included.
        seed: of its training.
        report: what the model tells of itself: its choices, trials, validation curve.
    """

    metrics: Estimates
    slices: dict[str, Estimates] = {}
    training_minutes: float
    scoring_seconds: float
    peak_memory_mib: float
    seed: int
    report: dict[str, Any] = {}


class ModelFailure(msgspec.Struct, frozen=True):
    """A model without figures.

    Attributes:
        error: why.
        log: file with what it printed.
    """

    error: str
    log: str


class Comparison(msgspec.Struct, frozen=True):
    """The first model minus another one, paired by user.

    Attributes:
        metrics: by ``metric@k``.
        slices: by slice, then by ``metric@k``.
    """

    metrics: Estimates
    slices: dict[str, Estimates] = {}


class BenchmarkReport(Document, frozen=True, kw_only=True):
    """Several models on one set of files.

    Attributes:
        version: of tastemaker.
        created_at: when it was made, ISO 8601, UTC.
        inputs: file by role.
        cutoffs: list lengths.
        seed: of everything random.
        level: of the two-sided intervals.
        resamples: of the bootstrap over all users.
        budget_minutes: that each model had; None: no limit.
        data: what was read, dropped and chosen.
        models: by name, in the order asked for.
        failed: those without figures.
        reference: the model that is compared with the others: the first that has figures.
        comparisons: by the other model.
    """

    KIND = "a benchmark report"
    REMEDY = "make it again with: tastemaker evaluate"

    version: str
    created_at: str
    inputs: dict[str, str]
    cutoffs: tuple[int, ...]
    seed: int
    level: float
    resamples: int
    budget_minutes: float | None
    data: dict[str, Any]
    models: dict[str, ModelResult]
    failed: dict[str, ModelFailure] = msgspec.field(default_factory=dict)
    reference: str | None = None
    comparisons: dict[str, Comparison] = msgspec.field(default_factory=dict)

    def to_json(self) -> bytes:
        """As indented JSON, the models in the order asked for."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    def best_first(self, metric: str) -> list[str]:
        """Names of the models, the highest value first."""
        return sorted(self.models, key=lambda name: -self.models[name].metrics[metric].value)
