"""The figures of flows for Prometheus, as a process: ``python -m tastemaker.observability.exporter``.

It also sends, every half minute, the alerts that were kept while Alertmanager was away.
"""

import logging
import signal
import sys
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric

from tastemaker.errors import TastemakerError
from tastemaker.observability.alerts import send_waiting, waiting_alerts
from tastemaker.observability.figures import read_figures
from tastemaker.settings import Settings

__all__ = ["FlowFigures", "main"]

_LOG = logging.getLogger(__name__)
_SEND_S = 30.0


class FlowFigures:
    """A collector for a registry: reads the home at each scrape.

    Args:
        settings: whose home.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for at each scrape."""
        yield from read_figures(self._settings)
        waiting = GaugeMetricFamily("tastemaker_alerts_waiting", "Alerts that wait for Alertmanager")
        waiting.add_metric([], len(waiting_alerts(self._settings)))
        yield waiting


def main() -> int:
    """Serve until SIGTERM or Ctrl-C, with the environment's settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = Settings.from_env()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    registry = CollectorRegistry()
    registry.register(FlowFigures(settings))
    server, thread = start_http_server(settings.exporter_port, settings.host, registry)
    try:
        while not stopping.wait(_SEND_S):
            _send(settings)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return 0


def _send(settings: Settings) -> None:
    try:
        if settings.alertmanager and waiting_alerts(settings) and (sent := send_waiting(settings)):
            _LOG.info("%d alerts that waited were sent", sent)
    except (TastemakerError, OSError) as error:
        _LOG.warning("alerts wait: %s", error)


if __name__ == "__main__":
    sys.exit(main())
