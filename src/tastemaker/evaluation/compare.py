"""Compare rankings of one set of users: every metric with its interval, and paired differences."""

from collections.abc import Mapping

import numpy as np

from tastemaker.errors import DataError
from tastemaker.evaluation import metrics
from tastemaker.evaluation.intervals import LEVEL, RESAMPLES, estimates
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.evaluation.truth import Ranking, Truth

__all__ = ["CANDIDATE", "CHAMPION", "compare"]

CANDIDATE = "candidate"
CHAMPION = "champion"


def compare(
    rankings: Mapping[str, Ranking],
    truth: Truth,
    k: int = 10,
    seed: int = 0,
    *,
    reference: str = CANDIDATE,
    champion: str | None = None,
    period: str = "",
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> EvaluationReport:
    """Evaluate rankings side by side.

    Args:
        rankings: lists by model name; see :data:`~tastemaker.evaluation.truth.Ranking`.
        truth: the test users and what they took.
        k: the cut-off.
        seed: of the bootstrap.
        reference: the model whose differences to all others are computed.
        champion: the name in ``rankings`` of the release in production, if one takes part. All other names
            but ``reference`` count as baselines.
        period: the test window in words, for readers.
        level: of the two-sided intervals.
        resamples: of the bootstrap.

    Returns:
        The report. With no test users it has no estimates and says ``users=0``: a gate then has not enough data.

    Raises:
        DataError: ``reference`` or ``champion`` is not in ``rankings``, or a ranking does not fit ``truth``.
    """
    for role, name in (("reference", reference), ("champion", champion)):
        if name is not None and name not in rankings:
            raise DataError(f"the {role} {name!r} is not among the rankings {', '.join(rankings)}")
    users = len(truth.user_ids)
    header = {
        "k": k,
        "users": users,
        "items": len(truth.catalogue),
        "seed": seed,
        "level": level,
        "resamples": resamples,
        "reference": reference,
        "champion": champion,
        "period": period,
        "baselines": tuple(name for name in rankings if name not in {reference, champion}),
    }
    if not users:
        return EvaluationReport(**header)  # type: ignore[arg-type]
    indexed = {name: truth.index(ranking, k) for name, ranking in rankings.items()}
    values = {name: metrics.per_user(ranked, truth.relevant) for name, ranked in indexed.items()}
    stacked = {name: np.column_stack([values[name][metric] for metric in metrics.METRICS]) for name in values}
    others = [name for name in rankings if name != reference]
    # One call, so that every model, metric and difference sees the same resamples of users.
    blocks = [stacked[name] for name in rankings] + [stacked[reference] - stacked[name] for name in others]
    found = estimates(np.hstack(blocks), seed=seed, level=level, resamples=resamples)
    width = len(metrics.METRICS)
    grouped = [dict(zip(metrics.METRICS, found[at : at + width], strict=True)) for at in range(0, len(found), width)]
    return EvaluationReport(
        **header,  # type: ignore[arg-type]
        models=dict(zip(rankings, grouped[: len(rankings)], strict=True)),
        differences=dict(zip(others, grouped[len(rankings) :], strict=True)),
        coverage={name: metrics.coverage(ranked, len(truth.catalogue)) for name, ranked in indexed.items()},
    )
