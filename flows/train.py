"""Train, evaluate, judge and register a release; promote it if the gate passes.

A gate that says no ends the run as ``Blocked``: a completed run with a verdict, not a failure. A feature that knows
the label fails the run before anything is trained. What a run makes is kept under a key of its inputs: the next run
from the same data, code and parameters goes on from it, or judges it anew without training it anew.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed, State
from pydantic import Field

from flows.cached import CACHED
from flows.live import ask_a_person, go_live
from flows.on_call import HOOKS
from flows.retrying import RETRIES
from flows.showing import lineage_markdown
from flows.sole import SoleRun
from monitoring.drift import HTML_NAME
from monitoring.drift_window import measure_window
from tastemaker import names
from tastemaker.evaluation.drift import DriftSummary
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.features.audit.leak_check import check_services
from tastemaker.features.audit.leaks import require_no_leak
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.observability.telling import tell_gate
from tastemaker.promotion.assess import Assessment, assess_release
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.gate import decide
from tastemaker.promotion.gathered import gathered, keep_assessment, quality_figures
from tastemaker.promotion.hashing import hash_tree
from tastemaker.promotion.kept_run import KeptRun
from tastemaker.promotion.lineage import collect_lineage
from tastemaker.promotion.manifest import release_id
from tastemaker.promotion.parity import Parity
from tastemaker.promotion.policy import load_policy
from tastemaker.promotion.ranking_leaks import look_for_ranking_leaks
from tastemaker.promotion.releases import Release, ReleaseRegistry
from tastemaker.promotion.samples import measure_parity
from tastemaker.promotion.training_key import content_key
from tastemaker.promotion.verdict import Verdict
from tastemaker.release.files import ModelCard
from tastemaker.release.parameters import TrainingParameters
from tastemaker.settings import Settings
from tastemaker.training.pipeline import train_release

__all__ = ["train_flow"]

_SAMPLE_ROWS = 5_000
_PATIENCE_S = 600.0  # for a run whose worker is gone and that lives on
Row = dict[str, object]
Figures = list[tuple[str, float]]


@task(**CACHED, **RETRIES, task_run_name="look for features that know the label")
def _check_leaks(settings: Settings, cut: datetime, seed: int, key: str) -> list[Row]:
    days = TrainingParameters().ranker.label_days
    services = (names.SERVICE_RANKING, names.SERVICE_RETRIEVAL)
    tellings = check_services(settings, services, cut - timedelta(days=days), days, seed=seed)
    if not tellings:
        print(f"no leak check: too little was bought in the {days} days before {cut:%Y-%m-%d}")
        return []
    require_no_leak(tellings)
    rows: list[Row] = [
        {
            "feature": one.feature,
            "AUC": round(one.auc, 3),
            "a day earlier": round(one.earlier or 0.0, 3),
            "leak": one.leak,
        }
        for one in sorted(tellings, key=lambda one: -one.auc)
    ]
    print(f"no leak: of {len(tellings)} features, {rows[0]['feature']} tells most, with an AUC of {rows[0]['AUC']}")
    return rows


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="train two-tower and ranker")
def _train(
    settings: Settings,
    cut: datetime,
    seed: int,
    kept: KeptRun,
    *,
    parameters: TrainingParameters,
    earlier: Path | None,
) -> ModelCard:
    if kept.is_trained():
        print("a run before this one had trained it already; going on from there")
        return ModelCard.read(kept.release_dir)
    plan = FeaturePlan.load(settings.plan_path)
    trained = train_release(
        settings, plan, cut, kept.release_dir, seed=seed, progress=print, parameters=parameters, earlier=earlier
    )
    require_no_leak(look_for_ranking_leaks(trained, seed))
    kept.note_trained()
    return trained.card


@task(**CACHED, **RETRIES, task_run_name="evaluate beside baselines and champion")
def _evaluate(settings: Settings, directory: Path, cut: datetime, days: int, *, seed: int, key: str) -> Assessment:
    return assess_release(settings, directory, cut, days, seed=seed)


@task(**CACHED, **RETRIES, task_run_name="measure drift")
def _drift(
    settings: Settings, cut: datetime, days: int, *, seed: int, directory: Path, figures: Figures, key: str
) -> DriftSummary:
    champion = ReleaseRegistry(settings).champion()
    return measure_window(
        settings,
        directory,
        cut=cut,
        start=cut,
        end=cut + timedelta(days=days),
        release=champion.release if champion else None,
        rows=_SAMPLE_ROWS,
        figures=figures,
        seed=seed,
    )


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="measure train/serve parity")
def _parity(settings: Settings, seed: int) -> Parity:
    return measure_parity(settings, Lake(settings.lake_dir), _SAMPLE_ROWS, seed)


@task(cache_policy=NO_CACHE, task_run_name="judge by policy {policy}")
def _judge(settings: Settings, policy: str, evidence: Evidence) -> Verdict:
    gates = settings.repository / "monitoring" / "gates"
    verdict = decide(load_policy(gates / f"{policy}.yaml"), evidence, now=settings.clock.now(), decided_by="gate")
    create_markdown_artifact(verdict.markdown(), key="verdict", description=f"{evidence.release}: {verdict.decision}")
    reasons = [f"{check.name}: {check.summary}" for check in verdict.failures]
    tell_gate(settings, policy, release=evidence.release, passed=verdict.passed, reasons=reasons)
    return verdict


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="register the release")
def _register(settings: Settings, trained: Path, evidence: Evidence, verdict: Verdict, reports: Path) -> Release:
    registry = ReleaseRegistry(settings)
    attachments = sorted([*reports.glob("*.html"), *reports.glob("drift.*.json")])
    release = registry.register(trained, evidence, verdict, attachments=attachments)
    published = settings.reports_dir / release.id
    published.mkdir(parents=True, exist_ok=True)
    for path in reports.iterdir():
        shutil.copy(path, published)
    if (published / HTML_NAME).exists():
        create_link_artifact(
            f"{settings.reports_url}/{release.id}/{HTML_NAME}",
            "Drift report",
            key="drift-report",
            description=release.id,
        )
    return release


@flow(
    name="train",
    description="Train, evaluate, judge and register a release; promote it if the gate passes.",
    log_prints=True,
    **HOOKS,
)
def train_flow(  # noqa: PLR0917 - Prefect passes them by name
    cut: datetime | None = None,
    test_days: Annotated[int, Field(ge=1, le=365)] = 28,
    policy: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "default",
    seed: Annotated[int, Field(ge=0)] = 1,
    promote: bool = True,
    rollout: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$")] = "default",
    warm_start: bool = False,
    parameters: TrainingParameters | None = None,
) -> State[Any]:
    """Make a release and let the gate decide on it.

    Args:
        cut: learn from what happened before this moment (UTC); by default the midnight that leaves ``test_days`` days.
        test_days: length of the window after the cut that the release is evaluated on.
        policy: name of a policy in ``monitoring/gates/``.
        seed: of all that is random in training.
        promote: whether a release that passed goes live.
        rollout: policy in ``monitoring/rollout/`` of the steps that it takes beside the champion; empty: at once.
        warm_start: whether the towers start from the champion's, which takes a fraction of the time.
        parameters: of the release; the defaults when left out.

    Returns:
        A completed state named ``Promoted``, ``RollingOut``, ``Passed``, ``AwaitingApproval``, ``Blocked``, or
        ``Skipped`` when another run is at it.
    """
    settings = Settings.from_env()
    if cut is None:
        tomorrow = settings.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        cut = tomorrow - timedelta(days=test_days)
    elif cut.tzinfo is None:
        cut = cut.replace(tzinfo=UTC)
    sole = SoleRun(settings, "train")
    if busy := sole.acquire(_PATIENCE_S):
        return Completed(name="Skipped", message=busy)
    try:
        registry = ReleaseRegistry(settings)
        champion = registry.champion()
        earlier = registry.get(champion.release).path if warm_start and champion else None
        if warm_start and not champion:
            print("there is no champion to start from; the towers start anew")
        parameters = parameters or TrainingParameters()
        key = content_key(settings, cut, parameters=parameters.model_dump(mode="json"), seed=seed, earlier=earlier)
        kept = KeptRun(settings, key)
        release_dir = kept.release_dir
        leaks = _check_leaks(settings, cut, seed, key=kept.step("leaks"))
        if leaks:
            create_table_artifact(leaks, key="leak-check", description="How well each feature alone tells purchases")
        card = _train(settings, cut, seed, kept, parameters=parameters, earlier=earlier)
        # What is measured on the window after the cut holds while no further event of the window arrives.
        window = content_key(
            settings,
            cut + timedelta(days=test_days),
            parameters={"days": test_days, "champion": champion.release if champion else ""},
            seed=seed,
        )
        report_dir = kept.reports_dir(window)
        assessed = _evaluate(settings, release_dir, cut, test_days, seed=seed, key=kept.step("evaluate", window))
        report = keep_assessment(release_dir, assessed)
        create_table_artifact(report.rows(), key="metrics", description=f"{report.users} customers, {report.period}")
        drift = _drift(
            settings,
            cut,
            test_days,
            seed=seed,
            directory=report_dir,
            figures=quality_figures(report),
            key=kept.step("drift", window),
        )
        parity = _parity(settings, seed)
        files = hash_tree(release_dir)
        lineage = collect_lineage(
            lake=Lake(settings.lake_dir),
            repository=settings.repository,
            data_from=card.data_from,
            data_to=cut,
            plan_hash=FeaturePlan.load(settings.plan_path).hash,
            parameters=card.parameters.model_dump(mode="json"),
            seed=seed,
            now=settings.clock.now(),
            run=str(flow_run.get_id() or ""),
        )
        evidence = Evidence(
            release=release_id(settings.clock.now(), files),
            events=card.interactions,
            evaluation=report,
            drift=drift,
            parity=parity,
            lineage=lineage,
            champion=champion.release if champion else None,
            files=files,
            **gathered(release_dir, settings.repository, card.interactions, report),
        )
        if evidence.conduct is not None and evidence.conduct.segments:
            create_table_artifact(evidence.conduct.rows(), key="segments", description="NDCG by segment of shoppers")
        verdict = _judge(settings, policy, evidence)
        release = _register(settings, release_dir, evidence, verdict, report_dir)
        create_markdown_artifact(lineage_markdown(release), key="lineage", description=release.id)
        kept.prune_others()
        return _conclude(settings, report, release, rollout if promote else None)
    finally:
        sole.release()


def _conclude(settings: Settings, report: EvaluationReport, release: Release, rollout: str | None) -> State[Any]:
    """What follows from the verdict; without a rollout policy, nothing does."""
    verdict = release.verdict
    ndcg = report.models[report.reference]["ndcg"].value if report.models else float("nan")
    if not verdict.passed:
        reasons = "; ".join(f"{check.name}: {check.summary}" for check in verdict.failures)
        return Completed(name="Blocked", message=f"{release.id}, {verdict.decision}: {reasons}")
    if rollout is None:
        return Completed(name="Passed", message=f"{release.id}, NDCG@{report.k} {ndcg:.3f}; not promoted, as asked")
    if verdict.approval == "required":
        asked = ask_a_person(release.id, rollout)
        return Completed(name="AwaitingApproval", message=f"{release.id} passed; run {asked} waits for a person")
    name, what = go_live(settings, release.id, rollout)
    return Completed(name=name, message=f"{what}, NDCG@{report.k} {ndcg:.3f}")
