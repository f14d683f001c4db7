"""What a key looks like, and what of it is kept."""

import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from tastemaker.errors import DataError
from tastemaker.serving.access.key_file import create_key, find_key, read_keys, revoke_key, rotate_key
from tastemaker.serving.access.keys import Scope, digest, new_secret, parse_token, token_of

S = 1_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access" / "keys.json"


def make(path, name="shop", scopes=(Scope.RECOMMEND,), now_us=0, **more):
    return create_key(path, name, scopes, now_us=now_us, **({"rate": 10.0, "burst": 20} | more))


def test_token_is_taken_apart_into_what_it_was_made_of():
    secret = new_secret()
    assert parse_token(token_of("abcd2345", secret)) == ("abcd2345", secret)
    assert len(secret) == 43  # 32 bytes are 256 bits, 6 of them in a letter


@pytest.mark.parametrize("text", ["", "tm_", "tm_abcd2345", "tm_ABCD2345_" + "x" * 43, "tm_abcd2345_" + "x" * 42, "é"])
def test_other_texts_are_no_tokens(text):
    assert parse_token(text) is None


def test_file_holds_the_digest_and_not_the_secret(path):
    key, token = make(path)
    raw = path.read_text()
    _, secret = parse_token(token)
    assert secret not in raw
    assert hashlib.sha256(secret.encode()).hexdigest() in raw
    assert key.secrets[0].sha256 == digest(secret).hex()


def test_file_is_readable_by_its_owner_alone_whatever_the_umask(path):
    before = os.umask(0)
    try:
        make(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_no_file_is_no_keys(path):
    assert read_keys(path) == ()


def test_rotation_keeps_the_id_and_gives_the_older_secret_an_end(path):
    key, _ = make(path)
    rotated, token = rotate_key(path, key.id, now_us=100 * S, grace_s=60)
    assert rotated.id == key.id
    assert digest(parse_token(token)[1]).hex() == rotated.secrets[0].sha256
    # rotated at 100 s with 60 s of grace
    assert [kept.until_us for kept in rotated.secrets] == [None, 160 * S]
    assert (rotated.state(159 * S), rotated.state(160 * S)) == ("rotating", "active")


def test_second_rotation_does_not_prolong_the_first_grace(path):
    key, _ = make(path)
    rotate_key(path, key.id, now_us=0, grace_s=60)
    again, _ = rotate_key(path, key.id, now_us=30 * S, grace_s=600)
    assert [kept.until_us for kept in again.secrets] == [None, 630 * S, 60 * S]


def test_rotation_without_grace_drops_the_older_secret(path):
    key, _ = make(path)
    assert len(rotate_key(path, key.id, now_us=S, grace_s=0)[0].secrets) == 1


def test_revoked_key_has_no_secrets_left_and_cannot_be_rotated(path):
    key, _ = make(path)
    assert revoke_key(path, key.id, now_us=S).secrets == ()
    with pytest.raises(DataError, match="is revoked; make another"):
        rotate_key(path, key.id, now_us=2 * S, grace_s=1)


def test_revoking_twice_keeps_the_first_time(path):
    key, _ = make(path)
    revoke_key(path, key.id, now_us=S)
    assert revoke_key(path, key.id, now_us=9 * S).revoked_us == S


def test_unknown_id_is_told_where_ids_are_listed(path):
    make(path)
    with pytest.raises(DataError, match="tastemaker keys list"):
        revoke_key(path, "nosuchid", now_us=0)


def test_whole_token_finds_its_key(path):
    key, token = make(path)
    assert find_key(read_keys(path), token) == key


def test_key_without_scope_is_refused_and_nothing_is_written(path):
    with pytest.raises(DataError, match="recommend, write-events, administer"):
        make(path, scopes=())
    assert not path.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 1}',
        b"\xff",
        b'{"version": 1, "keys": [{"id": "a", "name": "", "scopes": ["fly"], "secrets": [], "created_us": 0}]}',
        b'{"version": 1, "keys": [{"id": "a", "name": "", "scopes": ["recommend"], "secrets":'
        b' [{"sha256": "00", "created_us": 0}], "created_us": 0}]}',
        b"[" * 100_000,
    ],
)
def test_broken_file_is_named_and_left_as_it_is(path, raw):
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"keys\.json is no file of API keys"):
        make(path)
    assert path.read_bytes() == raw


def test_file_of_a_later_version_is_not_guessed_at(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 2, "keys": []}))
    with pytest.raises(DataError, match="update the program"):
        read_keys(path)


def test_keys_made_at_once_are_all_there(path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: make(path, f"shop {number}")[0].id, range(24)))
    assert {key.id for key in read_keys(path)} == set(made)
    assert len(set(made)) == 24
