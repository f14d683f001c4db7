"""Keys of online rows: the entity ids of a view, joined into one text whose order follows the first id."""

import hashlib
from collections.abc import Sequence
from typing import Final

__all__ = ["bucket_of", "first_of", "join_key", "join_keys", "prefix_range", "second_ids", "split_key"]

_SEPARATOR: Final = "\x1f"
_ESCAPE: Final = "\x1b"
_NUL: Final = "\x00"  # ends a text in SQLite's JSON


def _escape(part: str) -> str:
    if _SEPARATOR in part or _ESCAPE in part or _NUL in part:
        return part.replace(_ESCAPE, _ESCAPE + "0").replace(_SEPARATOR, _ESCAPE + "1").replace(_NUL, _ESCAPE + "2")
    return part


def _unescape(part: str) -> str:
    if _ESCAPE in part:
        return part.replace(_ESCAPE + "2", _NUL).replace(_ESCAPE + "1", _SEPARATOR).replace(_ESCAPE + "0", _ESCAPE)
    return part


def join_key(key: str | Sequence[str]) -> str:
    r"""The key of one id or of several; different ids never give the same key.

    >>> join_key("u1"), join_key(("u1", "i1"))
    ('u1', 'u1\x1fi1')
    """
    if isinstance(key, str):
        return _escape(key)
    return _SEPARATOR.join(_escape(part) for part in key)


def join_keys(keys: Sequence[str | Sequence[str]]) -> list[str]:
    """As :func:`join_key`, of many."""
    try:
        text = "".join(keys)  # type: ignore[arg-type]  # of ids alone, which the escaping rarely concerns
    except TypeError:
        return [join_key(key) for key in keys]
    return list(keys) if _escape(text) == text else [join_key(key) for key in keys]  # type: ignore[arg-type]


def split_key(key: str) -> tuple[str, ...]:
    """The ids of a key."""
    return tuple(_unescape(part) for part in key.split(_SEPARATOR))


def second_ids(keys: Sequence[str], first: str) -> list[str]:
    """The second ids of keys of two ids that begin with ``first``."""
    begin = len(_escape(first)) + 1
    return [_unescape(key[begin:]) for key in keys]


def first_of(key: str) -> str:
    """The first id of a key, as it is in there."""
    return key.partition(_SEPARATOR)[0]


def prefix_range(first: str) -> tuple[str, str]:
    """The half-open range of the keys with several ids of which the first is ``first``."""
    start = _escape(first) + _SEPARATOR
    return start, start[:-1] + chr(ord(_SEPARATOR) + 1)


def bucket_of(key: str) -> int:
    """A number of 62 bits that spreads keys evenly over buckets, the same in every process and in SQL.

    The first 8 bytes of the key's MD5, big endian, shifted right by two, as labels are numbered.

    >>> bucket_of("u1") % 4
    1
    """
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest()[:8], "big") >> 2
