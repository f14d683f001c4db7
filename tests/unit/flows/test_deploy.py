"""Deploying on a real Prefect server: what an engineer changed there stays, whatever is deployed after it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.automations import ZOMBIES
from flows.deploy import DEFAULT_SCHEDULES, DEPLOYMENTS, deploy
from tastemaker.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def settings(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A checkout whose flows can be changed, deployed once."""
    root = tmp_path_factory.mktemp("deployed")
    for folder in ("flows", "monitoring", "src", "feature_repo"):
        shutil.copytree(HERE / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "prefect.yaml", root)
    settings = Settings.from_env({}, home=root / "home", repository=root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASTEMAKER_REPOSITORY", str(root))
        patch.setenv("PYTHONPATH", f"{root / 'src'}:{root}")
        done = deploy(settings)
        assert "deployed prefect.yaml" in done
        assert f"seeded the automation: {ZOMBIES}" in done
        assert sum(line.startswith("seeded the schedule") for line in done) == len(DEFAULT_SCHEDULES)
        yield settings


def _client():
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def test_deploy_gives_every_deployment_a_typed_form_a_limit_and_one_seeded_schedule(settings: Settings) -> None:
    with _client() as client:
        found = {name: client.read_deployment_by_name(name) for name in DEPLOYMENTS}
        crons = {name: [s.schedule.cron for s in client.read_deployment_schedules(d.id)] for name, d in found.items()}
    assert crons == {name: [DEFAULT_SCHEDULES[name]] if name in DEFAULT_SCHEDULES else [] for name in DEPLOYMENTS}
    for name, deployment in found.items():
        assert deployment.enforce_parameter_schema, name
        assert deployment.global_concurrency_limit.limit == 1, name
    train = found["train/default"].parameter_openapi_schema["properties"]
    assert (train["test_days"]["minimum"], train["test_days"]["maximum"]) == (1, 365)
    assert "TrainingParameters" in str(train["parameters"])
    drift = found["check-drift/default"].parameter_openapi_schema["properties"]
    assert drift["on_drift"]["enum"] == ["alert", "alert and retrain"]
    assert found["promote/default"].parameter_openapi_schema["required"] == ["release"]


def test_a_run_with_parameters_of_the_wrong_type_is_refused_by_the_server(settings: Settings) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    with _client() as client:
        for name, wrong in (("train/default", {"test_days": 0}), ("check-drift/default", {"on_drift": "panic"})):
            deployment = client.read_deployment_by_name(name)
            with pytest.raises(PrefectHTTPStatusError, match=r"409|422"):
                client.create_flow_run_from_deployment(deployment.id, parameters=wrong)


def test_deploy_again_with_nothing_changed_does_nothing(settings: Settings) -> None:
    assert deploy(settings) == []


def test_deploy_of_changed_flows_keeps_what_an_engineer_changed_in_the_ui(settings: Settings) -> None:
    from prefect.client.schemas.actions import DeploymentUpdate
    from prefect.client.schemas.schedules import CronSchedule

    with _client() as client:
        found = {name: client.read_deployment_by_name(name) for name in DEPLOYMENTS}
        schedules = {name: client.read_deployment_schedules(d.id) for name, d in found.items()}
        # Edited, paused, deleted, added with a slug; a deployment paused, one with other parameters and limit.
        client.update_deployment_schedule(
            found["train/default"].id, schedules["train/default"][0].id, schedule=CronSchedule(cron="5 5 * * 1")
        )
        client.update_deployment_schedule(
            found["materialize/default"].id, schedules["materialize/default"][0].id, active=False
        )
        client.delete_deployment_schedule(found["retain/default"].id, schedules["retain/default"][0].id)
        client.create_deployment_schedules(
            found["promote/default"].id, [(CronSchedule(cron="0 9 * * *", timezone="UTC"), True)]
        )
        client.set_deployment_paused_state(found["check-drift/default"].id, True)
        client.update_deployment(
            found["train/default"].id,
            DeploymentUpdate(parameters={"seed": 7}, concurrency_limit=2, tags=["training", "ours"]),
        )
        (automation,) = client.read_automations_by_name(ZOMBIES)
        client.delete_automation(automation.id)

    with (settings.repository / "flows" / "retain.py").open("a") as file:
        file.write("\n# changed\n")
    done = deploy(settings)
    assert "deployed prefect.yaml" in done
    assert not any("seeded" in line for line in done)

    with _client() as client:
        found = {name: client.read_deployment_by_name(name) for name in DEPLOYMENTS}
        after = {
            name: [(s.schedule.cron, s.active) for s in client.read_deployment_schedules(d.id)]
            for name, d in found.items()
        }
        assert client.read_automations_by_name(ZOMBIES) == []
    assert after == {
        "train/default": [("5 5 * * 1", True)],
        "materialize/default": [("30 * * * *", False)],
        "check-drift/default": [(DEFAULT_SCHEDULES["check-drift/default"], True)],
        "retain/default": [],
        "promote/default": [("0 9 * * *", True)],
        "watch-rollout/default": [(DEFAULT_SCHEDULES["watch-rollout/default"], True)],
    }
    assert found["check-drift/default"].paused
    assert not found["materialize/default"].paused
    train = found["train/default"]
    assert train.parameters == {"seed": 7}
    assert train.global_concurrency_limit.limit == 2
    assert set(train.tags) == {"training", "ours"}
    assert deploy(settings) == []


def test_deploy_that_was_killed_half_way_brings_back_what_was_changed_when_it_is_made_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _client() as client:
        train = client.read_deployment_by_name("train/default")
        client.set_deployment_paused_state(train.id, True)
    with (settings.repository / "flows" / "retain.py").open("a") as file:
        file.write("\n# changed again\n")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("flows.deploy._bring_back", killed)
        with pytest.raises(KeyboardInterrupt):
            deploy(settings)
    with _client() as client:  # the half-done deploy had un-paused it
        client.set_deployment_paused_state(train.id, False)
    deploy(settings)
    with _client() as client:
        assert client.read_deployment_by_name("train/default").paused
