"""How a caller sends its key."""

from collections.abc import Iterable

__all__ = ["token_in"]


def token_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key in a request's headers: ``authorization: Bearer KEY``, else ``x-api-key: KEY``.

    Args:
        headers: names in lower case.

    Returns:
        The key as it was sent; None without one. A scheme other than Bearer is none.

    >>> token_in([(b"authorization", b"Bearer tm_a_b")])
    'tm_a_b'
    """
    found: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, given = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return given.strip().decode("latin-1")
        elif name == b"x-api-key":
            found = value
    return None if found is None else found.strip().decode("latin-1")
