"""Packed states of many rows from one Redis server, into one array, without an object for each.

The client library makes bytes of each value and copies them twice; for a hundred rows that costs as much as the
server does. Here the answer is read where it arrives and parsed by compiled code. Whatever is not an ordinary answer
is left to the client library, which knows what to do about it.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from redis.exceptions import RedisError

from tastemaker.features.stores.protocol import PackedStates
from tastemaker.features.stores.redis_keys import ROW_HEAD_BYTES

__all__ = ["StateFetcher"]

_WORD: Final = 8
_BUFFER: Final = 1 << 20
_LARGEST_KEPT: Final = 16 << 20


class _Line:
    """A thread's connection and buffer."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.process = os.getpid()
        self.resize(_BUFFER)

    def resize(self, size: int, keep: int = 0) -> None:
        """A buffer of another size, which begins with the same bytes."""
        larger = np.empty(size, np.uint8)
        if keep:
            larger[:keep] = self.buffer[:keep]
        self.buffer: npt.NDArray[np.uint8] = larger
        self.view = memoryview(larger)  # type: ignore[arg-type]  # an array is a buffer


class StateFetcher:
    """Reads rows of a server; threads may share one.

    Args:
        pool: the connection pool of the server's client.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._threads = threading.local()
        self._lines: list[_Line] = []

    def fetch(self, beginning: str, keys: Sequence[str]) -> PackedStates | None:
        """The states of the rows at ``beginning`` and each key; None where the client library has to ask.

        Args:
            beginning: of the rows' names.
            keys: of the rows.
        """
        try:
            line = self._line()
            line.connection.send_packed_command([_command(beginning, keys)])
            return self._read(line, len(keys))
        except (RedisError, OSError):
            self._drop()
            return None
        except BaseException:
            self._drop()  # what is still unread must not answer the next command
            raise

    def close(self) -> None:
        """Close the connections."""
        for line in self._lines:
            line.connection.disconnect()
        self._lines.clear()

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._threads, "line", None)
        if line is None or line.process != os.getpid():
            line = self._threads.line = _Line(self._pool.make_connection())
            self._lines.append(line)
        if line.connection._sock is None:  # what the library's own parsers read from
            line.connection.connect()
        return line

    def _drop(self) -> None:
        line: _Line | None = getattr(self._threads, "line", None)
        if line is not None:
            line.connection.disconnect()

    def _read(self, line: _Line, count: int) -> PackedStates | None:
        from tastemaker.features.stores.redis_reply import parse

        receive = line.connection._sock.recv_into
        begins, ends = np.empty(count, np.int64), np.empty(count, np.int64)
        header = b"*%d\r\n" % count
        at = found = filled = 0
        needed = len(header)
        while filled < needed:
            if needed > len(line.buffer):
                line.resize(max(needed, 2 * len(line.buffer)), filled)
            got = receive(line.view[filled:])
            if not got:
                raise ConnectionResetError("the server closed the connection")
            filled += got
            if filled < needed:
                continue
            if not at:
                if bytes(line.view[: len(header)]) != header:
                    self._drop()
                    return None
                at = len(header)
            at, found, needed = parse(line.buffer, filled, at, found, begins, ends)
            if at < 0:
                self._drop()
                return None
        begins += ROW_HEAD_BYTES
        np.maximum(begins, ends, out=ends)  # where there is no row
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(ends - begins, out=offsets[1:])
        view = line.view
        places = zip(begins.tolist(), ends.tolist(), strict=True)
        words = np.frombuffer(bytearray().join([view[begin:end] for begin, end in places]), np.int64)
        if len(line.buffer) > _LARGEST_KEPT:
            line.resize(_BUFFER)
        return PackedStates(words, offsets // _WORD)


def _command(beginning: str, keys: Sequence[str]) -> bytes:
    """MGET as the server reads it."""
    head = f"*{len(keys) + 1}\r\n$4\r\nMGET\r\n"
    size = len(beginning)
    text = head + "".join([f"${size + len(key)}\r\n{beginning}{key}\r\n" for key in keys])
    if text.isascii():
        return text.encode()
    names = [(beginning + key).encode() for key in keys]
    return head.encode() + b"".join([b"$%d\r\n%b\r\n" % (len(name), name) for name in names])
