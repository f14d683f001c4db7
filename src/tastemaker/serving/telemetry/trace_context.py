"""The trace that a request belongs to, as the caller's header says: https://www.w3.org/TR/trace-context/."""

import re
from typing import Final, NamedTuple

__all__ = ["TraceContext", "read_traceparent"]

_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceContext(NamedTuple):
    """Where a request belongs.

    Attributes:
        trace_id: 16 bytes.
        parent_id: 8 bytes, the caller's span.
        sampled: whether the caller keeps this trace.
    """

    trace_id: bytes
    parent_id: bytes
    sampled: bool


def read_traceparent(header: str | None) -> TraceContext | None:
    """The context of a ``traceparent``; None where there is none, or one that the standard says to ignore.

    >>> read_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").sampled
    True
    >>> read_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01")
    """
    found = _HEADER.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    version, trace, parent, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace, 16) or not int(parent, 16):
        return None
    return TraceContext(bytes.fromhex(trace), bytes.fromhex(parent), bool(int(flags, 16) & 1))
