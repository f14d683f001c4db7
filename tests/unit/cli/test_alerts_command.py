"""``tastemaker alerts``: what it shows, and what it refuses."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from typer.testing import CliRunner

from tastemaker.cli.app import app
from tastemaker.errors import DataError, StackError
from tastemaker.observability import alertmanager
from tastemaker.observability.alerts import post_alert, waiting_alerts
from tastemaker.observability.flow_alerts import drift_alert
from tastemaker.settings import Settings


class Twin:
    """An Alertmanager's answers, by method and path."""

    def __init__(self) -> None:
        began = (datetime.now(UTC) - timedelta(hours=3)).isoformat().replace("+00:00", "Z")
        firing = {"silencedBy": [], "inhibitedBy": [], "state": "active"}
        self.alerts = [
            {
                "labels": {"alertname": "Drift", "severity": "ticket", "component": "flows", "kind": "features"},
                "annotations": {"summary": "3 of 3 columns drifted"},
                "startsAt": began,
                "status": firing,
            },
            {
                "labels": {"alertname": "TargetDown", "severity": "page", "component": "worker"},
                "annotations": {},
                "startsAt": began,
                "status": {**firing, "silencedBy": ["s1"], "state": "suppressed"},
            },
        ]
        self.silences = [
            {
                "id": "s1",
                "matchers": [{"name": "alertname", "value": "TargetDown"}],
                "endsAt": "2026-05-01T12:00:00.000Z",
                "createdBy": "me",
                "comment": "known",
                "status": {"state": state},
            }
            for state in ("active", "expired")
        ]
        self.asked: list[tuple[str, str, object]] = []
        self.away = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        if request.method == "DELETE" and not request.url.path.endswith("/s1"):
            return httpx.Response(404, text="silence not found")
        if request.method == "POST" and request.url.path.endswith("/silences"):
            return httpx.Response(200, json={"silenceID": "s2"})
        return httpx.Response(200, json=self.alerts if request.url.path.endswith("/alerts") else self.silences)


@pytest.fixture
def twin(monkeypatch, tmp_path) -> Twin:
    made = Twin()
    real = httpx.Client
    monkeypatch.setattr(
        alertmanager.httpx, "Client", lambda **options: real(**{**options, "transport": httpx.MockTransport(made)})
    )
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path))
    monkeypatch.setenv("ALERTMANAGER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "200")
    return made


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["alerts", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.output.split())


def test_list_shows_pages_first_and_what_is_silenced(twin):
    shown = run("list")
    assert shown.index("TargetDown") < shown.index("Drift")
    assert "flows kind=features" in shown
    assert "3 h" in shown
    assert "silenced" in shown
    assert shown.count("silence s1: alertname=TargetDown") == 1  # the other one is over


def test_list_without_alerts_says_so(twin):
    twin.alerts, twin.silences = [], []
    assert run("list") == "No alert fires."


def test_list_shows_what_waits_when_alertmanager_is_away(twin, tmp_path):
    twin.away = True
    settings = Settings(home=tmp_path, alertmanager_url="http://127.0.0.1:9")
    post_alert(settings, drift_alert("features"), pause=lambda _: None)
    result = CliRunner().invoke(app, ["alerts", "list"])
    assert "Drift: features: what is served now" in " ".join(result.output.split())
    assert isinstance(result.exception, StackError)
    twin.away = False
    assert run("send") == "1 sent."
    assert waiting_alerts(settings) == []


def test_silence_names_labels_time_and_reason(twin):
    assert "end it with: tastemaker alerts silence --end s2" in run(
        "silence", "alertname=Drift", "kind=features", "--for", "3d", "-c", "season", "--by", "me"
    )
    _, path, body = twin.asked[-1]
    assert path == "/api/v2/silences"
    assert body["matchers"] == [
        {"name": "alertname", "value": "Drift", "isRegex": False, "isEqual": True},
        {"name": "kind", "value": "features", "isRegex": False, "isEqual": True},
    ]
    assert (body["createdBy"], body["comment"]) == ("me", "season")
    spans = datetime.fromisoformat(body["endsAt"]) - datetime.fromisoformat(body["startsAt"])
    assert spans == timedelta(days=3)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "name the labels"),
        (["alertname=Drift"], "say why with --comment"),
        (["Drift", "-c", "x"], "'Drift' is not LABEL=VALUE"),
        (["alertname=", "-c", "x"], "is not LABEL=VALUE"),
        (["alertname=Drift", "-c", "x", "--for", "soon"], "no span of time"),
    ],
)
def test_silence_that_would_hide_too_much_or_too_little_is_refused(twin, arguments, problem):
    with pytest.raises(DataError, match=problem):
        run("silence", *arguments)
    assert twin.asked == []


def test_silence_ends_by_its_id(twin):
    assert run("silence", "--end", "s1") == "The silence s1 is over."
    with pytest.raises(StackError, match="silence not found"):
        run("silence", "--end", "s9")


def test_test_alert_goes_to_whom_it_should(twin):
    assert "Alertmanager has it: page" in run("test", "--severity", "page")
    (body,) = twin.asked[-1][2]
    assert (body["labels"]["alertname"], body["labels"]["severity"]) == ("TestAlert", "page")
    with pytest.raises(DataError, match="'loud' is not one of page, ticket"):
        run("test", "--severity", "loud")


def test_test_alert_that_is_not_taken_is_an_error(twin, monkeypatch):
    twin.away = True
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(StackError, match="did not take it"):
        run("test")


def test_without_alertmanager_the_remedy_is_told(twin, monkeypatch):
    monkeypatch.delenv("ALERTMANAGER_URL")
    for command in (["list"], ["silence", "a=b", "-c", "x"], ["test"], ["send"]):
        with pytest.raises(StackError, match="tastemaker up --monitoring"):
            run(*command)
