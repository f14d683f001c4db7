"""Who is let in, and what the others are told."""

import logging
import os

import pytest

from tastemaker.errors import DataError
from tastemaker.serving.access.gate import Gate
from tastemaker.serving.access.key_file import create_key, revoke_key, rotate_key
from tastemaker.serving.access.keys import Scope
from tastemaker.serving.problems import ApiProblem

S = 1_000_000


class Clocks:
    """Both clocks of a gate, moved by hand."""

    def __init__(self) -> None:
        self.s = 1000.0

    def monotonic_s(self) -> float:
        return self.s

    def now_us(self) -> int:
        return int(self.s * S)


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def gate(path, clocks):
    return Gate(path, now_us=clocks.now_us, monotonic_s=clocks.monotonic_s)


def make(path, clocks, *scopes, **more):
    made = {"rate": 0.0, "burst": 1, "now_us": clocks.now_us()} | more
    return create_key(path, "shop", scopes or (Scope.RECOMMEND,), **made)


def status_of(gate, token, scope=Scope.RECOMMEND, **more) -> int:
    try:
        gate.admit(token, scope, **more)
    except ApiProblem as problem:
        return problem.status if problem.remedy else -1
    return 200


def test_without_keys_its_own_machine_is_let_in_and_others_are_not(gate):
    assert gate.admit(None, Scope.ADMINISTER).key_id == ""
    assert status_of(gate, None, local=False) == 403
    assert not gate.closed


def test_without_keys_everybody_is_let_in_where_the_owner_says_so(path):
    assert status_of(Gate(path, allow_open=True), None, local=False) == 200


def test_first_key_closes_a_running_gate(gate, path, clocks):
    assert status_of(gate, None) == 200
    key, token = make(path, clocks)
    clocks.s += 0.3  # longer than the pause between two looks
    assert status_of(gate, None) == 401
    assert gate.admit(token, Scope.RECOMMEND).key_id == key.id
    assert gate.closed


@pytest.mark.parametrize("wanted", list(Scope))
def test_key_opens_its_scope_alone(gate, path, clocks, wanted):
    tokens = {scope: make(path, clocks, scope)[1] for scope in Scope}
    assert {scope: status_of(gate, tokens[scope], wanted) for scope in Scope} == {
        scope: 200 if scope is wanted else 403 for scope in Scope
    }


def test_key_with_several_scopes_opens_each(gate, path, clocks):
    _, token = make(path, clocks, Scope.RECOMMEND, Scope.WRITE_EVENTS)
    assert [status_of(gate, token, scope) for scope in Scope] == [200, 200, 403]


def test_wrong_secret_unknown_id_and_garbage_get_one_answer(gate, path, clocks):
    _, token = make(path, clocks)
    answers = set()
    for wrong in (token[:-1] + ("A" if token[-1] != "A" else "B"), f"tm_zzzzzzzz_{'x' * 43}", "letmein", "", "é" * 60):
        with pytest.raises(ApiProblem) as refused:
            gate.admit(wrong, Scope.RECOMMEND)
        answers.add((refused.value.status, str(refused.value), refused.value.remedy))
    assert len(answers) == 1
    assert answers.pop()[0] == 401


def test_revoked_key_is_refused_without_a_restart(gate, path, clocks):
    key, token = make(path, clocks)
    assert status_of(gate, token) == 200
    revoke_key(path, key.id, now_us=clocks.now_us())
    clocks.s += 0.3
    assert status_of(gate, token) == 401


def test_revoking_the_only_key_does_not_open_the_gate(gate, path, clocks):
    key, _ = make(path, clocks)
    revoke_key(path, key.id, now_us=clocks.now_us())
    assert status_of(gate, None) == 401


def test_expired_key_is_refused_from_its_moment_on(gate, path, clocks):
    _, token = make(path, clocks, expires_us=clocks.now_us() + 10 * S)
    assert status_of(gate, token) == 200
    clocks.s += 10
    assert status_of(gate, token) == 401


def test_rotated_key_works_with_both_secrets_until_the_grace_ends(gate, path, clocks):
    key, old = make(path, clocks)
    _, new = rotate_key(path, key.id, now_us=clocks.now_us(), grace_s=60)
    assert (status_of(gate, old), status_of(gate, new)) == (200, 200)
    clocks.s += 60
    assert (status_of(gate, old), status_of(gate, new)) == (401, 200)


def test_beyond_its_rate_a_key_is_told_when_to_come_back(gate, path, clocks):
    _, token = make(path, clocks, rate=0.5, burst=2)
    assert [status_of(gate, token) for _ in range(3)] == [200, 200, 429]
    with pytest.raises(ApiProblem) as refused:
        gate.admit(token, Scope.RECOMMEND)
    assert refused.value.headers == {"retry-after": "2"}  # one token in 1 / 0.5 s
    clocks.s += 2
    assert status_of(gate, token) == 200


def test_keys_have_buckets_of_their_own(gate, path, clocks):
    greedy, modest = (make(path, clocks, rate=1.0, burst=1)[1] for _ in range(2))
    assert [status_of(gate, greedy) for _ in range(2)] == [200, 429]
    assert status_of(gate, modest) == 200


def test_rotation_does_not_refill_the_bucket(gate, path, clocks):
    key, token = make(path, clocks, rate=0.01, burst=1)
    assert status_of(gate, token) == 200
    _, new = rotate_key(path, key.id, now_us=clocks.now_us(), grace_s=60)
    clocks.s += 1
    assert status_of(gate, new) == 429


def test_wrong_scope_costs_no_token(gate, path, clocks):
    _, token = make(path, clocks, rate=0.01, burst=1)
    assert status_of(gate, token, Scope.ADMINISTER) == 403
    assert status_of(gate, token) == 200


def test_lists_of_one_call_are_charged_each(gate, path, clocks):
    _, token = make(path, clocks, rate=1.0, burst=4)
    gate.admit(token, Scope.RECOMMEND).charge(7)
    # 4 held, 1 + 7 taken: 4 owed, and one is there after 5 s
    with pytest.raises(ApiProblem) as refused:
        gate.admit(token, Scope.RECOMMEND)
    assert refused.value.retry_after_s == 5


def test_file_that_breaks_leaves_the_keys_that_were_read(gate, path, clocks, caplog):
    _, token = make(path, clocks)
    assert status_of(gate, token) == 200
    path.write_text("{")
    clocks.s += 0.3
    with caplog.at_level(logging.ERROR):
        assert (status_of(gate, token), status_of(gate, None)) == (200, 401)
        clocks.s += 0.3
        status_of(gate, token)
    assert caplog.text.count("is no file of API keys") == 1  # said once, not at each look


def test_file_that_is_lost_locks_everybody_out(gate, path, clocks):
    _, token = make(path, clocks)
    assert status_of(gate, token) == 200
    os.unlink(path)
    clocks.s += 0.3
    assert (status_of(gate, token), status_of(gate, None)) == (401, 401)


def test_file_that_was_never_readable_lets_nobody_in(gate, path):
    path.write_text("not json")
    assert status_of(gate, None) == 503
    with pytest.raises(DataError, match="no file of API keys"):
        _ = gate.closed
