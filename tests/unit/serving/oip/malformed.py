"""Requests that are wrong in ways that callers find: wrong types and shapes, huge numbers, lengths that lie."""

import json

from hypothesis import strategies as st

HUGE = [2**31, 2**63, 2**64, -(2**63) - 1, 10**400, -1, 0]
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "17850", "home", "\x00", "é" * 300, "\u202e", "👍🏽", "a" * 5000, "NaN", "../..", "%00", "{}"]
    ),
)
NUMBERS = st.one_of(st.integers(), st.sampled_from(HUGE), st.floats(), st.booleans(), st.none())
LEAVES = TEXTS | NUMBERS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=12
)
DATATYPES = st.sampled_from(["BYTES", "INT32", "INT64", "FP32", "BOOL", "UINT8", "", "bytes", "🙂"]) | TEXTS
NAMES = st.sampled_from(["user", "k", "session", "surface", "item", ""]) | TEXTS
SHAPES = st.lists(st.integers(-2, 5) | st.sampled_from(HUGE), max_size=4) | VALUES

TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES | VALUES,
        "datatype": DATATYPES | VALUES,
        "shape": SHAPES,
        "data": st.lists(LEAVES, max_size=6) | VALUES,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "x"]), NUMBERS, max_size=2) | VALUES,
    },
)
# Nearly right, so that what lies behind the first check is reached too.
NEARLY = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["user", "user", "k", "session", "surface"]),
        "datatype": st.sampled_from(["BYTES", "BYTES", "INT32", "INT64"]),
        "shape": st.lists(st.integers(0, 3), min_size=1, max_size=2),
        "data": st.lists(TEXTS | st.integers(-3, 300), max_size=6),
    }
)
INFER = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS | NEARLY, max_size=4) | VALUES},
    optional={
        "id": TEXTS | NUMBERS,
        "parameters": VALUES,
        "outputs": st.lists(st.fixed_dictionaries({"name": NAMES}, optional={"parameters": VALUES}), max_size=3)
        | VALUES,
    },
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "user": VALUES,
        "session": VALUES,
        "surface": VALUES,
        "k": NUMBERS | VALUES,
        "exclude": st.lists(VALUES, max_size=3),
        "context": VALUES,
        "explain": VALUES,
    },
)
PREDICT = st.fixed_dictionaries({"instances": st.lists(REQUESTS, max_size=3) | VALUES})


def as_json(value: object) -> bytes:
    """As Python writes it: NaN, Infinity and lone surrogates included, none of which is JSON."""
    return json.dumps(value, ensure_ascii=True).encode()


BROKEN = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[" * 200_000,
    b'{"inputs":' * 50_000,
    b'{"inputs": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    b'{"inputs": [{"name": "user", "datatype": "BYTES", "shape": [1], "data": '
    + b"[" * 900
    + b'"u"'
    + b"]" * 900
    + b"}]}",
    b'{"inputs": NaN}',
    b'{"k": 1e999}',
    b'{"k": ' + b"9" * 5000 + b"}",
    b'{"user": "\\ud800"}',
    b'{"user": "a", "user": "b"}',
    b'{"instances": [{}], "instances": 3}',
    b"\xef\xbb\xbf{}",
    b'{"user": "' + b"\\u0000" * 1000 + b'"}',
]
