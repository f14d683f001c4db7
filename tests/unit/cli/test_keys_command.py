"""``tastemaker keys``: the key alone on standard output, and nothing secret in the list."""

import json

import pytest
from typer.testing import CliRunner

from tastemaker.cli.app import app
from tastemaker.cli.credentials import credentials
from tastemaker.errors import DataError
from tastemaker.serving.access.gate import Gate
from tastemaker.serving.access.keys import Scope, parse_token
from tastemaker.serving.problems import ApiProblem


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path))

    def run(*arguments: str):
        result = CliRunner().invoke(app, ["keys", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "access" / "keys.json", reload_s=0.0)


def test_created_key_is_the_only_line_on_standard_output_and_opens_the_gate(run, gate):
    result = run("create", "storefront", "--scope", "recommend", "-s", "write-events", "--rate", "50")
    token = result.stdout.strip()
    key_id, _ = parse_token(token)
    assert f"key {key_id} for storefront: recommend, write-events; 50 requests/s, 100 at once" in result.stderr
    assert gate.admit(token, Scope.WRITE_EVENTS).key_id == key_id


def test_list_shows_state_and_no_secret(run):
    token = run("create", "storefront", "--scope", "recommend", "--expires", "90d").stdout.strip()
    secret = parse_token(token)[1]
    for shown in (run("list"), run("list", "--json")):
        assert secret not in shown.output
    (entry,) = json.loads(run("list", "--json").stdout)
    assert (entry["name"], entry["scopes"], entry["state"], entry["rate"]) == (
        "storefront",
        ["recommend"],
        "active",
        100,
    )
    assert entry["expires"] > entry["created"]


def test_list_without_keys_says_what_that_means(run):
    assert "open to this machine alone" in " ".join(run("list").stdout.split())


def test_rotated_key_has_two_working_secrets_and_the_state_says_so(run, gate):
    old = run("create", "storefront", "--scope", "recommend").stdout.strip()
    new = run("rotate", parse_token(old)[0], "--grace", "1h").stdout.strip()
    assert new != old
    assert gate.admit(old, Scope.RECOMMEND).key_id == gate.admit(new, Scope.RECOMMEND).key_id
    assert json.loads(run("list", "--json").stdout)[0]["state"] == "rotating"


def test_rotation_without_grace_ends_the_older_secret(run, gate):
    old = run("create", "storefront", "--scope", "recommend").stdout.strip()
    new = run("rotate", parse_token(old)[0], "--grace", "0").stdout.strip()
    assert gate.admit(new, Scope.RECOMMEND)
    with pytest.raises(ApiProblem, match="not valid"):
        gate.admit(old, Scope.RECOMMEND)


def test_revoked_key_is_refused(run, gate):
    token = run("create", "storefront", "--scope", "recommend").stdout.strip()
    assert "is revoked" in run("revoke", token).stdout
    with pytest.raises(ApiProblem, match="not valid"):
        gate.admit(token, Scope.RECOMMEND)


def test_unknown_scope_is_told_the_known_ones(run):
    with pytest.raises(DataError, match="'fly' is no scope; use any of: recommend, write-events, administer"):
        run("create", "storefront", "--scope", "fly")


def test_unknown_id_is_refused(run):
    with pytest.raises(DataError, match="no API key has the id 'nosuchid'"):
        run("revoke", "nosuchid")


def test_key_of_the_environment_goes_with_every_call(monkeypatch):
    monkeypatch.setenv("TASTEMAKER_API_KEY", "tm_abcd2345_secret")
    assert credentials("http://127.0.0.1:8080") == {"headers": {"authorization": "Bearer tm_abcd2345_secret"}}
    monkeypatch.delenv("TASTEMAKER_API_KEY")
    assert credentials("http://127.0.0.1:8080") == {}
