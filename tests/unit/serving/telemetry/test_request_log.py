"""Lines about lists: which ones are worth one, what they say, and what they do not."""

import json
import logging
import sys

import msgspec
import pytest
from api_twin import CatalogueRecommender, serving

from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.telemetry.answers import Answers
from tastemaker.serving.telemetry.request_log import JsonLines, RequestLog, log_as_json
from tastemaker.settings import Settings


def answered(tier: str = "full", why: str = "", seconds: float = 0.001) -> Answers:
    answers = Answers()
    response, record = CatalogueRecommender().answer(RecommendationRequest(user="secret-shopper", k=2))
    answers.append((msgspec.structs.replace(response, tier=tier, tier_reason=why), record))
    answers.seconds = seconds
    return answers


@pytest.fixture
def lines(caplog) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "tastemaker.requests")
    return caplog


def test_problems_are_degraded_and_slow_lists(lines):
    log = RequestLog("problems", slow_ms=100)
    log.offer(answered())
    log.offer(answered("cold_start", "nobody knows them"))
    assert not lines.records
    log.offer(answered("cached", "the online store does not answer"))
    log.offer(answered(seconds=0.25))
    degraded, slow = lines.records
    assert degraded.message == ("degraded list request-1 of home: cached in 1.0 ms, the online store does not answer")
    assert slow.message == "slow list request-1 of home: full in 250.0 ms"
    assert {record.levelname for record in lines.records} == {"WARNING"}


def test_all_are_all(lines):
    RequestLog("all", slow_ms=100).offer(answered())
    (line,) = lines.records
    assert (line.levelname, line.message) == ("INFO", "served list request-1 of home: full in 1.0 ms")


def test_a_flood_of_problems_is_cut_and_told(lines):
    now = [5.0]
    log = RequestLog("problems", slow_ms=100, now_s=lambda: now[0])
    for _ in range(50):
        log.offer(answered("popular"))
    assert len(lines.records) == 20
    now[0] = 6.0
    log.offer(answered("popular"))
    assert lines.records[-1].fields["passed_over"] == 30


def test_a_line_in_json_has_the_request_id_and_no_shopper(lines):
    RequestLog("problems", slow_ms=100).offer(answered("fewer", "time runs short"))
    line = json.loads(JsonLines().format(lines.records[0]))
    assert "secret-shopper" not in json.dumps(line)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "tastemaker.requests",
        "message": "degraded list request-1 of home: fewer in 1.0 ms, time runs short",
        "request_id": "request-1",
        "surface": "home",
        "k": 2,
        "release": "release-7",
        "tier": "fewer",
        "tier_reason": "time runs short",
        "items": 2,
        "ms": 1.0,
        "stages_us": {"log": 12},
    }


def test_an_error_in_json_is_one_line_without_keys():
    secret = "tm_abcd2345_" + "x" * 43
    try:
        raise ValueError(f"refused {secret}\nsecond line")
    except ValueError:
        record = logging.getLogger("tastemaker").makeRecord(
            "tastemaker", logging.ERROR, __file__, 1, "sent %s", (secret,), sys.exc_info()
        )
    text = JsonLines().format(record)
    assert "\n" not in text
    assert "x" * 43 not in text
    line = json.loads(text)
    assert line["message"] == "sent tm_abcd2345_***"
    assert "ValueError" in line["trace"]


def test_json_is_set_up_once_and_for_our_loggers_alone():
    ours = logging.getLogger("tastemaker")
    before = ours.handlers, ours.propagate, ours.level
    try:
        log_as_json()
        log_as_json()
        assert [type(handler.formatter) for handler in ours.handlers] == [JsonLines]
        assert not ours.propagate
    finally:
        ours.handlers, ours.propagate = list(before[0]), before[1]
        ours.setLevel(before[2])


@pytest.mark.parametrize(("which", "expected"), [("none", 0), ("all", 1)])
def test_the_setting_decides(lines, which, expected):
    settings = Settings(api_keys="/nonexistent/keys.json", log_requests=which)
    with serving(CatalogueRecommender(), settings=settings) as client:
        answer = client.get("/v1/recommend").json()
    told = [record for record in lines.records if record.name == "tastemaker.requests"]
    assert len(told) == expected
    assert all(record.fields["request_id"] == answer["request_id"] for record in told)
