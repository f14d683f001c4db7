import logging

from tastemaker.stream.logs import Throttle


def test_one_record_passes_per_pause():
    now = 0.0
    throttle = Throttle(10.0, now_s=lambda: now)
    record = logging.makeLogRecord({"msg": "connection refused"})
    passed = []
    for now in (0.0, 1.0, 9.9, 10.0, 19.9, 20.0):  # noqa: B007 — the lambda reads it
        passed.append(throttle.filter(record))
    assert passed == [True, False, False, True, False, True]
