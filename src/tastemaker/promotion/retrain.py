"""When drift asks for a new release: at most once in a while, and never lost or doubled by a kill.

The wish is written down before the run is started, with an id that the run is started with, so that whoever finds a
wish without a run starts it again without making a second one.
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from tastemaker.durable import locked, read_record, replace_file
from tastemaker.settings import Settings

__all__ = ["Retrain", "last_retrain", "retrain_once"]


class Retrain(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for a new release.

    Attributes:
        id: the run is started with it as its idempotency key.
        asked_at: when (UTC).
        reason: why.
        run: that was started; empty until then.
    """

    id: str
    asked_at: datetime
    reason: str
    run: str = ""


def last_retrain(settings: Settings) -> Retrain | None:
    """The newest wish; None where there was none.

    Raises:
        DataError: the record is damaged.
    """
    return read_record(_path(settings), Retrain, "remove it, and the cool-down begins anew")


def retrain_once(
    settings: Settings, reason: str, cooldown: timedelta, start: Callable[[str], str], now: datetime
) -> Retrain | None:
    """Start a training run, unless one was started within the cool-down.

    Args:
        settings: of the platform.
        reason: why; kept.
        cooldown: since the last one; zero lets every drift start one.
        start: starts the run with an idempotency key, and gives the run's id. What it raises is passed on, and the
            wish stays for the next call.
        now: the platform's time (UTC).

    Returns:
        What was started, also where a call before this one had been killed before it could; None within the cool-down.

    Raises:
        DataError: the record is damaged.
    """
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        last = last_retrain(settings)
        if last is not None and last.run and now - last.asked_at < cooldown:
            return None
        wish = last if last is not None and not last.run else Retrain(id=uuid.uuid4().hex, asked_at=now, reason=reason)
        _write(path, wish)
        wish = msgspec.structs.replace(wish, run=start(wish.id))
        _write(path, wish)
    return wish


def _path(settings: Settings) -> Path:
    return settings.home / "flows" / "retrain.json"


def _write(path: Path, wish: Retrain) -> None:
    replace_file(path, msgspec.json.format(msgspec.json.encode(wish), indent=2))
