"""Alerts that wait to be sent: on disk, one file for each identity, so that the newest word on an alert wins."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tastemaker.durable import locked
from tastemaker.errors import StackError
from tastemaker.observability.alert import Alert
from tastemaker.observability.alertmanager import Alertmanager, AlertmanagerAway

__all__ = ["Waiting", "keep", "send_kept", "utc_now", "waiting"]

_LOG = logging.getLogger(__name__)
# What fired and passed its end while nobody could be told is told all the same, and fires for so long.
_LATE = timedelta(hours=1)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An alert to be sent.

    Attributes:
        alert: which.
        firing: whether it fires, or is resolved.
        at: since when, by the machine's clock (UTC).
        ends_at: until when it fires without being posted again.
    """

    alert: Alert
    firing: bool
    at: datetime
    ends_at: datetime


def keep(directory: Path, item: Waiting) -> Path:
    """Write an alert that is to be sent, in place of what was to be said of it before."""
    with _locked(directory):
        path = directory / f"{item.alert.key}.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(msgspec.json.encode(item))
        temporary.replace(path)
    return path


def waiting(directory: Path) -> list[Waiting]:
    """What waits, the oldest first; a file that cannot be read is moved aside and told of."""
    found = []
    for path in directory.glob("*.json"):
        item = _read(path)
        if item is not None:
            found.append(item)
    return sorted(found, key=lambda item: item.at)


def send_kept(
    directory: Path,
    client: Alertmanager,
    *,
    attempts: int,
    pause: Callable[[float], object],
    now: Callable[[], datetime],
    runbooks_url: str = "",
) -> int:
    """Send all that waits; each goes from the directory when Alertmanager has it.

    Sent in one process at a time, so that an older word on an alert never follows a newer one.

    Args:
        directory: where they wait.
        client: of Alertmanager.
        attempts: how often it is tried, 0.5 s, 1 s, 2 s ... apart.
        pause: takes seconds.
        now: the machine's clock.
        runbooks_url: for links.

    Returns:
        How many were sent.

    Raises:
        AlertmanagerAway: no attempt succeeded; they still wait.
    """
    with _locked(directory):
        paths = {path: item for path in sorted(directory.glob("*.json")) if (item := _read(path)) is not None}
        for path, item in paths.items():
            body = _body(item, now(), runbooks_url)
            try:
                _post(client, body, attempts, pause)
            except AlertmanagerAway:
                raise
            except StackError as error:  # it will never be taken, and must not hold up the others
                _LOG.error("the alert %s is given up: %s", item.alert.identity, error)
                path.rename(path.with_suffix(".refused"))
                continue
            path.unlink(missing_ok=True)
    return len(paths)


def _post(client: Alertmanager, body: dict[str, object], attempts: int, pause: Callable[[float], object]) -> None:
    for attempt in range(attempts):
        try:
            client.post([body])
            return
        except AlertmanagerAway:
            if attempt + 1 == attempts:
                raise
            pause(0.5 * 2**attempt)


def _body(item: Waiting, now: datetime, runbooks_url: str) -> dict[str, object]:
    if not item.firing:
        return item.alert.posted(starts_at=None, ends_at=min(item.ends_at, now), runbooks_url=runbooks_url)
    ends_at = item.ends_at if item.ends_at > now else now + _LATE
    return item.alert.posted(starts_at=item.at, ends_at=ends_at, runbooks_url=runbooks_url)


def _read(path: Path) -> Waiting | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Waiting)
    except FileNotFoundError:  # sent meanwhile
        return None
    except (msgspec.MsgspecError, ValueError) as error:
        _LOG.error("%s is no alert (%s) and is moved aside", path, error)
        path.rename(path.with_suffix(".damaged"))
        return None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / ".lock"):
        yield


def utc_now() -> datetime:
    """The machine's clock: on-call lives in real time, whatever the platform's clock says."""
    return datetime.now(UTC)
