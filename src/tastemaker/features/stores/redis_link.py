"""A connection to a Redis or Valkey server or cluster: commands and scripts in as few trips as possible."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.crc import key_slot
from redis.exceptions import (
    ClusterError,
    ConnectionError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    TimeoutError,
)
from redis.retry import Retry

from tastemaker.errors import DataError
from tastemaker.features.stores.protocol import StoreUnavailable
from tastemaker.features.stores.redis_nodes import send_to_nodes
from tastemaker.features.stores.redis_states import StateFetcher

__all__ = ["RedisLink"]

_PIPELINE: Final = 1000  # commands
_GROUP: Final = 200  # keys of a script
_GROUP_BYTES: Final = 1 << 20
_SECONDS: Final = 30.0
_RETRIES: Final = 3
# What may pass: a server that restarts, is full, or is no longer the one to write to.
_UNAVAILABLE: Final = (
    ClusterError,
    ConnectionError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    TimeoutError,
)


class RedisLink:
    """Threads may share one.

    Args:
        url: ``redis://``, ``rediss://``, ``redis+cluster://`` or ``rediss+cluster://``, as of
            :func:`~tastemaker.features.stores.opening.open_online_store`.

    Attributes:
        prefix: of every key.
        is_cluster: whether keys are in slots, so that a command or script takes keys of one slot only.

    Raises:
        DataError: the address cannot be read.
        StoreUnavailable: the server cannot be reached.
    """

    def __init__(self, url: str, patience_s: float = _SECONDS, retries: int = _RETRIES) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        self.prefix = query.pop("prefix", ["tastemaker"])[-1].encode()
        self.is_cluster = parts.scheme.endswith("+cluster")
        self._name = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"  # without a password
        plain = urlunsplit(parts._replace(scheme=parts.scheme.split("+")[0], query=urlencode(query, doseq=True)))
        options: dict[str, Any] = {
            "socket_timeout": patience_s,
            "socket_connect_timeout": min(patience_s, 5.0),
            "protocol": 2,
            # Every command here may be sent twice: writes say what they expect to find.
            "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1), retries),
        }
        self._client: Any
        try:
            with self._errors():
                if self.is_cluster:
                    self._client = redis.RedisCluster.from_url(plain, **options)
                else:
                    self._client = redis.Redis.from_url(plain, **options)
                    self._client.ping()
        except (ValueError, TypeError) as error:
            raise DataError(f"the online store's address {self._name} cannot be read: {error}") from error
        self._hashes: dict[str, str] = {}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _UNAVAILABLE as error:
            raise StoreUnavailable(
                f"the online store at {self._name} does not serve ({error}); start it, or set TASTEMAKER_ONLINE_STORE"
                " to one that runs"
            ) from error

    def ask(self, *command: Any) -> Any:
        """The result of one command."""
        with self._errors():
            return self._client.execute_command(*command)

    def run(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The results of commands, in order; they are on their way together, to all nodes that they concern."""
        results = self._send(commands)
        for result in results:
            if isinstance(result, Exception):
                with self._errors():
                    raise result
        return results

    def _send(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        results: list[Any] = []
        for begin in range(0, len(commands), _PIPELINE):
            piece = commands[begin : begin + _PIPELINE]
            with self._errors():
                if self.is_cluster:
                    results += send_to_nodes(self._client, piece)
                    continue
                pipeline = self._client.pipeline(transaction=False)
                for command in piece:
                    pipeline.execute_command(*command)
                results += pipeline.execute(raise_on_error=False)
        return results

    def call(self, script: str, calls: Sequence[tuple[Sequence[bytes], Sequence[Any]]]) -> list[Any]:
        """The results of one script for several sets of keys, each of one slot, and arguments."""
        sha = self._hashes.get(script)
        if sha is None:
            sha = self._hashes[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        commands = [("EVALSHA", sha, len(keys), *keys, *arguments) for keys, arguments in calls]
        results = self._send(commands)
        unknown = [index for index, result in enumerate(results) if isinstance(result, NoScriptError)]
        if unknown:  # a new server, or one that has restarted
            again = [("EVAL", script, *commands[index][2:]) for index in unknown]
            for index, result in zip(unknown, self._send(again), strict=True):
                results[index] = result
        for result in results:
            if isinstance(result, Exception):
                with self._errors():
                    raise result
        return results

    def groups(self, keys: Sequence[bytes], sizes: Iterable[int] | None = None) -> list[list[int]]:
        """Numbers of keys that one script may take together: of one slot, and not too much at a time.

        Args:
            keys: their names.
            sizes: bytes that go along with each.
        """
        groups: list[list[int]] = []
        filling: dict[int, tuple[list[int], int]] = {}
        for index, (key, size) in enumerate(zip(keys, sizes or [0] * len(keys), strict=True)):
            slot = key_slot(key) if self.is_cluster else 0
            group, filled = filling.get(slot, ([], 0))
            if not group or len(group) >= _GROUP or filled + size > _GROUP_BYTES:
                group, filled = [], 0
                groups.append(group)
            group.append(index)
            filling[slot] = (group, filled + size)
        return groups

    def scan(self, beginning: bytes) -> Iterator[bytes]:
        """All keys that begin so, once each."""
        pattern = b"".join(b"\\" + bytes([c]) if c in b"*?[]^\\" else bytes([c]) for c in beginning) + b"*"
        nodes = self._client.get_primaries() if self.is_cluster else [None]
        seen: set[bytes] = set()
        for node in nodes:
            cursor: Any = 0
            while True:
                with self._errors():
                    client = self._client.get_redis_connection(node) if node else self._client
                    cursor, keys = client.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
                fresh = [key for key in keys if key not in seen]
                seen.update(fresh)
                yield from fresh
                if int(cursor) == 0:
                    break

    def states(self) -> StateFetcher:
        """Reads packed states of one server, on connections of its own."""
        return StateFetcher(self._client.connection_pool)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
