"""The gRPC server of the protocol, in the event loop of the worker that also answers REST."""

from collections.abc import Sequence
from typing import Any

import grpc

from tastemaker.errors import ServingError
from tastemaker.serving.access.binding import check_binding, is_loopback
from tastemaker.serving.access.gate import Gate
from tastemaker.serving.access.limits import MAX_HEADER_BYTES
from tastemaker.serving.access.tls import grpc_credentials
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import MAX_BODY_BYTES
from tastemaker.serving.oip.grpc_methods import handlers
from tastemaker.settings import Settings

__all__ = ["GrpcServer", "start_grpc"]

_GRACE_S = 5.0


class GrpcServer:
    """A running server.

    Attributes:
        port: where it listens.
    """

    def __init__(self, server: Any, port: int) -> None:
        self._server = server
        self.port = port

    async def stop(self, grace_s: float = _GRACE_S) -> None:
        """Take no more calls, and let those that are under way end."""
        await self._server.stop(grace_s)


async def start_grpc(
    plane: DataPlane,
    gate: Gate,
    settings: Settings,
    *,
    hosts: Sequence[str] = (),
    port: int | None = None,
    shared_port: bool = False,
) -> GrpcServer:
    """Begin to listen, in the running event loop.

    Args:
        plane: makes the lists.
        gate: admits the callers.
        settings: port, TLS, and how many calls may be in progress.
        hosts: addresses to listen on; the settings' host without any.
        port: in place of the settings'; 0 takes a free one.
        shared_port: let several workers listen on it, and the operating system spread the connections.

    Raises:
        ServingError: the port is busy, or an address is not loopback and there are no keys.
        DataError: keys, certificate or its key cannot be read.
    """
    hosts = tuple(hosts) or (settings.serving_host,)
    port = settings.recommender_grpc_port if port is None else port
    check_binding(hosts, gate, allow_open=settings.allow_open, what="the recommender's gRPC")
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", int(shared_port)),
            # Twice the limit: what is a little too large is told so in our words.
            ("grpc.max_receive_message_length", 2 * MAX_BODY_BYTES),
            ("grpc.max_metadata_size", MAX_HEADER_BYTES),
            ("grpc.absolute_max_metadata_size", MAX_HEADER_BYTES),
            ("grpc.max_concurrent_streams", 128),
        ),
        maximum_concurrent_rpcs=settings.max_in_progress,
    )
    local = all(is_loopback(host) for host in hosts)
    server.add_generic_rpc_handlers((handlers(plane, gate, local=local),))
    credentials = grpc_credentials(settings)
    for host in hosts:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            await server.stop(None)
            raise ServingError(
                f"gRPC cannot listen on {address}: {error}; set TASTEMAKER_RECOMMENDER_GRPC_PORT to a free port, or to"
                " 0 for REST alone"
            ) from error
    await server.start()
    return GrpcServer(server, port)
