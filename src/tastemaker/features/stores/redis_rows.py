"""Reading rows of a Redis store: many in one trip per node."""

from collections.abc import Iterator, Sequence

from tastemaker.features.stores.redis_keys import RedisKeys
from tastemaker.features.stores.redis_link import RedisLink

__all__ = ["first_of", "read_all", "read_first", "read_rows"]

_PIECE = 1000


def read_rows(link: RedisLink, keys: RedisKeys, view: str, wanted: Sequence[str]) -> list[bytes | None]:
    """What is stored at some keys, in order."""
    if not link.is_cluster and len(wanted) <= _PIECE and not any(map(keys.is_several, wanted)):
        beginning = keys.rows(view)
        answer: list[bytes | None] = link.ask("MGET", *[beginning + key.encode() for key in wanted]) if wanted else []
        return answer
    found: list[bytes | None] = [None] * len(wanted)
    singles: list[int] = []
    hashes: dict[bytes, list[int]] = {}
    places = [keys.row(view, key) for key in wanted]
    for index, place in enumerate(places):
        if place.field is None:
            singles.append(index)
        else:
            hashes.setdefault(place.key, []).append(index)
    groups = [[singles[at] for at in group] for group in link.groups([places[index].key for index in singles])]
    commands = [("MGET", *(places[index].key for index in group)) for group in groups]
    commands += [("HMGET", key, *(places[index].field or b"" for index in own)) for key, own in hashes.items()]
    for group, values in zip(groups + list(hashes.values()), link.run(commands), strict=True):
        for index, value in zip(group, values, strict=True):
            found[index] = value
    return found


def first_of(escaped: str, field: bytes) -> str:
    """The key of a row from its hash's id and its field."""
    return f"{escaped}\x1f{field.decode()}"


def read_first(link: RedisLink, keys: RedisKeys, view: str, escaped: str) -> list[tuple[str, bytes]]:
    """Key and value of the rows of several ids that begin with one, which is given as it is escaped in keys."""
    (fields,) = link.run([("HGETALL", keys.first(view, escaped))])
    return sorted((first_of(escaped, field), value) for field, value in fields.items())


def read_all(link: RedisLink, keys: RedisKeys, view: str) -> Iterator[tuple[str, bytes]]:
    """Key and value of every row of a view, in no order."""
    beginning = keys.rows(view)
    for names in _pieces(link.scan(beginning)):
        groups = link.groups(names)
        commands = [("MGET", *(names[index] for index in group)) for group in groups]
        for group, values in zip(groups, link.run(commands), strict=True):
            for index, value in zip(group, values, strict=True):
                if value is not None:
                    yield names[index][len(beginning) :].decode(), value
    beginning = keys.hashes(view)
    for names in _pieces(link.scan(beginning)):
        for name, fields in zip(names, link.run([("HGETALL", name) for name in names]), strict=True):
            for field, value in fields.items():
                yield first_of(name[len(beginning) :].decode(), field), value


def _pieces(names: Iterator[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    for name in names:
        piece.append(name)
        if len(piece) == _PIECE:
            yield piece
            piece = []
    if piece:
        yield piece
