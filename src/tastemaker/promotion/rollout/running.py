"""Whether a rollout runs, for those who need to know no more."""

from pathlib import Path
from typing import Final

import msgspec

from tastemaker.errors import DataError

__all__ = ["running_rollout"]

_OVER: Final = frozenset({"promoted", "reverted"})


class _Glance(msgspec.Struct):
    candidate: str
    phase: str


def running_rollout(directory: Path) -> str | None:
    """The candidate of the rollout that runs; None without one.

    Args:
        directory: of the rollouts' files, of which the newest alone can be running.

    Raises:
        DataError: its file is damaged.
    """
    newest = max(directory.glob("*.json"), default=None)
    if newest is None:
        return None
    try:
        glance = msgspec.json.decode(newest.read_bytes(), type=_Glance)
    except msgspec.MsgspecError as error:
        raise DataError(f"{newest} is damaged ({error}); look at it, and remove it") from error
    return None if glance.phase in _OVER else glance.candidate
