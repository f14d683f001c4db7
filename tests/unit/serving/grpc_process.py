"""The gRPC server around a recommender, in an event loop of its own thread, and calls to it as bytes."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from api_twin import wait_until

from tastemaker.serving.access.gate import Gate
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.oip.grpc_methods import SERVICE
from tastemaker.serving.oip.grpc_server import start_grpc
from tastemaker.settings import Settings


@contextmanager
def grpc_serving(recommender, settings: Settings | None = None, ready: bool = True, port: int = 0) -> Iterator[str]:
    """``HOST:PORT`` of a server on a free port; without settings, no keys are needed."""
    settings = settings or Settings(api_keys="/nonexistent/keys.json")
    plane = DataPlane(lambda: recommender, None, ServingMetrics())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    async def start():
        return await start_grpc(plane, Gate.of(settings), settings, port=port)

    server = None
    try:
        server = run(start())
        if ready:
            plane.start()
            wait_until(lambda: plane.ready, "readiness")
        yield f"{settings.host}:{server.port}"
    finally:
        if server is not None:
            run(server.stop(1.0))
        plane.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def call_raw(channel: grpc.Channel, method: str, raw: bytes, metadata=(), timeout_s: float = 10.0) -> bytes:
    """Send bytes as a call's message; its answer's bytes. Raises ``grpc.RpcError``."""
    return channel.unary_unary(f"/{SERVICE}/{method}")(raw, timeout=timeout_s, metadata=tuple(metadata))
