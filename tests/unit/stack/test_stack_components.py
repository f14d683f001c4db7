import json
import os
import socket
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from shutil import rmtree
from threading import Thread

import pytest

from tastemaker.broker import node
from tastemaker.errors import StackError
from tastemaker.promotion.champion import Champion, locked, write_champion
from tastemaker.settings import Settings
from tastemaker.stack.components import announcements, local_components
from tastemaker.stack.probes import http_answers, pid_in, port_open, prefect_worker_online


def by_name(settings, only=None):
    return {component.name: component for component in local_components(settings, only)}


def test_every_need_comes_before_the_component_that_has_it(settings):
    seen: list[str] = []
    for component in local_components(settings):
        assert set(component.needs) <= set(seen)
        seen.append(component.name)
    assert seen == [
        "kafka",
        "topics",
        "collector",
        "worker",
        "prefect-server",
        "flows",
        "prefect-worker",
        "reports",
        "recommender",
    ]


def test_as_many_workers_as_the_settings_say_and_each_is_ready_by_whichever_slot_it_got(settings):
    several = settings.model_copy(update={"workers": 3})
    workers = {name: part for name, part in by_name(several).items() if part.command() is None or "worker" in name}
    assert [name for name in workers if name.startswith("worker")] == ["worker", "worker-2", "worker-3"]
    (settings.run_dir / "worker-1.ready").write_text("42")
    assert all(workers[name].ready(42) for name in ("worker", "worker-2", "worker-3"))
    assert not workers["worker"].ready(41)
    assert Settings.from_env(workers["worker-3"].env).workers == 3


def test_broker_of_someone_else_replaces_kafka(settings):
    external = settings.model_copy(update={"kafka_bootstrap_servers": "broker:9092"})
    components = by_name(external)
    assert "kafka" not in components
    assert components["topics"].needs == ()
    assert components["collector"].env["KAFKA_BOOTSTRAP_SERVERS"] == "broker:9092"


def test_selection_drops_needs_that_are_left_out(settings):
    assert by_name(settings, ["worker", "topics"])["worker"].needs == ("topics",)
    assert by_name(settings, ["worker"])["worker"].needs == ()


def test_unknown_name_is_refused_with_the_known_ones(settings):
    with pytest.raises(StackError, match="wroker; one of kafka, topics"):
        local_components(settings, ["wroker"])


def test_recommender_follows_the_champion(settings):
    command = by_name(settings)["recommender"].command
    assert command() is None
    with locked(settings.releases_dir):
        write_champion(
            settings.releases_dir,
            Champion(release="r1", bento="recommender:r1", promoted_at=datetime(2026, 1, 1, tzinfo=UTC)),
        )
    assert command()[1:] == ["-m", "bentoml", "serve", "recommender:r1", "--host", "127.0.0.1", "--port", "8080"]
    assert Settings.from_env(by_name(settings)["recommender"].env).follow_champion


def test_recommender_is_started_anew_only_for_other_code(settings):
    def promote(release: str, code: str | None) -> str:
        source = settings.bentoml_home / "bentos" / "recommender" / release / "src"
        if code is not None:
            (source / "__pycache__").mkdir(parents=True)
            (source / "service.py").write_text(code)
            (source / "bentofile.yaml").write_text(f"models: [tastemaker-release:{release}]")
            (source / "__pycache__" / f"{release}.pyc").touch()
        champion = Champion(
            release=release, bento=f"recommender:{release}", promoted_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
        with locked(settings.releases_dir):
            write_champion(settings.releases_dir, champion)
        return command()[4]

    command = by_name(settings)["recommender"].command
    assert promote("r1", "serve()") == "recommender:r1"
    assert promote("r2", "serve()") == "recommender:r1"  # the running process takes r2's release
    assert promote("r3", "serve_better()") == "recommender:r3"
    assert promote("r4", "serve_better()") == "recommender:r3"
    rmtree(settings.bentoml_home / "bentos" / "recommender" / "r3")
    assert promote("r5", "serve_better()") == "recommender:r5"  # nothing could be started from r3 again
    assert promote("r6", None) == "recommender:r6"  # a Bento of another store: nothing is known of its code


def test_worker_waits_for_the_feature_plan(settings):
    worker = by_name(settings)["worker"]
    assert worker.command() is None
    assert "tastemaker features apply" in worker.waits_for
    settings.plan_path.write_text("{}")
    assert worker.command()[1:] == ["-m", "tastemaker.stream.worker"]


def test_every_process_gets_the_settings_of_the_stack(settings):
    moved = settings.model_copy(update={"collector_port": 18081, "clock_offset_us": -5})
    for component in local_components(moved):
        child = Settings.from_env(component.env)
        assert (child.collector_port, child.clock_offset_us, child.home) == (18081, -5, settings.home)
        assert component.env["NO_PROXY"].endswith("127.0.0.1")


def test_missing_java_is_announced_with_the_remedy(settings, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (line,) = announcements(settings)
    assert "noida-db is standing in for Apache Kafka" in line
    assert "Install Java 17 and Maven" in line
    assert node.announcement(settings.model_copy(update={"kafka_bootstrap_servers": "broker:9092"})) is None


@pytest.fixture
def server():
    """A server that answers what its ``replies`` say, by path, and 503 otherwise."""
    replies: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = replies.get(self.path)
            self.send_response(503 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_):
            pass

    listener = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
    yield listener.server_address[1], replies
    listener.shutdown()
    listener.server_close()


def test_http_probe_wants_status_200_and_ignores_a_proxy(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    port, replies = server
    assert not http_answers("127.0.0.1", port, "/ready")
    replies["/ready"] = b""
    assert http_answers("127.0.0.1", port, "/ready")


def test_nothing_listens_is_not_ready():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert port_open("127.0.0.1", port)
    assert not port_open("127.0.0.1", port)
    assert not http_answers("127.0.0.1", port, "/")
    assert not node.answers("127.0.0.1", port)


def test_server_of_another_protocol_is_no_kafka(server):
    assert not node.answers("127.0.0.1", server[0], timeout=0.5)


def test_worker_file_of_an_earlier_process_does_not_count(tmp_path):
    path = tmp_path / "worker.ready"
    assert not pid_in(path, 42)
    path.write_text("41")
    assert not pid_in(path, 42)
    path.write_text("42\n")
    assert pid_in(path, 42)


@pytest.mark.parametrize(
    ("heartbeat", "status", "online"),
    [
        ("2999-01-01T00:00:00Z", "ONLINE", True),
        ("2999-01-01T00:00:00Z", "OFFLINE", False),
        ("2001-01-01T00:00:00Z", "ONLINE", False),  # of a worker that ran before this process
        (None, "ONLINE", False),
    ],
)
def test_prefect_worker_counts_once_it_has_reported_itself(server, heartbeat, status, online):
    port, replies = server
    worker = {"status": status, "last_heartbeat_time": heartbeat}
    replies["/api/work_pools/tastemaker/workers/filter"] = json.dumps([worker]).encode()
    assert prefect_worker_online("127.0.0.1", port, "tastemaker", os.getpid()) is online
    assert not prefect_worker_online("127.0.0.1", port, "another", os.getpid())
