"""The gate: whether a caller may do what it asks for, decided in a few microseconds from memory.

While there are no keys the server is open, which is refused on any address but loopback. The first key closes it, and
it never opens again in this process: a file that is lost or broken later locks callers out rather than let them in.
"""

import hmac
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tastemaker.clock import wall_us
from tastemaker.errors import DataError
from tastemaker.serving.access.key_file import read_keys
from tastemaker.serving.access.keys import ApiKey, Scope, digest, parse_token
from tastemaker.serving.access.rates import TokenBucket
from tastemaker.serving.problems import ApiProblem
from tastemaker.settings import Settings

__all__ = ["Admitted", "Gate"]

_log = logging.getLogger(__name__)

_SEND = "send the header 'authorization: Bearer KEY' or 'x-api-key: KEY'; `tastemaker keys create` makes one"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller that was let in.

    Attributes:
        key_id: whose key it sent; empty where none is needed.
    """

    key_id: str
    _bucket: TokenBucket | None

    def charge(self, tokens: int) -> None:
        """Count what the request costs beyond its first token, such as the further lists of one call."""
        if self._bucket is not None and tokens > 0:
            self._bucket.spend(tokens)


@dataclass(frozen=True, slots=True)
class _Entry:
    key: ApiKey
    secrets: tuple[tuple[bytes, float], ...]  # digest, and from when on it is refused, in microseconds
    until_us: float
    scopes: frozenset[Scope]
    bucket: TokenBucket


_OPEN = Admitted("", None)


class Gate:
    """Admits callers by the keys of a file, and sees within ``reload_s`` that the file has changed.

    Args:
        path: the file.
        allow_open: admit callers from anywhere while there are no keys.
        reload_s: pause between two looks at the file.
        now_us: the time that keys expire by: the machine's, not the platform's, which may replay the past.
        monotonic_s: the time that rates count by.
    """

    def __init__(
        self,
        path: Path,
        *,
        allow_open: bool = False,
        reload_s: float = 0.25,
        now_us: Callable[[], int] = wall_us,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._allow_open = allow_open
        self._reload_s = reload_s
        self._now_us = now_us
        self._monotonic_s = monotonic_s
        self._entries: dict[str, _Entry] = {}
        self._closed = False
        self._why_unreadable = ""
        self._signature: tuple[int, ...] | None = None
        self._next_look_s = -math.inf

    @classmethod
    def of(cls, settings: Settings) -> "Gate":
        """The gate of a server with these settings."""
        return cls(settings.api_keys_path, allow_open=settings.allow_open)

    @property
    def closed(self) -> bool:
        """Whether callers need a key.

        Raises:
            DataError: the keys cannot be read.
        """
        self._look()
        if self._why_unreadable:
            raise DataError(self._why_unreadable)
        return self._closed

    def admit(self, token: str | None, scope: Scope, *, local: bool = True) -> Admitted:
        """Let a caller in.

        Args:
            token: what it sent as its key.
            scope: what it wants to do.
            local: whether it reached this machine by a loopback address.

        Raises:
            ApiProblem: 401 without a valid key, 403 for one without the scope, 429 beyond its rate, 503 while the keys
                cannot be read.
        """
        now_s = self._monotonic_s()
        if now_s >= self._next_look_s:
            self._look()
        if not self._closed:
            if self._why_unreadable:
                raise ApiProblem(503, "", "the server cannot read its API keys", "its log says why", retry_after_s=2)
            if local or self._allow_open:
                return _OPEN
            raise ApiProblem(
                403,
                "",
                "this server has no API keys, and is open to its own machine alone",
                "make a key with: tastemaker keys create",
            )
        entry = self._entry_of(token)
        if scope not in entry.scopes:
            raise ApiProblem(
                403,
                "authorization",
                f"key {entry.key.id} has no scope {scope.value!r}",
                f"use one made with: tastemaker keys create NAME --scope {scope.value}",
            )
        wait_s = entry.bucket.take(now_s)
        if wait_s:
            raise ApiProblem(
                429,
                "authorization",
                f"key {entry.key.id} sends more than {entry.key.rate:g} requests/s",
                "wait as long as the header retry-after says, or make a key with a higher --rate",
                retry_after_s=math.ceil(wait_s),
            )
        return Admitted(entry.key.id, entry.bucket)

    def _entry_of(self, token: str | None) -> _Entry:
        if token is None:
            raise ApiProblem(401, "authorization", "an API key is required", _SEND)
        parsed = parse_token(token)
        entry = self._entries.get(parsed[0]) if parsed else None
        if parsed is not None and entry is not None:
            now_us = self._now_us()
            given = digest(parsed[1])
            if now_us < entry.until_us and any(
                hmac.compare_digest(given, kept) and now_us < until_us for kept, until_us in entry.secrets
            ):
                return entry
        # One answer for what is unknown, wrong, expired and revoked: a guess learns nothing.
        raise ApiProblem(401, "authorization", "the API key is not valid: unknown, expired or revoked", _SEND)

    def _look(self) -> None:
        self._next_look_s = self._monotonic_s() + self._reload_s
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            signature: tuple[int, ...] | None = ()
        except OSError:
            signature = None  # let reading say what is wrong
        else:
            signature = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if signature is not None and signature == self._signature:
            return
        try:
            keys = read_keys(self._path)
        except DataError as error:
            if str(error) != self._why_unreadable:
                _log.error("%s; until then callers are judged by the keys read before", error)
            self._why_unreadable = str(error)
            return
        self._signature, self._why_unreadable = signature, ""
        if not keys and self._closed:
            _log.error("%s has no keys any more; every caller is refused until it does", self._path)
        self._closed = self._closed or bool(keys)
        self._entries = {key.id: self._entry(key) for key in keys if key.revoked_us is None}

    def _entry(self, key: ApiKey) -> _Entry:
        known = self._entries.get(key.id)
        same = known is not None and (known.bucket.rate, known.bucket.burst) == (key.rate, key.burst)
        return _Entry(
            key=key,
            secrets=tuple(
                (bytes.fromhex(kept.sha256), math.inf if kept.until_us is None else kept.until_us)
                for kept in key.secrets
            ),
            until_us=math.inf if key.expires_us is None else key.expires_us,
            scopes=frozenset(key.scopes),
            # A change of the file must not hand every key a full bucket.
            bucket=known.bucket if known and same else TokenBucket(key.rate, key.burst, self._monotonic_s()),
        )
