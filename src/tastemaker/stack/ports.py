"""Ports of the stack: the wanted ones, or free ones where someone else listens already."""

import socket
from contextlib import ExitStack

from tastemaker.errors import StackError
from tastemaker.settings import Settings

__all__ = ["choose_ports"]

_PORTS = {
    "kafka_port": "Kafka",
    "kafka_controller_port": "Kafka's controller",
    "collector_port": "the event collector",
    "recommender_port": "the recommender",
    "recommender_grpc_port": "the recommender's gRPC",
    "reports_port": "the report server",
    "prefect_port": "the Prefect UI",
    "prometheus_port": "Prometheus",
    "alertmanager_port": "Alertmanager",
    "exporter_port": "the exporter of flows' figures",
}
_MONITORING = frozenset({"prometheus_port", "alertmanager_port", "exporter_port"})
_KAFKA = frozenset({"kafka_port", "kafka_controller_port"})
_SERVING = frozenset({"collector_port", "recommender_port", "recommender_grpc_port"})
_ATTEMPTS = 100


def choose_ports(settings: Settings) -> tuple[Settings, list[str]]:
    """Settings with ports that can be listened on, and a line for a person on each that had to move.

    Args:
        settings: the wanted ports. Kafka's stay as they are when someone else runs the broker.

    Raises:
        StackError: the workers' metrics find no place.
    """
    moved: dict[str, int] = {}
    announcements: list[str] = []
    with ExitStack() as held:  # every port is held until all are chosen, so that none is chosen twice
        for field, title in _PORTS.items():
            if settings.kafka_bootstrap_servers and field in _KAFKA:
                continue
            if not settings.monitoring and field in _MONITORING:
                continue
            wanted = getattr(settings, field)
            if not wanted:  # it is switched off
                continue
            host = settings.serving_host if field in _SERVING else settings.host
            taken = _bind(host, wanted)
            if taken is None:
                taken = _bind(host, 0)
                assert taken is not None
                moved[field] = taken.getsockname()[1]
                announcements.append(f"port {wanted} is busy: {title} listens on {moved[field]} instead")
            held.enter_context(taken)
        first = _bind_run(held, settings)
        if first != settings.worker_metrics_port:
            moved["worker_metrics_port"] = first
            announcements.append(
                f"port {settings.worker_metrics_port} is busy: the stream worker's metrics are on {first} instead"
            )
    return settings.model_copy(update=moved), announcements


def _bind_run(held: ExitStack, settings: Settings) -> int:
    """Hold as many ports in a row as there are workers, for their metrics; returns the first."""
    first = settings.worker_metrics_port
    for _ in range(_ATTEMPTS):
        with ExitStack() as run:
            for port in range(first, first + settings.workers):
                taken = _bind(settings.host, port) if port < 2**16 else None
                if taken is None:
                    break
                run.enter_context(taken)
            else:
                held.enter_context(run.pop_all())
                return first
        probe = _bind(settings.host, 0)
        assert probe is not None
        with probe:
            first = probe.getsockname()[1]
    raise StackError(
        f"no {settings.workers} free ports in a row for the workers' metrics; set TASTEMAKER_WORKERS lower"
    )


def _bind(host: str, port: int) -> socket.socket | None:
    listener = socket.socket()
    # As servers do: a port whose last connections still time out is free, one that is listened on is not.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1)  # makes a second bind fail even with SO_REUSEADDR
    except OSError:
        listener.close()
        return None
    return listener
