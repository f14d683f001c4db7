"""Ports of the stack: the wanted ones, or free ones where someone else listens already."""

import socket
from contextlib import ExitStack

from tastemaker.settings import Settings

__all__ = ["choose_ports"]

_PORTS = {
    "kafka_port": "Kafka",
    "kafka_controller_port": "Kafka's controller",
    "collector_port": "the event collector",
    "recommender_port": "the recommender",
    "reports_port": "the report server",
    "prefect_port": "the Prefect UI",
}
_KAFKA = frozenset({"kafka_port", "kafka_controller_port"})


def choose_ports(settings: Settings) -> tuple[Settings, list[str]]:
    """Settings with ports that can be listened on, and a line for a person on each that had to move.

    Args:
        settings: the wanted ports. Kafka's stay as they are when someone else runs the broker.
    """
    moved: dict[str, int] = {}
    announcements: list[str] = []
    with ExitStack() as held:  # every port is held until all are chosen, so that none is chosen twice
        for field, title in _PORTS.items():
            if settings.kafka_bootstrap_servers and field in _KAFKA:
                continue
            wanted = getattr(settings, field)
            taken = _bind(settings.host, wanted)
            if taken is None:
                taken = _bind(settings.host, 0)
                assert taken is not None
                moved[field] = taken.getsockname()[1]
                announcements.append(f"port {wanted} is busy: {title} listens on {moved[field]} instead")
            held.enter_context(taken)
    return settings.model_copy(update=moved), announcements


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
