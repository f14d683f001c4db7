"""Evidence and files as a training run leaves them, for the tests of gate and registry."""

from datetime import UTC, datetime
from pathlib import Path

from tastemaker.evaluation.drift import ColumnDrift, DriftCalibration, DriftSummary, GroupDrift
from tastemaker.evaluation.intervals import Estimate
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.findings import Contents, Leaks
from tastemaker.promotion.hashing import hash_tree
from tastemaker.promotion.lineage import Lineage
from tastemaker.promotion.list_conduct import ListConduct, ProbabilityError, SegmentQuality
from tastemaker.promotion.parity import Parity
from tastemaker.promotion.policy import GatePolicy, load_policy

POLICY_PATH = Path(__file__).parents[3] / "monitoring" / "gates" / "default.yaml"
NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
METRICS = ("precision", "recall", "ndcg", "mrr", "hit_rate")


def policy() -> GatePolicy:
    return load_policy(POLICY_PATH)


def _same(value: float, low: float, high: float) -> dict[str, Estimate]:
    return dict.fromkeys(METRICS, Estimate(value, low, high))


def report(lift=(0.03, 0.01, 0.05), champion=None, users=1300, coverage=0.4) -> EvaluationReport:
    """A report in which the candidate's lift over the best baseline, and maybe the champion, is given."""
    models = {
        "candidate": _same(0.37, 0.35, 0.39),
        "own_frequency": _same(0.34, 0.32, 0.36),
        "popularity": _same(0.08, 0.07, 0.09),
    }
    differences = {"own_frequency": _same(*lift), "popularity": _same(0.29, 0.27, 0.31)}
    if champion is not None:
        models["champion"] = _same(0.36, 0.34, 0.38)
        differences["champion"] = _same(*champion)
    return EvaluationReport(
        k=10,
        users=users,
        items=3600,
        seed=0,
        level=0.95,
        resamples=2000,
        reference="candidate",
        champion="champion" if champion is not None else None,
        baselines=("own_frequency", "popularity"),
        models=models,
        differences=differences,
        coverage={"candidate": coverage, "own_frequency": 0.41, "popularity": 0.003},
    )


def _calibrated(rate=0.05) -> GroupDrift:
    made = DriftCalibration(
        false_alarm_rate=rate,
        reached=0.049,
        resamples=1000,
        seed=1,
        reference_days=84,
        window_days=28,
        block_days=1,
        factor=1.1,
        checks=(),
    )
    return GroupDrift(name="features", reference_rows=5000, current_rows=5000, calibration=made)


def drift(
    drifted=1, columns=10, error="", *, check="wasserstein", value=0.3, rate=0.05, shortage=False
) -> DriftSummary:
    return DriftSummary(
        reference="training",
        current="now",
        reference_rows=5000,
        current_rows=5000,
        error=error,
        columns=tuple(
            ColumnDrift(column=f"f{i}", check=check, status="drifted", value=value, limit=0.2)
            if i < drifted
            else ColumnDrift(column=f"f{i}", check="wasserstein", status="stable", value=0.1, limit=0.2)
            for i in range(0 if error else columns)
        ),
        shortage=shortage,
        groups=(_calibrated(rate),),
    )


def conduct(segment=(-0.01, -0.03, 0.01), cold=(0.02, -0.01, 0.05), users=100, **changes) -> ListConduct:
    """Two segments with their differences to a best baseline whose NDCG is .30."""
    made = [
        SegmentQuality(
            segment=name,
            users=users,
            against="own_frequency",
            ours=0.3 + difference[0],
            theirs=0.3,
            difference=Estimate(*difference),
            cold=is_cold,
        )
        for name, difference, is_cold in (("country: France", segment, False), ("history: none", cold, True))
    ]
    values = {
        "segments": tuple(made),
        "popularity": 0.8,
        "bought_popularity": 0.7,
        "gini": 0.9,
        "baseline_gini": 0.85,
        "new_item_share": 0.02,
        "new_bought_share": 0.04,
        "probabilities": ProbabilityError(pairs=10_000, bought=100, expected=120.0, error=0.002),
    }
    return ListConduct(**{**values, **changes})


def lineage(**changes) -> Lineage:
    values = {
        "data_from": datetime(2023, 1, 1, tzinfo=UTC),
        "data_to": datetime(2024, 2, 1, tzinfo=UTC),
        "lake_versions": {"events": 3},
        "code_commit": "0123456789abcdef",
        "code_hash": "c0de",
        "plan_hash": "91a4",
        "parameters": {"epochs": 3},
        "seed": 0,
        "created_at": NOW,
    }
    return Lineage(**{**values, **changes})


def evidence(**changes) -> Evidence:
    values = {
        "release": "r1",
        "events": 400_000,
        "evaluation": report(),
        "drift": drift(),
        "parity": Parity(rows=500, columns=16, max_difference=1e-7, one_sided=0),
        "lineage": lineage(),
        "files": {"model.bin": "ab"},
        "conduct": conduct(),
        "leaks": Leaks(features=21, best="item_purchases", auc=0.7, planted_found=True),
        "contents": Contents(events=400_000, size_bytes=50 * 2**20, licences={"code": "MIT", "data": "CC BY 4.0"}),
    }
    return Evidence(**{**values, **changes})


def write_release(directory: Path, content: str = "weights") -> dict[str, str]:
    """A small release directory; returns its hashes."""
    (directory / "tower").mkdir(parents=True)
    (directory / "tower" / "weights.bin").write_text(content)
    (directory / "ranker.json").write_text("{}")
    return hash_tree(directory)
