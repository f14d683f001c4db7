"""Where a server may listen without keys."""

import logging
import socket

import pytest

from tastemaker.errors import DataError, ServingError
from tastemaker.serving.access.binding import check_binding, check_stack_binding, is_loopback, listening_hosts
from tastemaker.serving.access.gate import Gate
from tastemaker.serving.access.key_file import create_key
from tastemaker.serving.access.keys import Scope
from tastemaker.settings import Settings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access" / "keys.json"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "fe80::1%eth0", "no-such-host.invalid", "8.8.8.8"])
def test_not_loopback(host):
    assert not is_loopback(host)


def test_open_address_without_keys_is_refused_with_every_way_out(path):
    with pytest.raises(ServingError) as refused:
        check_binding(["127.0.0.1", "0.0.0.0"], Gate(path), allow_open=False, what="the collector")
    text = str(refused.value)
    assert "the collector would listen on 0.0.0.0, and there are no API keys" in text
    for way in ("tastemaker keys create", "listen on 127.0.0.1", "TASTEMAKER_ALLOW_OPEN=true"):
        assert way in text


def test_open_address_with_a_key_is_fine(path):
    create_key(path, "shop", [Scope.RECOMMEND], now_us=0, rate=0, burst=1)
    check_binding(["0.0.0.0"], Gate(path), allow_open=False, what="the collector")


def test_loopback_without_keys_is_fine_and_silent(path, caplog):
    check_binding(["127.0.0.1", "::1"], Gate(path), allow_open=False, what="the collector")
    assert not caplog.records


def test_open_on_purpose_is_said_aloud(path, caplog):
    with caplog.at_level(logging.WARNING):
        check_binding(["10.0.0.1"], Gate(path), allow_open=True, what="the collector")
    assert "the collector IS OPEN: it listens on 10.0.0.1" in caplog.text


def test_keys_that_cannot_be_read_stop_the_start_wherever_it_listens(path):
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(DataError, match="is no file of API keys"):
        check_binding(["127.0.0.1"], Gate(path), allow_open=True, what="the collector")


def test_stack_keeps_what_knows_no_keys_on_loopback(tmp_path, path):
    create_key(path, "shop", [Scope.RECOMMEND], now_us=0, rate=0, burst=1)
    with pytest.raises(ServingError, match="Kafka, Prefect and the reports"):
        check_stack_binding(Settings(home=tmp_path, host="0.0.0.0"))
    check_stack_binding(Settings(home=tmp_path, serve_host="0.0.0.0"))


def test_stack_without_keys_serves_its_own_machine_alone(tmp_path):
    check_stack_binding(Settings(home=tmp_path))
    with pytest.raises(ServingError, match="no API keys"):
        check_stack_binding(Settings(home=tmp_path, serve_host="0.0.0.0"))


def test_own_listeners_are_found_and_connections_are_not():
    with socket.socket() as listener, socket.socket() as idle:
        listener.bind(("127.0.0.9", 0))
        listener.listen()
        idle.bind(("127.0.0.8", 0))
        with socket.create_connection(listener.getsockname()):
            found = listening_hosts()
    assert "127.0.0.9" in found
    assert "127.0.0.8" not in found
    assert "127.0.0.9" not in listening_hosts()


def test_local_callers_reach_a_server_that_listens_everywhere():
    settings = Settings(serve_host="0.0.0.0", collector_port=18081)
    assert settings.collector_url == "http://127.0.0.1:18081"
    assert Settings(serve_host="::", collector_port=1).collector_url == "http://[::1]:1"
