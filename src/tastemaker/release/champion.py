"""The champion pointer: one small file that says which release is in production. Written by the promotion alone."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from tastemaker.durable import read_record

__all__ = ["CHAMPION_NAME", "Champion", "read_champion"]

CHAMPION_NAME = "champion.json"


class Champion(msgspec.Struct, frozen=True, kw_only=True):
    """The release in production.

    Attributes:
        release: its id.
        bento: tag of the Bento that serves it.
        promoted_at: when it became champion (UTC).
        action: whether it got there by a promotion or a rollback.
        previous: the champion that a rollback goes back to.
    """

    release: str
    bento: str
    promoted_at: datetime
    action: Literal["promote", "rollback"] = "promote"
    previous: "Champion | None" = None


def read_champion(directory: Path) -> Champion | None:
    """The champion of a directory; None before the first promotion. Safe while another process promotes.

    Raises:
        DataError: the file is damaged.
    """
    return read_record(directory / CHAMPION_NAME, Champion, "remove it and promote a release again")
