"""A TCP proxy whose answers can be held back: what a slow network or a slow server looks like to a client.

``python -m benchmarks.chaos_proxy PORT TARGET_PORT`` forwards connections on 127.0.0.1; each line of its standard input
is the time in milliseconds by which answers are late from then on. Order is kept, and throughput is not bounded.
"""

import asyncio
import subprocess
import sys
from collections import deque
from time import monotonic

__all__ = ["Proxy", "forward"]

_CHUNK = 1 << 16


class Proxy:
    """A proxy in a process of its own, so that it does not wait for whoever made it.

    Args:
        port: where it listens on 127.0.0.1.
        target: the port that it forwards to.
    """

    def __init__(self, port: int, target: int) -> None:
        command = [sys.executable, "-m", "benchmarks.chaos_proxy", str(port), str(target)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def delay(self, ms: float) -> None:
        """From now on answers are late by so many milliseconds; 0 for not."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{ms:g}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


class _Late:
    """How late answers are now."""

    seconds = 0.0


async def forward(port: int, target: int, late: _Late) -> None:
    """Accept connections until cancelled; each gets one of its own to the target, or none where nobody listens."""

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, ahead = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        ways = (_pass(reader, ahead, None), _pass(behind, writer, late))
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # half a connection is of no use to anybody
        for task in tasks:
            task.cancel()
        for side in (ahead, writer):
            side.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: _Late | None) -> None:
    """Hand on what comes, each piece as late as it was to be when it came."""
    waiting: deque[tuple[float, bytes]] = deque()
    arrived = asyncio.Event()

    async def write() -> None:
        while True:
            while not waiting:
                arrived.clear()
                await arrived.wait()
            due, piece = waiting.popleft()
            if (wait := due - monotonic()) > 0:
                await asyncio.sleep(wait)
            if not piece:
                return
            writer.write(piece)
            await writer.drain()

    writing = asyncio.ensure_future(write())
    try:
        while True:
            piece = await reader.read(_CHUNK)
            waiting.append((monotonic() + (late.seconds if late else 0.0), piece))
            arrived.set()
            if not piece:
                await writing
                return
    except OSError:
        return
    finally:
        writing.cancel()


async def _main(port: int, target: int) -> None:
    late = _Late()

    def told() -> None:
        line = sys.stdin.readline()
        if line:
            late.seconds = float(line) / 1_000
        else:
            asyncio.get_running_loop().remove_reader(sys.stdin)

    asyncio.get_running_loop().add_reader(sys.stdin, told)
    await forward(port, target, late)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
