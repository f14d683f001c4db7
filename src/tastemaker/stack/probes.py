"""Readiness checks, with the standard library alone: a proxy that the environment names is never asked."""

import http.client
import json
import socket
from datetime import UTC, datetime
from pathlib import Path

from tastemaker.serving.access.tls import client_context
from tastemaker.stack import processes

__all__ = ["http_answers", "pid_in", "port_open", "prefect_worker_online"]

_TIMEOUT_S = 2.0


def port_open(host: str, port: int) -> bool:
    """Whether something listens."""
    try:
        with socket.create_connection((host, port), _TIMEOUT_S):
            return True
    except OSError:
        return False


def http_answers(host: str, port: int, path: str, certificate: str = "") -> bool:
    """Whether ``GET path`` answers with 200; over TLS with this certificate, if there is one."""
    return _request(host, port, "GET", path, certificate=certificate)[0] == http.client.OK


def pid_in(path: Path, pid: int) -> bool:
    """Whether a file holds this process id, so that one left by an earlier process does not count."""
    try:
        return path.read_text().strip() == str(pid)
    except OSError:
        return False


def prefect_worker_online(host: str, port: int, pool: str, pid: int) -> bool:
    """Whether a work pool has a worker that reported since the process ``pid`` started."""
    status, body = _request(host, port, "POST", f"/api/work_pools/{pool}/workers/filter", b"{}")
    if status != http.client.OK:
        return False
    started = datetime.fromtimestamp(processes.started_at(pid), UTC)
    return any(
        worker["status"] == "ONLINE" and datetime.fromisoformat(worker["last_heartbeat_time"]) >= started
        for worker in json.loads(body)
        if worker.get("last_heartbeat_time")
    )


def _request(
    host: str, port: int, method: str, path: str, body: bytes | None = None, *, certificate: str = ""
) -> tuple[int, bytes]:
    connection = (
        http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=client_context(certificate))
        if certificate
        else http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    )
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
