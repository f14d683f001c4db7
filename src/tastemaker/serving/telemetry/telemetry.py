"""What looks at calls after they were answered: the request log and the tracer, as the settings say."""

import os
from collections.abc import Callable

from tastemaker.serving.telemetry.answers import Answers
from tastemaker.serving.telemetry.request_log import RequestLog, log_as_json
from tastemaker.serving.telemetry.tracing import Tracer, post_to, read_otlp_headers
from tastemaker.settings import Settings

__all__ = ["Telemetry"]


class Telemetry:
    """Nothing of it is on the way of an answer, except that a call keeps its headers where calls are traced.

    Args:
        log: writes lines; None for none.
        tracer: keeps traces; None for none.
    """

    def __init__(self, log: RequestLog | None = None, tracer: Tracer | None = None) -> None:
        self._log, self._tracer = log, tracer

    @classmethod
    def of(cls, settings: Settings, on_dropped: Callable[[int], None]) -> "Telemetry":
        """As the settings say; started.

        Args:
            settings: of the platform.
            on_dropped: told how many traced calls no collector took.
        """
        if settings.log_format == "json":
            log_as_json()
        log = None if settings.log_requests == "none" else RequestLog(settings.log_requests, settings.log_slow_ms)
        if not settings.trace_endpoint:
            return cls(log)
        headers = read_otlp_headers(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
        tracer = Tracer(post_to(settings.trace_endpoint, headers), settings.trace_rate, on_dropped)
        tracer.start()
        return cls(log, tracer)

    def look(self, answers: Answers) -> None:
        """Look at a call that was answered."""
        if self._log is not None:
            self._log.offer(answers)
        if self._tracer is not None:
            self._tracer.offer(answers)

    def stop(self) -> None:
        """Send what waits."""
        if self._tracer is not None:
            self._tracer.stop()
