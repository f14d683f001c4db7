"""What the rehearsal plays: shoppers, on-call, and shuffled labels."""

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import yaml

from tastemaker import names
from tastemaker.events.adapters.dataset import CleaningReport, Dataset
from tastemaker.lake.tables import SCHEMAS
from tastemaker.settings import Settings
from tastemaker.stack.flow_runs import FlowRun
from tastemaker.stack.rehearsal.feed import break_export, sample_shoppers
from tastemaker.stack.rehearsal.on_call import OnCall
from tastemaker.stack.rehearsal.runs import ToldRuns
from tastemaker.stack.rehearsal.shoppers import Shoppers
from tastemaker.stack.rehearsal.shuffled import shuffle_labels

CUT = datetime(2024, 5, 1, tzinfo=UTC)


class Shop:
    """Recommender and collector in one: lists by one of two releases, by the shopper's number; events are kept."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.broken = False
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, answer = shop.answer(self.path, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/v1/events":
            self.events += body["events"]
            return 202, {"results": []}
        if self.broken:
            return 500, {"error": "broken"}
        release = f"r{int(body['user'][1:]) % 2}"
        return 200, {"request_id": body["user"], "release": release, "items": [{"item_id": f"i{n}"} for n in range(10)]}


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def settings(tmp_path: Path, shop: Shop) -> Settings:
    port = shop.server.server_port
    return Settings(home=tmp_path, recommender_port=port, collector_port=port)


def _wait_for(condition: Any) -> None:
    import time

    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_shoppers_click_each_release_as_often_as_they_like_it(settings: Settings, shop: Shop) -> None:
    users = [f"u{n}" for n in range(100)]
    with Shoppers(settings, users, {"r1": 0.0}, otherwise=1.0, seed=1, threads=2, pause_s=0.0) as shoppers:
        _wait_for(lambda: sum(shoppers.lists.values()) >= 150)
    assert shoppers.failures == []
    assert shoppers.clicks["r1"] == 0
    assert shoppers.clicks["r0"] == shoppers.lists["r0"] == len(shop.events)
    assert {event["request_id"] for event in shop.events} <= {f"u{n}" for n in range(0, 100, 2)}
    assert all(event["item_id"] == f"i{event['position']}" for event in shop.events)


def test_shoppers_count_what_fails(settings: Settings, shop: Shop) -> None:
    shop.broken = True
    with Shoppers(settings, ["u1"], {}, otherwise=1.0, seed=1, threads=1) as shoppers:
        _wait_for(lambda: shoppers.failures)
    assert shoppers.failures[0].startswith("500")
    assert not shoppers.lists


def test_on_call_keeps_what_fires_and_tells_when_nothing_came(tmp_path: Path) -> None:
    on_call = OnCall()
    try:
        (webhook,) = yaml.safe_load(on_call.write_receivers(tmp_path / "r.yaml").read_text())["webhook"]
        alerts = [
            {"status": status, "labels": {"alertname": name}, "annotations": {"summary": f"{name} it is"}}
            for name, status in (("Drift", "firing"), ("GateBlocked", "resolved"))
        ]
        httpx.post(webhook["url"], json={"alerts": alerts}, trust_env=False).raise_for_status()
        found = on_call.wait("Drift", 5)
        assert found is not None
        assert found.summary == "Drift it is"
        assert on_call.wait("GateBlocked", 0) is None
    finally:
        on_call.close()


def _events(count: int) -> pa.Table:
    schema = SCHEMAS[names.TABLE_EVENTS]
    columns: dict[str, list[Any]] = {name: [None] * count for name in schema.names}
    columns[names.EVENT_ID] = [f"e{n:02d}" for n in range(count)]
    columns[names.TYPE] = ["purchase"] * count
    columns[names.USER_ID] = [None if n % 5 == 4 else f"u{n % 20}" for n in range(count)]
    columns[names.ITEM_ID] = [f"i{n}" for n in range(count)]
    columns[names.VALUE] = columns[names.PRICE] = [1.25 + n for n in range(count)]
    columns[names.CATEGORY] = [f"c{n}" for n in range(count)]
    columns[names.OCCURRED_AT] = [CUT + timedelta(hours=n) for n in range(count)]
    return pa.table(columns, schema=schema)


def _dataset(events: pa.Table) -> Dataset:
    items = pa.table({name: [] for name in SCHEMAS[names.TABLE_ITEMS].names}, schema=SCHEMAS[names.TABLE_ITEMS])
    return Dataset("small", events, items, CleaningReport("small", events.num_rows))


def test_sample_keeps_all_events_of_the_shoppers_that_it_keeps_and_no_guest() -> None:
    events = _events(100)
    kept = sample_shoppers(_dataset(events), 3).events
    shoppers = Counter(events[names.USER_ID].to_pylist())
    chosen = Counter(kept[names.USER_ID].to_pylist())
    # crc32 of the id, as gzip computes it: any other implementation has to choose the same shoppers.
    assert set(chosen) == {user for user in shoppers if user is not None and zlib.crc32(user.encode()) % 3 == 0}
    assert 0 < len(chosen) < 16
    assert all(chosen[user] == shoppers[user] for user in chosen)
    assert kept[names.EVENT_ID].to_pylist() == sorted(kept[names.EVENT_ID].to_pylist())


def test_broken_export_is_in_pence_without_categories_and_times_and_leaves_who_bought_what() -> None:
    events = _events(60)
    broken = break_export(events)
    assert broken.schema == events.schema
    for name in (names.EVENT_ID, names.USER_ID, names.ITEM_ID, names.TYPE):
        assert broken[name] == events[name]
    assert broken[names.VALUE].to_pylist() == [100 * (1.25 + n) for n in range(60)]
    assert broken[names.PRICE] == broken[names.VALUE]
    assert broken[names.CATEGORY].null_count == 60
    # CUT is a midnight, so the hours 0 to 23 fall on its day, 24 to 47 on the next one.
    assert broken[names.OCCURRED_AT].to_pylist() == [CUT + timedelta(days=n // 24) for n in range(60)]


def test_shuffled_labels_stay_in_their_list_and_lose_their_candidates() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random((50, 40, 1)) < 0.2).astype(np.float32)
    labels[:, 30:] = -1.0  # padding
    dealt = shuffle_labels(labels, seed=2)
    assert (dealt[:, 30:] == -1.0).all()
    assert (dealt[:, :30].sum(axis=1) == labels[:, :30].sum(axis=1)).all()
    # 50 x 30 labels, a fifth of them hits: by chance a hit is one again at a rate of .2, so at 60 of 300.
    again = (dealt[:, :30] * labels[:, :30]).sum() / labels[:, :30].sum()
    assert 0.1 < again < 0.3
    assert (shuffle_labels(labels, seed=2) == dealt).all()


class Prefect:
    """Answers like a Prefect server on which each look at a run finds it one state further."""

    def __init__(self, states: dict[str, list[tuple[str, dict[str, str]]]]) -> None:
        self._left = {name: list(found) for name, found in states.items()}
        self.started: list[str] = []

    def start(self, deployment: str, parameters: dict[str, Any], key: str = "") -> str:
        self.started.append(deployment)
        return deployment

    def read(self, run_id: str) -> FlowRun:
        left = self._left[run_id]
        state, tasks = left.pop(0) if len(left) > 1 else left[0]
        kind = "COMPLETED" if state not in {"Running", "Pending"} else "RUNNING"
        return FlowRun(run_id, run_id, kind, state, "", tasks, "")


def test_runs_are_followed_side_by_side_and_what_waits_for_a_step_happens_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.stack.rehearsal.runs._EVERY_S", 0.0)
    told: list[str] = []
    done: list[str] = []
    runs = ToldRuns("http://127.0.0.1:1", told.append)
    runs._runs = Prefect(  # type: ignore[assignment]
        {
            "slow": [
                ("Running", {}),
                ("Running", {"evaluate it": "Running"}),
                ("Running", {"evaluate it": "Completed", "judge": "Running"}),
                ("Blocked", {"evaluate it": "Completed", "judge": "Completed"}),
            ],
            "quick": [("Running", {"look": "Cached"}), ("Drifted", {"look": "Cached"})],
        }
    )
    slow, quick = runs.start("train", "slow", {}), runs.start("check", "quick", {})
    ended = runs.follow(slow, {"evaluate": lambda: done.append("evaluate")})
    assert (ended.state_name, done) == ("Blocked", ["evaluate"])
    assert runs.follow(quick).state_name == "Drifted"
    assert [line.strip() for line in told] == [
        "check: look (done before)",
        "train: evaluate it",
        "check: Drifted",
        "train: judge",
        "train: Blocked",
    ]
