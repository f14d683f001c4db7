import socket

import pytest

from tastemaker.settings import Settings
from tastemaker.stack.ports import choose_ports


@pytest.fixture
def free() -> Settings:
    """Settings whose ports are all free at the moment."""
    fields = [name for name in Settings.model_fields if name.endswith("_port")]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in fields]
    ports = {field: listener.getsockname()[1] for field, listener in zip(fields, sockets, strict=True)}
    for listener in sockets:
        listener.close()
    return Settings(**ports)


def test_free_ports_stay(free):
    assert choose_ports(free) == (free, [])


def test_busy_port_moves_and_is_announced(free):
    with socket.create_server(("127.0.0.1", free.collector_port)):
        chosen, announcements = choose_ports(free)
    assert chosen.collector_port != free.collector_port
    assert chosen.model_copy(update={"collector_port": free.collector_port}) == free
    assert announcements == [
        f"port {free.collector_port} is busy: the event collector listens on {chosen.collector_port} instead"
    ]


def test_port_wanted_twice_is_given_once(free):
    chosen, announcements = choose_ports(free.model_copy(update={"reports_port": free.collector_port}))
    assert free.collector_port in {chosen.collector_port, chosen.reports_port}
    assert chosen.collector_port != chosen.reports_port
    assert len(announcements) == 1


def test_metrics_of_several_workers_get_ports_in_a_row(free):
    several = free.model_copy(update={"workers": 4})
    with socket.create_server(("127.0.0.1", 0)) as busy:
        wanted = busy.getsockname()[1] - 2  # the third of the four is taken
        chosen, announcements = choose_ports(several.model_copy(update={"worker_metrics_port": wanted}))
        run = range(chosen.worker_metrics_port, chosen.worker_metrics_port + 4)
        assert busy.getsockname()[1] not in run
        others = {
            port for name, port in chosen.model_dump().items() if name.endswith("_port") and "metrics" not in name
        }
        assert not others & set(run)
        for port in run:
            socket.create_server(("127.0.0.1", port)).close()
    assert len([line for line in announcements if "metrics" in line]) == 1


def test_ports_of_a_broker_that_someone_else_runs_are_left_alone(free):
    external = free.model_copy(update={"kafka_bootstrap_servers": "broker:9092"})
    with socket.create_server(("127.0.0.1", free.kafka_port)):
        assert choose_ports(external) == (external, [])
