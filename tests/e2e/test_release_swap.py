"""The recommender's own process: a new champion takes over under load, and SIGTERM loses neither answer nor log."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.served_releases import Served, Shoppers, served_releases
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_releases(tmp_path) as made:
        yield made


def test_takeover_and_shutdown_lose_neither_an_answer_nor_its_log(served):
    url = served.settings.recommender_url
    process = served.parts["recommender"]
    shoppers = [Shoppers(url, first) for first in range(4)]
    for shopper in shoppers:
        shopper.start()

    def answered() -> list[dict]:
        return [answer for shopper in shoppers for status, answer in list(shopper.answers) if status == 200]

    wait_for("lists of r1", lambda: len(answered()) > 100)
    served.promote("r2")
    wait_for("the takeover", lambda: httpx.get(f"{url}/v1/release", timeout=10).json()["release"] == "r2")
    before = len(answered())
    wait_for("lists of r2", lambda: len(answered()) > before + 100)
    assert not [shopper.broken for shopper in shoppers if shopper.broken]  # one process, and it never stopped
    assert {status for shopper in shoppers for status, _ in shopper.answers} == {200}
    assert all(len(answer["items"]) == 5 for answer in answered())
    releases = [[answer["release"] for _, answer in shopper.answers] for shopper in shoppers]
    assert {name for names_ in releases for name in names_} == {"r1", "r2"}
    assert all(names_ == sorted(names_) for names_ in releases)  # once r2 has answered a caller, r1 does no more

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in {0, -signal.SIGTERM}
    for shopper in shoppers:
        shopper.enough.set()
        shopper.join(30)
    assert any(shopper.refused for shopper in shoppers)
    refusals = [answer for shopper in shoppers for status, answer in shopper.answers if status != 200]
    assert all("shutting down" in answer["error"]["problem"] for answer in refusals)
    # Each list that was made has reached its caller and the log, to the last one.
    assert {one.request_id for one in served.logged()} == {answer["request_id"] for answer in answered()}
