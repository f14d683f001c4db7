"""Traces: which calls are traced, and the thread that sends them to a collector after they were answered."""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final
from urllib.request import Request, urlopen

from tastemaker.serving.telemetry.answers import Answers
from tastemaker.serving.telemetry.spans import TracedCall, encode_calls
from tastemaker.serving.telemetry.trace_context import read_traceparent

__all__ = ["Tracer", "post_to", "read_otlp_headers"]

_log = logging.getLogger(__name__)

_WAITING: Final = 2_048
_BATCH: Final = 256
_PAUSE_S: Final = 1.0
_TIMEOUT_S: Final = 5.0


class Tracer:
    """Keeps the calls that are traced until they are sent; what does not fit, or is not taken, is dropped and counted.

    Args:
        send: takes an encoded ``ExportTraceServiceRequest``; raises where it was not taken.
        rate: share of the calls without a ``traceparent`` that are traced; with one, the caller has decided.
        on_dropped: told how many calls were dropped, each time.
        seed: of what is random; None for another one in each process.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        rate: float,
        on_dropped: Callable[[int], None] = lambda count: None,
        seed: int | None = None,
    ) -> None:
        self._send, self._rate, self._on_dropped = send, rate, on_dropped
        self._chance = random.Random(seed)  # noqa: S311  (ids of traces are no secrets)
        self._waiting: deque[TracedCall] = deque()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False

    def start(self) -> None:
        """Start the thread that sends."""
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send what waits."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def offer(self, answers: Answers) -> None:
        """Take a call that was answered, if it is one of those that are traced."""
        context = read_traceparent(answers.headers.get("traceparent")) if answers.headers else None
        if not (context.sampled if context else self._chance.random() < self._rate):
            return
        if len(self._waiting) >= _WAITING:
            self._on_dropped(1)
            return
        self._waiting.append(TracedCall(answers, context))

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                self._send(encode_calls(batch, self._chance))
                self._failing = False
            except Exception as error:
                self._on_dropped(len(batch))
                if not self._failing:
                    _log.warning("traces are dropped, the collector does not take them: %s", error)
                self._failing = True
                return


def post_to(endpoint: str, headers: Mapping[str, str]) -> Callable[[bytes], None]:
    """Sends to a collector by OTLP over HTTP.

    Args:
        endpoint: its base address, such as ``http://127.0.0.1:4318``.
        headers: to be sent along, such as a key of the collector.
    """
    url = f"{endpoint.rstrip('/')}/v1/traces"
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{endpoint} is no address of an OTLP collector; write http://HOST:PORT")
    sent = {"content-type": "application/x-protobuf", **headers}

    def send(body: bytes) -> None:
        with urlopen(Request(url, body, sent), timeout=_TIMEOUT_S) as answer:  # noqa: S310  (the scheme is checked)
            answer.read()

    return send


def read_otlp_headers(text: str) -> dict[str, str]:
    """The headers of ``OTEL_EXPORTER_OTLP_HEADERS``: ``name=value,name=value``.

    >>> read_otlp_headers("x-key=abc, tenant = shop")
    {'x-key': 'abc', 'tenant': 'shop'}
    """
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}
