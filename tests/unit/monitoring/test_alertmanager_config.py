"""Alertmanager's configuration: only what is configured, no secret in it, and routes as amtool takes them."""

import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tastemaker.errors import DataError
from tastemaker.observability.receivers import Receivers, alertmanager_config, load_receivers

DIRECTORY = Path(__file__).parents[3] / "monitoring" / "alertmanager"
TEMPLATE = DIRECTORY / "alertmanager.yaml"
ENVIRON = {
    "ALERT_WEBHOOK_TOKEN": "token-secret",
    "PAGERDUTY_ROUTING_KEY": "key-secret\n",
    "SLACK": "https://hooks/secret",
}


def everybody(tmp_path: Path) -> Receivers:
    password = tmp_path / "password"
    password.write_text("password-secret")
    return Receivers.model_validate(
        {
            "webhook": [{"url": "http://127.0.0.1:8888/alerts", "token_env": "ALERT_WEBHOOK_TOKEN"}],
            "email": [
                {
                    "to": "on-call@example.org",
                    "from": "tastemaker@example.org",
                    "smarthost": "mail.example.org:587",
                    "username": "tastemaker",
                    "password_file": str(password),
                    "severities": ["ticket"],
                }
            ],
            "slack": [{"channel": "#recommendations", "url_env": "SLACK"}],
            "pagerduty": [{"routing_key_env": "PAGERDUTY_ROUTING_KEY"}],
        }
    )


def rendered(tmp_path: Path, receivers: Receivers) -> Path:
    path = tmp_path / "alertmanager.yaml"
    path.write_text(yaml.safe_dump(alertmanager_config(TEMPLATE, receivers, tmp_path / "secrets", ENVIRON)))
    return path


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def test_amtool_takes_all_receivers_together(programs, tmp_path):
    checked = run(programs.amtool, "check-config", rendered(tmp_path, everybody(tmp_path)))
    assert checked.returncode == 0, checked.stderr
    assert "2 receivers" in checked.stdout
    assert "2 inhibit rules" in checked.stdout


def test_amtool_refuses_a_broken_one(programs, tmp_path):
    path = rendered(tmp_path, Receivers())
    path.write_text(path.read_text().replace("receiver: tickets", "receiver: nobody"))
    assert run(programs.amtool, "check-config", path).returncode == 1


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=TargetDown", "severity=page"], "pages"),
        (["alertname=Drift", "severity=ticket"], "tickets"),
        (["alertname=OfSomebodyElse"], "tickets"),
    ],
)
def test_routes_lead_by_severity(programs, tmp_path, labels, receiver):
    path = rendered(tmp_path, everybody(tmp_path))
    command = (programs.amtool, "config", "routes", "test", f"--config.file={path}", f"--verify.receivers={receiver}")
    found = run(*command, *labels)
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.strip().startswith(receiver)


def test_only_what_is_configured_is_there(programs, tmp_path):
    assert alertmanager_config(TEMPLATE, Receivers(), tmp_path)["receivers"] == [{"name": "pages"}, {"name": "tickets"}]
    assert run(programs.amtool, "check-config", rendered(tmp_path, Receivers())).returncode == 0
    pages, tickets = alertmanager_config(TEMPLATE, everybody(tmp_path), tmp_path / "secrets", ENVIRON)["receivers"]
    assert set(pages) == {"name", "webhook_configs", "slack_configs", "pagerduty_configs"}
    assert set(tickets) == {"name", "webhook_configs", "slack_configs", "email_configs"}
    configs = [
        one for receiver in (pages, tickets) for kind, ones in receiver.items() if kind != "name" for one in ones
    ]
    assert all(config["send_resolved"] for config in configs)


def test_secrets_are_in_files_of_their_owner_and_in_no_configuration(tmp_path):
    text = rendered(tmp_path, everybody(tmp_path)).read_text()
    assert not [
        secret for secret in ("token-secret", "key-secret", "hooks/secret", "password-secret") if secret in text
    ]
    written = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert set(written) == set(ENVIRON)
    assert written["PAGERDUTY_ROUTING_KEY"].read_text() == "key-secret"
    assert {stat.S_IMODE(path.stat().st_mode) for path in written.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_example_shows_every_kind(tmp_path):
    receivers = load_receivers(DIRECTORY / "receivers.example.yaml")
    assert all(getattr(receivers, kind) for kind in Receivers.model_fields)


@pytest.mark.parametrize(
    ("receivers", "problem"),
    [
        ({"slack": [{"channel": "#a"}]}, "the address of Slack's webhook for #a is missing"),
        ({"slack": [{"channel": "#a", "url_env": "NOBODY_SET_IT"}]}, "NOBODY_SET_IT is not set"),
        ({"pagerduty": [{"routing_key_file": "/nonexistent"}]}, "there is no file /nonexistent"),
        ({"pagerduty": [{"routing_key_file": "/x", "routing_key_env": "Y"}]}, "named twice"),
        (
            {"email": [{"to": "a", "from": "b", "smarthost": "c:25", "username": "d"}]},
            "the password of c:25 is missing",
        ),
    ],
)
def test_missing_secret_is_named(tmp_path, receivers, problem):
    with pytest.raises(DataError, match=problem):
        alertmanager_config(TEMPLATE, Receivers.model_validate(receivers), tmp_path, {})


@pytest.mark.parametrize(
    "text",
    [
        "slack: [{channel: '#a', url: 'https://hooks/secret'}]",  # a secret in the text
        "webhook: [{url: 'https://user:secret@host/'}]",
        "telegram: [{}]",
        "webhook: [{url: 'http://a/', severities: [urgent]}]",
        "webhook: {",
    ],
)
def test_mistake_in_the_file_is_told_with_its_place(tmp_path, text):
    path = tmp_path / "receivers.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"(?s)receivers\.yaml.*receivers\.example\.yaml"):
        load_receivers(path)


def test_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="nobody"):
        load_receivers(tmp_path / "nobody.yaml")
