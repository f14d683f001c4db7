"""Where a server may listen: on loopback freely, elsewhere only behind keys."""

import ipaddress
import logging
import os
import socket
from collections.abc import Iterable

from tastemaker.errors import ServingError
from tastemaker.serving.access.gate import Gate
from tastemaker.settings import Settings

__all__ = ["check_binding", "check_stack_binding", "is_loopback", "listening_hosts"]

_log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    else:
        mapped = getattr(address, "ipv4_mapped", None)
        return bool((mapped or address).is_loopback)
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def check_binding(hosts: Iterable[str], gate: Gate, *, allow_open: bool, what: str) -> None:
    """Refuse to serve strangers without keys.

    Args:
        hosts: addresses that are or will be listened on.
        gate: tells whether there are keys.
        allow_open: the owner has said that it may be.
        what: the server, for the message.

    Raises:
        ServingError: an address is not loopback, and there are no keys.
        DataError: the keys cannot be read.
    """
    exposed = [host for host in hosts if not is_loopback(host)]
    if gate.closed or not exposed:
        return
    if not allow_open:
        raise ServingError(
            f"{what} would listen on {', '.join(exposed)}, and there are no API keys, so anyone could use it;"
            " make one with `tastemaker keys create NAME --scope recommend`, listen on 127.0.0.1, or, where something"
            " in front of it checks callers, set TASTEMAKER_ALLOW_OPEN=true"
        )
    _log.warning(
        "%s IS OPEN: it listens on %s without API keys, because TASTEMAKER_ALLOW_OPEN is set", what, ", ".join(exposed)
    )


def check_stack_binding(settings: Settings) -> None:
    """Refuse to start a stack that strangers could use.

    Raises:
        ServingError: its inner parts would listen elsewhere than on loopback, or the collector and the recommender
            would without keys.
        DataError: the keys cannot be read.
    """
    if not is_loopback(settings.host) and not settings.allow_open:
        raise ServingError(
            f"the stack would open Kafka, Prefect and the reports on {settings.host}, and those know no API keys; leave"
            " TASTEMAKER_HOST on 127.0.0.1 and set TASTEMAKER_SERVE_HOST for the collector and the recommender, or,"
            " where something in front of them checks callers, set TASTEMAKER_ALLOW_OPEN=true"
        )
    check_binding(
        [settings.serving_host], Gate.of(settings), allow_open=settings.allow_open, what="the collector and recommender"
    )


def listening_hosts() -> tuple[str, ...]:
    """The addresses that this process listens on over TCP, as the operating system sees them.

    A server that was handed its socket by a supervisor does not know where that was bound.
    """
    found: set[str] = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            duplicate = os.dup(int(entry))
        except OSError:  # the descriptor of this very listing
            continue
        try:
            listener = socket.socket(fileno=duplicate)
        except OSError:  # a file or a pipe
            os.close(duplicate)
            continue
        with listener:
            inet = listener.family in {socket.AF_INET, socket.AF_INET6}
            if inet and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.add(listener.getsockname()[0])
    return tuple(sorted(found))
