import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import ContractError
from tastemaker.events.dead_letter import (
    MAX_RAW_BYTES,
    DeadLetter,
    dead_letter_key,
    decode_dead_letter,
    encode_dead_letter,
)


def letter(raw: bytes | None, key: bytes | None = b"u1") -> DeadLetter:
    return DeadLetter(
        topic="events",
        partition=3,
        offset=17,
        failed_at_us=1_000_000,
        reason="is unknown",
        field="type",
        key=key,
        raw=raw,
    )


@given(st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=20))
def test_any_bytes_come_back_as_they_were(raw, key):
    assert decode_dead_letter(encode_dead_letter(letter(raw, key))) == letter(raw, key)


def test_bytes_beyond_the_limit_are_cut_off_and_that_is_said():
    decoded = decode_dead_letter(encode_dead_letter(letter(b"x" * (MAX_RAW_BYTES + 1))))
    assert decoded.truncated
    assert decoded.raw == b"x" * MAX_RAW_BYTES
    # The broker takes 1 MiB; base64 makes 4 bytes of 3.
    assert len(encode_dead_letter(letter(b"x" * (MAX_RAW_BYTES + 1)))) < 1024 * 1024


def test_key_names_the_place_of_the_record():
    assert dead_letter_key(letter(b"")) == b"events:3:17"


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"topic": "events"}', b"\xff"])
def test_what_is_no_dead_letter_is_refused(raw):
    with pytest.raises(ContractError, match="not a dead letter"):
        decode_dead_letter(raw)
