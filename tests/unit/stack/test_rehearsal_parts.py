"""What the rehearsal plays: shoppers, on-call, and shuffled labels."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pyarrow as pa
import pytest
import yaml

from tastemaker import names
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.settings import Settings
from tastemaker.stack.rehearsal.on_call import OnCall
from tastemaker.stack.rehearsal.shoppers import Shoppers, send_script
from tastemaker.stack.rehearsal.shuffled import _shuffle

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
    with Shoppers(settings, users, {"r1": 0.0}, otherwise=1.0, seed=1, threads=2) as shoppers:
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


def test_script_sends_what_it_says(settings: Settings, shop: Shop) -> None:
    assert send_script(settings, ["a", "b", "c"], accounts=200, each=2, seed=1) == 400
    per_account = Counter(event["user_id"] for event in shop.events)
    assert set(per_account.values()) == {2}
    assert len({(event["user_id"], event["item_id"]) for event in shop.events}) == 400


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


def _events(lake: Lake) -> list[tuple[Any, ...]]:
    with lake.connect() as duck:
        found: list[tuple[Any, ...]] = duck.execute(
            f"SELECT {names.EVENT_ID}, {names.USER_ID}, {names.ITEM_ID}, {names.CATEGORY}, {names.OCCURRED_AT}"
            f" FROM {names.TABLE_EVENTS} ORDER BY 1"
        ).fetchall()
    return found


def test_shuffle_deals_the_items_out_anew_and_leaves_who_and_when_as_they_were(tmp_path: Path) -> None:
    source, target = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    source.create()
    schema = SCHEMAS[names.TABLE_EVENTS]
    columns: dict[str, list[Any]] = {name: [None] * 60 for name in schema.names}
    columns[names.EVENT_ID] = [f"e{n:02d}" for n in range(60)]
    columns[names.USER_ID] = [f"u{n % 7}" for n in range(60)]
    columns[names.ITEM_ID] = [f"i{n}" for n in range(60)]
    columns[names.CATEGORY] = [f"c{n}" for n in range(60)]
    columns[names.OCCURRED_AT] = [CUT + timedelta(hours=n - 50) for n in range(60)]  # ten of them from the cut on
    source.append(names.TABLE_EVENTS, pa.table(columns, schema=schema), {"t": 1})
    _shuffle(source, target, CUT, seed=3)
    before, after = _events(source)[:50], _events(target)
    assert [(row[0], row[1], row[4]) for row in after] == [(row[0], row[1], row[4]) for row in before]
    assert sorted(row[2] for row in after) == sorted(row[2] for row in before)
    assert all(row[2][1:] == row[3][1:] for row in after)  # an item keeps its category
    # Of a random order of 50, one stays in its place on average.
    assert sum(new[2] == old[2] for new, old in zip(after, before, strict=True)) < 8
