"""Asks replicas of the recommender as a load balancer does: the next one where one fails or does not answer soon.

A replica that failed is left out until its readiness probe answers again; it is asked four times a second. With one
replica there is nobody else to ask, and its answer is waited for.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

__all__ = ["Balancer", "NoAnswer"]

_PROBE_S: Final = 0.25
_PROBE: Final = b"GET /v2/health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class NoAnswer(Exception):
    """No replica answered; says what the last one did."""


class _Connection(asyncio.Protocol):
    """Sends a request at a time and waits for its answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + size:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        if self._answered is not None and not self._answered.done():
            self._answered.set_result((int(head[9:12]), body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        if self.transport is None:
            raise ConnectionError("the connection was closed")
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answered


class _Replica:
    """One process: connections that are free, and whether it is asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked = True
        self._free: deque[_Connection] = deque()

    async def ask(self, request: bytes, limit_s: float) -> tuple[int, bytes]:
        """Its answer.

        Raises:
            OSError: it has none, or not in time.
        """
        async with asyncio.timeout(limit_s):
            connection = self._free.popleft() if self._free else await self._connect()
            try:
                answer = await connection.ask(request)
            except BaseException:
                if connection.transport is not None:
                    connection.transport.abort()  # its answer, should it come, is nobody's
                raise
            self._free.append(connection)
            return answer

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self.port)
        return connection

    async def probe(self) -> None:
        """Whether it is ready again."""
        with suppress(OSError):
            status, _ = await self.ask(_PROBE, _PROBE_S)
            self.asked = status == 200

    def forget(self) -> None:
        """Close what is free."""
        while self._free:
            connection = self._free.popleft()
            if connection.transport is not None:
                connection.transport.abort()


class Balancer:
    """Replicas in turn.

    Args:
        ports: of the replicas on this machine.
        try_s: how long one may take before the next one is asked.
        limit_s: how long the last one may take.
    """

    def __init__(self, ports: Sequence[int], try_s: float, limit_s: float) -> None:
        self._replicas = [_Replica(port) for port in ports]
        self._try_s, self._limit_s = try_s, limit_s
        self._turn = 0

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body.

        Raises:
            NoAnswer: from none.
        """
        self._turn += 1
        n = len(self._replicas)
        in_turn = [self._replicas[(self._turn + place) % n] for place in range(n)]
        asked = [replica for replica in in_turn if replica.asked] or in_turn
        problem = "nobody was asked"
        for place, replica in enumerate(asked):
            try:
                last = place == len(asked) - 1
                status, body = await replica.ask(request, self._limit_s if last else self._try_s)
            except OSError as error:  # a timeout is one
                problem = repr(error)
                replica.asked = n == 1
                replica.forget()
                continue
            if status == 503 and not last:  # it said that it is not the one to ask
                replica.asked = False
                continue
            return status, body
        raise NoAnswer(problem)

    async def watch(self) -> None:
        """Probe those that are left out, until cancelled."""
        while True:
            await asyncio.sleep(_PROBE_S)
            for replica in self._replicas:
                if not replica.asked:
                    await replica.probe()

    def close(self) -> None:
        """Close all connections."""
        for replica in self._replicas:
            replica.forget()
