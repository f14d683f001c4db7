"""Ports of a test's own: the usual ones may be those of a stack beside it."""

import socket
from contextlib import ExitStack

from tastemaker.settings import Settings
from tastemaker.stack.ports import choose_ports

_FIELDS = (
    "kafka_port", "kafka_controller_port", "collector_port", "recommender_port", "recommender_grpc_port",
    "reports_port", "prefect_port", "worker_metrics_port", "prometheus_port", "alertmanager_port", "exporter_port",
)  # fmt: skip


def own_ports(settings: Settings) -> Settings:
    """The settings with ports that nobody listens at; one that is 0 is switched off and stays so."""
    with ExitStack() as held:
        sockets = {field: held.enter_context(socket.socket()) for field in _FIELDS if getattr(settings, field)}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        ports = {field: one.getsockname()[1] for field, one in sockets.items()}
    chosen, _ = choose_ports(settings.model_copy(update=ports))
    return chosen
