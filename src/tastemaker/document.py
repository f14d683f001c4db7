"""JSON documents that are kept and read again: reports, verdicts, and what a release was judged by."""

from typing import ClassVar, Self

import msgspec

from tastemaker.errors import DataError

__all__ = ["Document"]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Base of a document.

    A kind of document names itself for errors: ``KIND``, such as ``a verdict``, and in ``REMEDY`` what to do about one
    that does not read.
    """

    KIND: ClassVar[str]
    REMEDY: ClassVar[str]

    def to_json(self) -> bytes:
        """As indented JSON; equal ones give equal bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=2)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            DataError: it is no such document.
        """
        try:
            return msgspec.json.decode(raw, type=cls)
        except msgspec.MsgspecError as error:
            raise DataError(f"not {cls.KIND}: {error}; {cls.REMEDY}") from error
