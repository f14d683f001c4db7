"""Alerts are sent, kept while nobody takes them, and sent later; whoever tells never fails."""

import json
import logging
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tastemaker.errors import StackError
from tastemaker.observability.alert import Alert, page_name, runbook_of
from tastemaker.observability.alerts import outbox_dir, post_alert, resolve_alert, send_waiting, waiting_alerts
from tastemaker.settings import Settings

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ALERT = Alert(
    name="GateBlocked",
    severity="ticket",
    owner="ml",
    component="flows",
    labels={"policy": "default"},
    summary="r2 is blocked",
    action="read the verdict",
    annotations={"release": "r2"},
)


class Twin:
    """An Alertmanager that keeps what it takes; ``status`` other than 200 refuses, None does not answer."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.taken: list[dict] = []
        self.asked = 0
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.status is None:
            raise httpx.ConnectError("refused", request=request)
        if self.status == 200:
            self.taken += json.loads(request.content)
        return httpx.Response(self.status, text="why not")


@pytest.fixture
def twin() -> Twin:
    return Twin()


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path, alertmanager_url="http://127.0.0.1:9/prefix/")


def later(seconds: float = 0.0):
    return lambda: NOW + timedelta(seconds=seconds)


def post(settings, twin, alert=ALERT, **more):
    pauses: list[float] = []
    outcome = post_alert(
        settings, alert, **{"now": later(), "pause": pauses.append, "transport": twin.transport, **more}
    )
    return outcome, pauses


def test_posted_alert_has_labels_that_identify_and_an_end_beyond_the_next_run(settings, twin):
    assert post(settings, twin, lasts=timedelta(hours=26)) == ("sent", [])
    (body,) = twin.taken
    assert body["labels"] == {
        "alertname": "GateBlocked", "policy": "default", "severity": "ticket", "owner": "ml", "component": "flows"
    }  # fmt: skip
    assert body["annotations"] == {
        "summary": "r2 is blocked",
        "action": "read the verdict",
        "runbook_url": "docs/runbooks/gate-blocked.md",
        "release": "r2",
    }
    assert (body["startsAt"], body["endsAt"]) == ("2026-05-01T12:00:00+00:00", "2026-05-02T14:00:00+00:00")
    assert waiting_alerts(settings) == []


def test_runbooks_are_linked_where_they_are_published(settings, twin):
    post(settings.model_copy(update={"runbooks_url": "https://wiki.example.org/run/"}), twin)
    assert twin.taken[0]["annotations"]["runbook_url"] == "https://wiki.example.org/run/gate-blocked.md"


def test_resolved_alert_has_the_same_labels_and_has_ended(settings, twin):
    post(settings, twin)
    other = Alert(**{**{field: getattr(ALERT, field) for field in ALERT.__struct_fields__}, "annotations": {}})
    assert resolve_alert(settings, other, now=later(60), transport=twin.transport) == "sent"
    assert twin.taken[1]["labels"] == twin.taken[0]["labels"]
    assert twin.taken[1]["endsAt"] == "2026-05-01T12:01:00+00:00"
    assert "startsAt" not in twin.taken[1]


def test_away_alertmanager_is_asked_three_times_and_the_alert_is_kept(settings, twin):
    twin.status = None
    assert post(settings, twin) == ("kept", [0.5, 1.0])
    assert twin.asked == 3
    assert [(item.alert, item.firing) for item in waiting_alerts(settings)] == [(ALERT, True)]


def test_failing_alertmanager_is_away_too(settings, twin):
    twin.status = 503
    assert post(settings, twin)[0] == "kept"


def test_alert_succeeds_at_a_later_attempt(settings, twin):
    twin.status = None

    def recover(_: float) -> None:
        twin.status = 200

    assert post(settings, twin, pause=recover)[0] == "sent"
    assert len(twin.taken) == 1


def test_kept_alert_goes_out_with_the_next_one(settings, twin):
    twin.status = None
    post(settings, twin)
    twin.status = 200
    other = Alert(name="Drift", severity="ticket", owner="ml", component="flows", summary="s", action="a")
    assert post(settings, twin, other)[0] == "sent"
    assert {body["labels"]["alertname"] for body in twin.taken} == {"GateBlocked", "Drift"}
    assert waiting_alerts(settings) == []


def test_newest_word_on_an_alert_wins(settings, twin):
    twin.status = None
    post(settings, twin)
    resolve_alert(settings, ALERT, now=later(60), pause=lambda _: None, transport=twin.transport)
    (item,) = waiting_alerts(settings)
    assert not item.firing
    twin.status = 200
    assert send_waiting(settings, now=later(120), transport=twin.transport) == 1
    assert [body["endsAt"] for body in twin.taken] == ["2026-05-01T12:01:00+00:00"]


def test_alert_whose_end_passed_while_it_waited_is_told_all_the_same(settings, twin):
    twin.status = None
    post(settings, twin, lasts=timedelta(minutes=10))
    twin.status = 200
    assert send_waiting(settings, now=later(7200), transport=twin.transport) == 1
    # it began at 12:00, it is 14:00 now, and it fires for an hour more
    assert (twin.taken[0]["startsAt"], twin.taken[0]["endsAt"]) == (
        "2026-05-01T12:00:00+00:00",
        "2026-05-01T15:00:00+00:00",
    )


def test_refused_alert_is_put_aside_and_holds_up_no_other(settings, twin, caplog):
    twin.status = 400
    assert post(settings, twin)[0] == "sent"  # Alertmanager has had it, and will not take it at any other time
    assert waiting_alerts(settings) == []
    assert [path.suffix for path in outbox_dir(settings).glob("GateBlocked*")] == [".refused"]
    assert "why not" in caplog.text


def test_damaged_file_is_put_aside(settings, twin, caplog):
    outbox_dir(settings).mkdir(parents=True)
    (outbox_dir(settings) / "x.json").write_text('{"alert": 1}')
    assert post(settings, twin)[0] == "sent"
    assert (outbox_dir(settings) / "x.damaged").exists()
    assert "x.json is no alert" in caplog.text


def test_without_alertmanager_the_log_has_it(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    settings = Settings(home=tmp_path)
    assert post_alert(settings, ALERT) == "off"
    assert "r2 is blocked; read the verdict" in caplog.text
    assert not outbox_dir(settings).exists()
    with pytest.raises(StackError, match="up --monitoring"):
        send_waiting(settings)


def test_home_that_cannot_be_written_does_not_fail_the_flow(settings, twin):
    settings.observability_dir.write_text("a file where the directory should be")
    assert post(settings, twin)[0] == "off"


def test_sending_later_says_when_it_is_still_away(settings, twin):
    twin.status = None
    post(settings, twin)
    with pytest.raises(StackError, match=r"no Alertmanager answers at http://127.0.0.1:9/prefix"):
        send_waiting(settings, transport=twin.transport)
    assert len(waiting_alerts(settings)) == 1


def test_password_of_the_address_is_not_shown(settings, twin):
    twin.status = None
    secret = settings.model_copy(update={"alertmanager_url": "https://me:hidden@alerts.example.org"})
    post(secret, twin)
    with pytest.raises(StackError) as caught:
        send_waiting(secret, transport=twin.transport)
    assert "hidden" not in str(caught.value)
    assert "alerts.example.org" in str(caught.value)


@pytest.mark.parametrize("broken", [{"name": "gate blocked"}, {"labels": {"run-id": "1"}}, {"annotations": {"": "x"}}])
def test_alert_that_alertmanager_would_refuse_is_refused_at_once(broken):
    fields = {"name": "A", "severity": "page", "owner": "ml", "component": "c", "summary": "s", "action": "a"}
    with pytest.raises(ValueError, match=r"CamelCase|label name"):
        Alert(**{**fields, **broken})


def test_own_labels_cannot_hide_the_identity():
    alert = Alert(
        name="A", severity="page", owner="ml", component="c", summary="s", action="a", labels={"severity": "ticket"}
    )
    assert alert.identity["severity"] == "page"


def test_runbook_names():
    assert page_name("DegradedTierShare") == "degraded-tier-share.md"
    assert runbook_of("Drift", "https://x/") == "https://x/drift.md"
