"""What Prometheus asks in a cluster has the names that rules and dashboards look for, and may be asked."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from manifest_jobs import jobs, scraped
from manifest_objects import OVERLAYS, named, of_kind, selected

from tastemaker.settings import Settings

MONITORING = Path(__file__).resolve().parents[3] / "monitoring"
ALL = pytest.mark.parametrize("overlay", OVERLAYS)
_JOB = re.compile(r"""job\s*(=~|!~|!=|=)\s*\\?["']([^"'\\]*)""")


def used(text: str) -> set[str]:
    """Jobs that a file's queries ask for."""
    found = set()
    for operator, value in _JOB.findall(text):
        assert operator in {"=", "=~"}, "a query that leaves jobs out says nothing of those that there must be"
        assert re.fullmatch("[a-z|-]+", value), f"{value} is more than a list of jobs"
        found |= set(value.split("|"))
    return found


def of_rules() -> set[str]:
    """Jobs that the expressions of all rules ask for."""
    groups = [
        group
        for path in sorted((MONITORING / "prometheus" / "rules").glob("*.yaml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    ]
    return {job for group in groups for rule in group["rules"] for job in used(rule["expr"])}


@ALL
def test_the_jobs_that_rules_and_dashboards_ask_for_are_those_that_the_monitors_make(overlay: str) -> None:
    assert of_rules() == jobs(overlay)  # no rule waits for a job that is not there, and none is watched by nobody
    dashboards = sorted((MONITORING / "dashboards").glob("*.json"))
    assert set().union(*(used(path.read_text(encoding="utf-8")) for path in dashboards)) <= jobs(overlay)


def test_the_jobs_are_those_that_the_local_stack_has_too() -> None:
    assert {"recommender", "collector", "worker", "exporter"} <= of_rules()


def test_a_monitor_without_a_name_for_its_job_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    service, pod = (
        copy.deepcopy(named("production", kind, name))
        for kind, name in (("ServiceMonitor", "stream-worker"), ("PodMonitor", "predictors"))
    )
    del service["spec"]["endpoints"][0]["relabelings"], pod["spec"]["jobLabel"]
    without = {"ServiceMonitor": [service], "PodMonitor": [pod]}
    monkeypatch.setattr("manifest_jobs.of_kind", lambda overlay, kind: without.get(kind) or of_kind(overlay, kind))
    assert jobs("production") == {"stream-worker", "tastemaker/predictors"}


@ALL
def test_prometheus_may_reach_every_port_that_it_asks(overlay: str) -> None:
    asked = list(scraped(overlay))
    assert len(asked) == 6
    for job, labels, port in asked:
        allowed = [
            entry["port"]
            for policy in of_kind(overlay, "NetworkPolicy")
            if selected(policy["spec"]["podSelector"], labels)
            for rule in policy["spec"].get("ingress", ())
            if {"namespaceSelector": {"matchLabels": {"tastemaker/role": "monitoring"}}} in rule.get("from", ())
            for entry in rule["ports"]
        ]
        assert port in allowed, job


@ALL
def test_the_exporter_listens_where_it_is_asked_and_reaches_alertmanager_as_flows_do(overlay: str) -> None:
    container = named(overlay, "Deployment", "exporter")["spec"]["template"]["spec"]["containers"][0]
    told = named(overlay, "ConfigMap", "tastemaker-settings")["data"]
    own = {it["name"]: it["value"] for it in container["env"]}
    settings = Settings.from_env({**told, **own})
    assert (settings.host, settings.exporter_port) == ("0.0.0.0", container["ports"][0]["containerPort"])
    port = int(settings.alertmanager.rpartition(":")[2])
    for name in ("exporter", "flow"):
        rules = named(overlay, "NetworkPolicy", name)["spec"]["egress"]
        to = {"namespaceSelector": {"matchLabels": {"tastemaker/role": "monitoring"}}}
        assert any(to in rule.get("to", ()) and {"protocol": "TCP", "port": port} in rule["ports"] for rule in rules)
    home = next(it for it in container["volumeMounts"] if it["name"] == "home")
    assert home["mountPath"] == str(settings.home)
    assert "readOnly" not in home  # what was sent is removed there
