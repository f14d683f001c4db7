"""What a training run leaves beside the release directory for the gate, so that a run that goes on finds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.report import EvaluationReport
from tastemaker.features.audit.leaks import Telling, find_leaks
from tastemaker.promotion.assess import Assessment
from tastemaker.promotion.findings import Leaks, collect_contents
from tastemaker.promotion.hashing import hash_bytes
from tastemaker.promotion.list_conduct import ListConduct

__all__ = ["gathered", "keep_assessment", "keep_leaks", "quality_figures", "ranking_leaks"]

_CONDUCT: Final = "conduct"
_LEAKS: Final = "leaks.json"
_PLANTED: Final = "(planted)"
_FLIPPED: Final = 0.01  # of the labels, so that the planted leak is no plain copy


def ranking_leaks(
    columns: Mapping[str, npt.NDArray[Any]], labels: npt.NDArray[Any], shoppers: npt.NDArray[Any], seed: int
) -> tuple[list[Telling], Leaks]:
    """Look for features that know the label, and for one that was made from it.

    A check that finds nothing must be able to find something.

    Args:
        columns: values of each feature, ``[rows]``.
        labels: ``[rows]``.
        shoppers: whose row each is.
        seed: of the draws.

    Returns:
        The results of the real features, and their sum.
    """
    flipped = np.random.default_rng(seed).random(len(labels)) < _FLIPPED
    planted = np.where(flipped, 1 - labels, labels)
    found = find_leaks({**columns, _PLANTED: planted}, labels, shoppers, seed=seed)
    real = [one for one in found if one.feature != _PLANTED]
    return real, Leaks.of(real, next((one for one in found if one.feature == _PLANTED), None))


def keep_leaks(release_dir: Path, leaks: Leaks) -> None:
    """Leave what the leak check found."""
    release_dir.with_name(_LEAKS).write_bytes(leaks.to_json())


def keep_assessment(release_dir: Path, assessment: Assessment) -> EvaluationReport:
    """Leave what the lists are like, by the report that it goes with, and hand on the report."""
    _conduct(release_dir, assessment.report).write_bytes(assessment.conduct.to_json())
    return assessment.report


def _conduct(release_dir: Path, report: EvaluationReport) -> Path:
    return release_dir.with_name(f"{_CONDUCT}-{hash_bytes(report.to_json())[:16]}.json")


def quality_figures(report: EvaluationReport) -> list[tuple[str, float]]:
    """Ranking quality for the drift report, by name; empty where nobody was there to be judged by."""
    if not report.models:
        return []
    ours = report.models[report.reference]
    found = [(f"{metric}@{report.k} of the release", estimate.value) for metric, estimate in ours.items()]
    others = {report.best_baseline(), report.champion} - {None}
    for name in sorted(other for other in others if other is not None):
        found.append((f"ndcg@{report.k}, release - {name}", report.differences[name]["ndcg"].value))
    return found


def gathered(release_dir: Path, repository: Path, events: int, report: EvaluationReport) -> dict[str, Any]:
    """The parts of the evidence that lie beside a release directory, by their name in the evidence.

    Args:
        release_dir: what training wrote.
        repository: root of the checkout, for the licences.
        events: that training read.
        report: of the evaluation whose further figures are wanted.
    """
    conduct, leaks = _conduct(release_dir, report), release_dir.with_name(_LEAKS)
    return {
        "conduct": ListConduct.from_json(conduct.read_bytes()) if conduct.is_file() else None,
        "leaks": Leaks.from_json(leaks.read_bytes()) if leaks.is_file() else None,
        "contents": collect_contents(release_dir, repository, events),
    }
