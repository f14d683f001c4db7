"""HTTP requests to a server on this machine: so many a second whatever it answers, or one after the other.

Over plain sockets, with requests that are written beforehand: what the generator costs is taken from the server, which
shares the machine with it. A request's time begins when it was due, so that a server that stands still cannot hide how
long the others waited (coordinated omission).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

__all__ = ["Load", "closed", "open_loop", "post_request"]


def post_request(path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Load:
    """What came of a load.

    Attributes:
        seconds: how long it ran.
        ms: of each answer, from when it was due.
        failed: how many were not answered with 200.
        tiers: how often each tier answered, where answers name one.
    """

    seconds: float = 0.0
    ms: list[float] = field(default_factory=list)
    failed: int = 0
    tiers: dict[str, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.ms) / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """Milliseconds within which this share was answered."""
        return float(np.quantile(self.ms, share)) if self.ms else float("nan")


class _Client(asyncio.Protocol):
    """One connection: sends a request at a time and waits for its answer."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + size:
            return
        body, self._buffer = self._buffer[end + 4 : end + 4 + size], self._buffer[end + 4 + size :]
        if not head.startswith(b"http/1.1 200"):
            self._load.failed += 1
        at = body.find(b'"tier":"')
        if at >= 0:
            tier = body[at + 8 : body.find(b'"', at + 8)].decode()
            self._load.tiers[tier] = self._load.tiers.get(tier, 0) + 1
        assert self._answered is not None
        self._answered.set_result(None)

    async def ask(self, request: bytes) -> None:
        """Send and wait."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answered


async def _connect(port: int, load: Load) -> _Client:
    _, client = await asyncio.get_running_loop().create_connection(lambda: _Client(load), "127.0.0.1", port)
    return client


def closed(port: int, requests: Sequence[bytes], seconds: float, connections: int) -> Load:
    """Each connection sends its next request when the last one is answered."""

    async def run() -> Load:
        load = Load()
        began = perf_counter()

        async def work(number: int) -> None:
            client = await _connect(port, load)
            at = number
            while (now := perf_counter()) - began < seconds:
                await client.ask(requests[at % len(requests)])
                load.ms.append((perf_counter() - now) * 1e3)
                at += connections

        await asyncio.gather(*(work(number) for number in range(connections)))
        load.seconds = perf_counter() - began
        return load

    return asyncio.run(run())


def open_loop(port: int, requests: Sequence[bytes], seconds: float, per_second: float, connections: int = 64) -> Load:
    """Requests are due at a steady rate; one whose connections are all busy waits, and its time runs."""

    async def run() -> Load:
        load = Load()
        free: asyncio.Queue[_Client] = asyncio.Queue()
        for _ in range(connections):
            free.put_nowait(await _connect(port, load))
        began = perf_counter()

        async def one(number: int, due: float) -> None:
            client = await free.get()
            try:
                await client.ask(requests[number % len(requests)])
                load.ms.append((perf_counter() - due) * 1e3)
            except ConnectionError:
                load.failed += 1
                client = await _connect(port, load)
            finally:
                free.put_nowait(client)

        tasks: set[asyncio.Task[None]] = set()
        number = 0
        while (due := began + number / per_second) - began < seconds:
            wait = due - perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(one(number, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        while tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        load.seconds = perf_counter() - began
        return load

    return asyncio.run(run())
