"""A line in the log for each list that is worth one: slow, or not what it should be; each has its request id."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Literal

from tastemaker.serving.access.redaction import redact
from tastemaker.serving.telemetry.answers import Answers

__all__ = ["JsonLines", "RequestLog", "log_as_json"]

_log = logging.getLogger("tastemaker.requests")

_LOWER: Final = frozenset({"fewer", "unranked", "cached", "popular", "static"})
_PER_SECOND: Final = 20  # of problems; a dead store would fill the disk


class RequestLog:
    """Writes lines through :mod:`logging`; they name no shopper.

    Args:
        which: ``problems``: slow and degraded lists, at most twenty a second; ``all``: every list.
        slow_ms: from when a list is slow.
        now_s: a clock that only grows, in seconds.
    """

    def __init__(
        self, which: Literal["problems", "all"], slow_ms: float, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._all, self._slow_s, self._now_s = which == "all", slow_ms / 1_000, now_s
        self._second, self._left, self._passed_over = 0, _PER_SECOND, 0

    def offer(self, answers: Answers) -> None:
        """Write of a call what is worth it."""
        slow = answers.seconds >= self._slow_s
        for response, record in answers:
            lower = response.tier in _LOWER
            if not (self._all or slow or lower) or not (self._all or self._may()):
                continue
            fields: dict[str, Any] = {
                "request_id": response.request_id,
                "surface": record.request.surface,
                "k": record.request.k,
                "release": response.release,
                "tier": response.tier,
                "tier_reason": response.tier_reason,
                "items": len(response.items),
                "ms": round(answers.seconds * 1_000, 2),
                "stages_us": dict(record.stages_us),
            }
            if self._passed_over:
                fields["passed_over"], self._passed_over = self._passed_over, 0
            kind = "degraded" if lower else "slow" if slow else "served"
            _log.log(
                logging.WARNING if lower or slow else logging.INFO,
                "%s list %s of %s: %s in %.1f ms%s",
                kind,
                response.request_id,
                record.request.surface,
                response.tier,
                answers.seconds * 1_000,
                f", {response.tier_reason}" if response.tier_reason else "",
                extra={"fields": fields},
            )

    def _may(self) -> bool:
        second = int(self._now_s())
        if second != self._second:
            self._second, self._left = second, _PER_SECOND
        if self._left <= 0:
            self._passed_over += 1
            return False
        self._left -= 1
        return True


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and the fields that a record brings along."""

    def format(self, record: logging.LogRecord) -> str:
        """As :class:`logging.Formatter` says."""
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = record.exc_text or self.formatException(record.exc_info)
        elif record.exc_text:
            line["trace"] = record.exc_text
        return redact(json.dumps(line, ensure_ascii=False, default=str))


def log_as_json() -> None:
    """Let this package's loggers write JSON lines to standard error, and to nothing else. Idempotent."""
    ours = logging.getLogger("tastemaker")
    if any(isinstance(handler.formatter, JsonLines) for handler in ours.handlers):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(logging.INFO)
