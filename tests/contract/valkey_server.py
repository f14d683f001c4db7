"""Real Valkey servers on free local ports: one alone, or two that share the slots of a cluster."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.local_kafka import free_port
from benchmarks.local_valkey import ValkeyServer

# What it has acknowledged outlives a kill.
_OPTIONS = ("--appendonly", "yes", "--appendfsync", "no", "--enable-debug-command", "local")


@contextmanager
def single(directory: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(directory, *_OPTIONS)
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
            bus = free_port()
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000")
            servers.append(ValkeyServer(directory / name, *_OPTIONS, *options))
        first, second = (server.client() for server in servers)
        first.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        second.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        first.execute_command("CLUSTER SET-CONFIG-EPOCH", 1)
        second.execute_command("CLUSTER SET-CONFIG-EPOCH", 2)
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
