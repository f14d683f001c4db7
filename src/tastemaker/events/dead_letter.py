"""Dead letters: records that could not be used, kept whole with the reason, so that they can be fixed and replayed."""

from typing import Final

import msgspec

from tastemaker.errors import ContractError

__all__ = ["MAX_RAW_BYTES", "DeadLetter", "dead_letter_key", "decode_dead_letter", "encode_dead_letter"]

# Base64 adds a third, and the broker takes records of at most 1 MiB. What is cut off is still at the
# letter's topic, partition and offset.
MAX_RAW_BYTES: Final = 512 * 1024


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record that nobody could use.

    Attributes:
        topic: the topic that it came from.
        partition: number of the partition there.
        offset: place in that partition.
        failed_at_us: the platform's time of the refusal, in microseconds since the epoch.
        reason: what is wrong and what would be right.
        field: the offending field as a path, or ``""`` for the whole record.
        key: the record's key (base64 in JSON).
        raw: the record's bytes as they came (base64 in JSON); None is a tombstone.
        truncated: ``raw`` holds only the first :data:`MAX_RAW_BYTES` bytes.
    """

    topic: str
    partition: int
    offset: int
    failed_at_us: int
    reason: str
    field: str = ""
    key: bytes | None = None
    raw: bytes | None = None
    truncated: bool = False


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(DeadLetter)


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """The JSON of one dead letter; bytes beyond :data:`MAX_RAW_BYTES` are cut off and that is said."""
    if letter.raw is not None and len(letter.raw) > MAX_RAW_BYTES:
        letter = msgspec.structs.replace(letter, raw=letter.raw[:MAX_RAW_BYTES], truncated=True)
    return _encoder.encode(letter)


def decode_dead_letter(raw: bytes) -> DeadLetter:
    """Decode one dead letter from its JSON.

    Raises:
        ContractError: the JSON is not that of a dead letter.
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError("", f"not a dead letter: {error}") from error


def dead_letter_key(letter: DeadLetter) -> bytes:
    """The Kafka key: where the record came from, which is the letter's identity."""
    return f"{letter.topic}:{letter.partition}:{letter.offset}".encode()
