"""The head of a request over a real socket: too large, never ending, cut into pieces."""

import asyncio
import http.client
import socket
import threading

import pytest
import uvicorn
from api_twin import wait_until
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tastemaker.serving.access import bounded_http
from tastemaker.serving.access.bounded_http import BoundedHttpProtocol


@pytest.fixture
def port():
    async def hello(request):
        await request.body()
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/", hello, methods=["GET", "POST"])])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http=BoundedHttpProtocol))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the server")
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(20)


def answer_to(port: int, parts) -> bytes:
    """What the server says until it hangs up, while the parts are sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:  # it has hung up already
            pass
        told = b""
        try:
            while chunk := connection.recv(65536):
                told += chunk
        except OSError:
            pass
    return told


@pytest.mark.parametrize(
    "endless",
    [b"a" * 8000, b"x: " + b"a" * 8000 + b"\r\n", b"y: z\r\n" * 1000],
    ids=["one header", "long headers", "many headers"],
)
def test_head_without_an_end_is_refused(port, endless):
    sent = 0

    def parts():
        nonlocal sent
        yield b"GET / HTTP/1.1\r\nhost: x\r\nx: "
        for _ in range(2000):  # 16 MB, if nobody stops it
            sent += len(endless)
            yield endless

    told = answer_to(port, parts())
    # what is in the sockets' buffers when it hangs up may take its answer with it
    assert told == b"" or told.startswith(b"HTTP/1.1 431 ")
    assert sent < 12_000_000


def test_endless_target_is_refused_in_words(port):
    told = answer_to(port, [b"GET /" + b"a" * 70_000])
    assert told.startswith(b"HTTP/1.1 431 ")
    assert b'"remedy":"send at most' in told


def test_head_that_stops_half_way_is_hung_up_on(port, monkeypatch):
    monkeypatch.setattr(bounded_http, "_HEAD_TIMEOUT_S", 0.05)
    assert answer_to(port, [b"GET / HTTP/1.1\r\nhost"]) == b""
    assert answer_to(port, []) == b""


def test_requests_of_one_connection_are_counted_each_by_itself(port, monkeypatch):
    monkeypatch.setattr(bounded_http, "_HEAD_TIMEOUT_S", 0.05)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(20):  # 20 heads of 10 KB are more than the limit for one
        connection.request("POST", "/", body=b"b" * 100_000, headers={"x": "a" * 10_000})
        assert connection.getresponse().read() == b"hello"
    connection.close()


def test_head_in_pieces_is_put_together(port):
    pieces = [bytes([byte]) for byte in b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"]
    assert answer_to(port, pieces).endswith(b"hello")


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n"])
def test_what_is_no_http_is_told_so(port, raw):
    told = answer_to(port, [raw])
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b'"remedy":"send HTTP/1.1"' in told
