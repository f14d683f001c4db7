"""On-call, simulated: a web server that keeps what Alertmanager sends it."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

import yaml

__all__ = ["OnCall", "Received"]


class Received(NamedTuple):
    """An alert that arrived.

    Attributes:
        name: its name.
        summary: what it says.
        runbook: its link.
        at: when it arrived, in seconds of the monotonic clock.
    """

    name: str
    summary: str
    runbook: str
    at: float


class OnCall:
    """Listens on a free port of this machine until it is closed."""

    def __init__(self) -> None:
        self._received: list[Received] = []
        self._lock = Lock()
        on_call = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep the alerts of one message."""
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
                on_call._keep(body.get("alerts", ()))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def write_receivers(self, path: Path) -> Path:
        """Write the file that makes Alertmanager send everything here."""
        path.parent.mkdir(parents=True, exist_ok=True)
        url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        path.write_text(yaml.safe_dump({"webhook": [{"url": url}]}))
        return path

    def wait(self, name: str, timeout_s: float) -> Received | None:
        """The first alert of a name that fires; None when none arrives in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._lock:
                found = next((one for one in self._received if one.name == name), None)
            if found is not None or time.monotonic() >= deadline:
                return found
            time.sleep(0.1)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, alerts: list[dict[str, dict[str, str]]]) -> None:
        now = time.monotonic()
        with self._lock:
            self._received += [
                Received(
                    one["labels"]["alertname"],
                    one["annotations"].get("summary", ""),
                    one["annotations"].get("runbook_url", ""),
                    now,
                )
                for one in alerts
                if str(one.get("status")) == "firing"
            ]
