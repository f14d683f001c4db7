"""The file of API keys: written whole, by one process at a time, readable by its owner alone."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tastemaker.durable import locked, replace_file
from tastemaker.errors import DataError
from tastemaker.serving.access.keys import ApiKey, KeptSecret, Scope, digest, new_id, new_secret, token_of

__all__ = ["create_key", "find_key", "read_keys", "revoke_key", "rotate_key"]

_VERSION = 1


class _KeyFile(msgspec.Struct, kw_only=True):
    version: int
    keys: tuple[ApiKey, ...]


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The entries, in the order of their making; none without a file.

    Raises:
        DataError: the file cannot be read, or is no file of keys.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DataError(f"the API keys in {path} cannot be read: {error.strerror}; check owner and mode") from error
    try:
        held = msgspec.json.decode(raw, type=_KeyFile)
        for key in held.keys:
            for kept in key.secrets:
                if len(bytes.fromhex(kept.sha256)) != 32:
                    raise ValueError(f"the digest of key {key.id} has the wrong length")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DataError(f"{path} is no file of API keys: {error}; restore it from a copy") from error
    if held.version != _VERSION:
        raise DataError(f"{path} has version {held.version}, this program reads {_VERSION}; update the program")
    return held.keys


def find_key(keys: Sequence[ApiKey], key_id: str) -> ApiKey:
    """The entry of an id; what a caller sends, ``tm_<id>_...``, is found as well.

    Raises:
        DataError: there is none.
    """
    wanted = key_id.removeprefix("tm_").split("_", 1)[0]
    for key in keys:
        if key.id == wanted:
            return key
    raise DataError(f"no API key has the id {wanted!r}; `tastemaker keys list` shows them")


def create_key(
    path: Path,
    name: str,
    scopes: Sequence[Scope],
    *,
    now_us: int,
    rate: float,
    burst: int,
    expires_us: int | None = None,
) -> tuple[ApiKey, str]:
    """Add a key.

    Returns:
        Its entry, and what the caller is to send: kept nowhere, so shown now or never.

    Raises:
        DataError: it would do nothing, or the file cannot be read.
    """
    if not scopes:
        raise DataError("a key without a scope opens nothing; give it any of: " + ", ".join(Scope))
    if rate < 0 or burst < 1:
        raise DataError(f"a rate of {rate} with a burst of {burst} lets nothing through; use a burst of 1 or more")
    with _changed(path) as keys:
        taken = {key.id for key in keys}
        key_id = next(made for made in iter(new_id, "") if made not in taken)
        secret = new_secret()
        key = ApiKey(
            id=key_id,
            name=name,
            scopes=tuple(sorted(set(scopes))),
            secrets=(_kept(secret, now_us),),
            created_us=now_us,
            rate=rate,
            burst=burst,
            expires_us=expires_us,
        )
        keys.append(key)
    return key, token_of(key_id, secret)


def rotate_key(path: Path, key_id: str, *, now_us: int, grace_s: float) -> tuple[ApiKey, str]:
    """Give a key a new secret; those that it had stay valid for ``grace_s`` more seconds at most.

    Raises:
        DataError: there is no such key, or it is revoked or expired.
    """
    secret = new_secret()
    end_us = now_us + int(grace_s * 1_000_000)

    def rotated(key: ApiKey) -> ApiKey:
        if key.state(now_us) in {"revoked", "expired"}:
            raise DataError(f"key {key.id} is {key.state(now_us)}; make another with: tastemaker keys create")
        older = [
            msgspec.structs.replace(kept, until_us=min(end_us, end_us if kept.until_us is None else kept.until_us))
            for kept in key.secrets
        ]
        valid = [kept for kept in older if (kept.until_us or 0) > now_us]
        return msgspec.structs.replace(key, secrets=(_kept(secret, now_us), *valid))

    key = _replace(path, key_id, rotated)
    return key, token_of(key.id, secret)


def revoke_key(path: Path, key_id: str, *, now_us: int) -> ApiKey:
    """Refuse a key from now on; its entry stays, so that a log that names it can be read.

    Raises:
        DataError: there is no such key.
    """
    return _replace(
        path, key_id, lambda key: msgspec.structs.replace(key, revoked_us=key.revoked_us or now_us, secrets=())
    )


def _kept(secret: str, now_us: int) -> KeptSecret:
    return KeptSecret(sha256=digest(secret).hex(), created_us=now_us)


def _replace(path: Path, key_id: str, change: Callable[[ApiKey], ApiKey]) -> ApiKey:
    with _changed(path) as keys:
        key = find_key(keys, key_id)
        changed = change(key)
        keys[keys.index(key)] = changed
    return changed


@contextlib.contextmanager
def _changed(path: Path) -> Iterator[list[ApiKey]]:
    """The entries, to be changed in place and then written; nothing is written after an error."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(path.with_name(f"{path.name}.lock")):
        keys = list(read_keys(path))
        yield keys
        encoded = msgspec.json.encode(_KeyFile(version=_VERSION, keys=tuple(keys)))
        replace_file(path, msgspec.json.format(encoded, indent=1))
