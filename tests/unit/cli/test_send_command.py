"""``tastemaker send`` says what it was told, and nothing else."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from tastemaker.cli.app import app


@pytest.fixture
def posted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Events that something on the collector's port was sent."""
    events: list[dict[str, Any]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            events.extend(body["events"])
            answer = json.dumps({"results": [{"event_id": "e1"}]}).encode()
            self.send_response(202)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path))
    monkeypatch.setenv("TASTEMAKER_COLLECTOR_PORT", str(server.server_port))
    yield events
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("options", "event"),
    [
        (("--user", "u"), {"type": "view", "user_id": "u", "item_id": "i"}),
        (
            ("--user", "u", "--type", "retraction", "--corrects", "e0"),
            {"type": "retraction", "user_id": "u", "item_id": "i", "corrects": "e0"},
        ),
        (
            ("--session", "s", "--type", "purchase", "--value", "9.5", "--request-id", "r"),
            {"type": "purchase", "session_id": "s", "item_id": "i", "value": 9.5, "request_id": "r"},
        ),
    ],
)
def test_send_passes_on_what_it_is_told(
    posted: list[dict[str, Any]], options: tuple[str, ...], event: dict[str, Any]
) -> None:
    done = CliRunner().invoke(app, ["send", "--item", "i", *options], catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, "accepted: e1\n")
    assert posted == [event]
