"""``tastemaker releases`` and ``tastemaker rollout`` as a person, and a script, meets them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from tastemaker import names
from tastemaker.cli.app import app
from tastemaker.errors import TastemakerError
from tastemaker.lake.tables import Lake
from tastemaker.promotion.gate import decide
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.settings import Settings
from tastemaker.stream.decode import ConsumedList
from tastemaker.stream.rows import served_list_rows
from tests.unit.promotion import gate_evidence as made

NEW = [
    ["releases", "list"], ["releases", "show"], ["releases", "diff"], ["releases", "build"], ["releases", "promote"],
    ["releases", "rollback"], ["releases", "retire"], ["rollout", "start"], ["rollout", "status"], ["rollout", "watch"],
    ["rollout", "advance"], ["rollout", "hold"], ["rollout", "abort"],
]  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TASTEMAKER_RECOMMENDER_PORT", "1")  # nothing listens there
    monkeypatch.setenv("COLUMNS", "200")
    return Settings(home=tmp_path / "home")


@pytest.fixture
def registry(settings: Settings, tmp_path: Path) -> ReleaseRegistry:
    """r1, the champion, and r2, which was judged against it and has other files."""
    registry = ReleaseRegistry(settings)
    for release, champion in (("r1", None), ("r2", "r1")):
        files = made.write_release(tmp_path / release, content=release)
        against = made.report(champion=(0.01, 0.0, 0.02)) if champion else made.report()
        seed = 7 if champion else 1
        found = made.evidence(
            release=release, files=files, champion=champion, evaluation=against, lineage=made.lineage(seed=seed)
        )
        registry.register(tmp_path / release, found, decide(made.policy(), found, now=made.NOW))
    registry.promote("r1", "recommender:r1")
    return registry


def run(*words: str):
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("command", NEW, ids=" ".join)
def test_every_command_explains_itself(command):
    shown = run(*command, "--help")
    assert shown.exit_code == 0
    assert len(shown.output.split("Options")[0].split()) > 8


def test_list_marks_the_champion(registry):
    shown = run("releases", "list").output
    assert "★" in next(line for line in shown.splitlines() if "r1" in line)
    found = {one["release"]: one for one in json.loads(run("releases", "list", "--json").output)}
    assert (found["r1"]["role"], found["r2"]["role"], found["r2"]["decision"]) == ("champion", "", "pass")


def test_list_without_a_release_says_how_to_make_one(settings):
    assert "tastemaker train" in run("releases", "list").output
    assert json.loads(run("releases", "list", "--json").output) == []


def test_diff_shows_what_differs_and_nothing_else(registry):
    told = json.loads(run("releases", "diff", "r2", "--json").output)
    assert told["lineage"] == {"seed": [1, 7]}
    assert told["parameters"] == {}
    assert "tower/weights.bin" in told["files"]["changed"]
    assert "seed" in run("releases", "diff", "r2").output
    assert "are equal" in run("releases", "diff", "r1", "r1").output


def test_show_as_json_has_verdict_and_lineage(registry):
    told = json.loads(run("releases", "show", "r2", "--json").output)
    assert (told["release"], told["verdict"]["decision"], told["lineage"]["seed"]) == ("r2", "pass", 7)


def test_a_served_list_leads_back_to_data_code_parameters_and_run(registry, settings):
    served = ServedList(
        request_id="q1",
        served_at=datetime(2026, 3, 1, tzinfo=UTC),
        request=RecommendationRequest(user="u"),
        release="r2",
        tier="full",
        items=("i1",),
    )
    lake = Lake(settings.lake_dir)
    lake.create()
    rows = served_list_rows([ConsumedList(served, msgspec.json.encode(served), 0, 0)])
    lake.append(names.TABLE_SERVED_LISTS, rows, {"test": 0})
    shown = run("releases", "show", "--request", "q1").output
    lineage = made.lineage(seed=7)
    for word in ("r2", "i1", lineage.code_commit, lineage.plan_hash, "pass by policy default", "2023-01-01"):
        assert word in shown
    told = json.loads(run("releases", "show", "--request", "q1", "--json").output)
    assert told["request_id"] == "q1"
    assert told["lineage"]["lake_versions"] == lineage.lake_versions
    assert isinstance(run("releases", "show", "--request", "q2").exception, TastemakerError)


def test_retire_removes_what_keep_leaves_and_asks_before(registry):
    assert "Nothing to retire" in run("releases", "retire", "--keep", "5").output
    refused = CliRunner().invoke(app, ["releases", "retire", "r2"], input="n\n")
    assert refused.exit_code == 1
    assert registry.get("r2")
    assert "retired r2" in run("releases", "retire", "--keep", "0", "--yes").output
    assert [one.id for one in registry.list()] == ["r1"]
    assert isinstance(run("releases", "retire").exception, TastemakerError)
    assert isinstance(run("releases", "retire", "r1", "--yes").exception, TastemakerError)


def test_a_rollout_is_told_of_before_and_after_there_is_one(registry, settings):
    assert "tastemaker rollout start" in run("rollout", "status").output
    for command in ("advance", "hold", "abort"):
        assert "rollout start RELEASE" in str(run("rollout", command).exception)
    assert "rollout start RELEASE" in str(run("rollout", "watch", "--once").exception)
    assert "no rollout policy" in str(run("rollout", "start", "r2", "--policy", "none").exception)


def test_status_of_a_rollout_that_nothing_serves_has_its_journal_and_the_problem(registry, settings):
    from tastemaker.promotion.rollout.opening import policy_path
    from tastemaker.promotion.rollout.policy import load_policy
    from tastemaker.promotion.rollout.state import Rollout, Transition
    from tastemaker.promotion.rollout.store import RolloutStore

    policy = load_policy(policy_path(Settings(repository=Path(__file__).parents[3]), "default"))
    begun = Transition(at=made.NOW, phase="entering", step="shadow", reason="started", by="eva")
    rollout = Rollout(
        id="1",
        candidate="r2",
        bento="recommender:r2",
        champion="r1",
        policy=policy.model_dump(mode="json"),
        phase="entering",
        step=0,
        journal=(begun,),
    )
    with RolloutStore(settings.rollouts_dir).driving():
        RolloutStore(settings.rollouts_dir).write(rollout)
    shown = run("rollout", "status").output
    assert "r2 against r1: entering" in shown
    assert "shadow → canary-5 → canary-25 → canary-50 → champion" in shown
    assert "eva" in shown
    assert "cannot be told: nothing listens" in shown
    told = json.loads(run("rollout", "status", "--json").output)
    assert (told["candidate"], told["mixed"], told["in_force"]) == ("r2", False, None)
    aborted = run("rollout", "abort", "--why", "a test", "--by", "eva")
    assert "r2: reverted" in aborted.output  # nobody serves, so nothing has to be waited for
    assert "a test" in run("rollout", "status", "--all").output
