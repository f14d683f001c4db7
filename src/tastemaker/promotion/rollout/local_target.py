"""The local target: a pointer file that the recommender follows, and the recommender's word that it does."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import httpx
import msgspec

from tastemaker.clock import wall_us
from tastemaker.durable import replace_file, sync_directory
from tastemaker.errors import RolloutError
from tastemaker.promotion.champion import locked, read_champion
from tastemaker.promotion.rollout.target import Split
from tastemaker.release.split import SPLIT_NAME, SplitPointer, read_split
from tastemaker.settings import Settings

__all__ = ["LocalTarget", "ask_recommender"]

_POLL_S: Final = 0.1

Told = dict[str, Any]


class LocalTarget:
    """Divides the shoppers of the stack's recommender, which holds both releases.

    Args:
        settings: where the pointer is.
        ask: what the recommender tells of its releases; None where nothing listens at its address.
        lease_s: for how long a split is in force; applying it again prolongs it. The recommender ends it by itself.
        loading_s: how long the recommender may take to load a candidate, in seconds.
        patience_s: and to follow what needs no loading.
    """

    def __init__(
        self,
        settings: Settings,
        ask: Callable[[], Told | None],
        *,
        lease_s: float = 1_800.0,
        loading_s: float = 180.0,
        patience_s: float = 20.0,
    ) -> None:
        self._directory = settings.releases_dir
        self._url = settings.recommender_url
        self._ask = ask
        self._lease_s, self._loading_s, self._patience_s = lease_s, loading_s, patience_s

    def read(self) -> Split | None:
        """What is in force now; None before the first promotion.

        Raises:
            RolloutError: the recommender does not answer.
            DataError: the champion pointer is damaged.
        """
        if read_champion(self._directory) is None:
            return None
        told = self._ask()
        if told is None:
            raise RolloutError(f"nothing listens at {self._url}; start the stack with: tastemaker up")
        return _split_of(told)

    def apply(self, split: Split) -> None:
        """Bring a split into force; see :class:`~tastemaker.promotion.rollout.target.RolloutTarget`.

        Where no recommender runs, the champion alone is in force at once: it is what a recommender would start with.

        Raises:
            RolloutError: another release is the champion, the candidate does not load, or the recommender does not
                follow.
            DataError: the champion pointer is damaged.
        """
        pointer = self._write(split)
        until = time.monotonic() + (self._loading_s if split.candidate else self._patience_s)
        while True:
            told = self._ask()
            if told is None and split.candidate is None:
                return
            if told is not None and _split_of(told) == split:
                return
            trial = (told or {}).get("trial") or {}
            if split.candidate and trial.get("state") == "failed" and trial.get("candidate") == split.candidate:
                raise RolloutError(f"the recommender cannot load {split.candidate}: {trial.get('problem')}")
            if read_split(self._directory) != pointer:
                raise RolloutError("the split was taken back by another process")
            if time.monotonic() >= until:
                known = f"it serves {_split_of(told)}" if told else f"nothing listens at {self._url}"
                raise RolloutError(
                    f"the recommender does not follow to {split}: {known}; look at: tastemaker logs recommender"
                )
            time.sleep(_POLL_S)

    def _write(self, split: Split) -> SplitPointer | None:
        """Replace or remove the pointer, while nobody promotes."""
        path = self._directory / SPLIT_NAME
        with locked(self._directory):
            champion = read_champion(self._directory)
            if champion is None or champion.release != split.champion:
                raise RolloutError(
                    f"{champion.release if champion else 'no release'} is the champion, not {split.champion};"
                    " the rollout was overtaken"
                )
            if split.candidate is None:
                path.unlink(missing_ok=True)
                sync_directory(self._directory)
                return None
            pointer = SplitPointer(
                champion=split.champion,
                candidate=split.candidate,
                share=split.share,
                shadow=split.shadow,
                until_us=wall_us() + round(self._lease_s * 1e6),
            )
            replace_file(path, msgspec.json.encode(pointer))
        return pointer


def ask_recommender(settings: Settings, options: Callable[[str], dict[str, Any]] | None = None) -> Told | None:
    """What the recommender tells of its releases; None where nothing listens.

    Args:
        settings: where it is.
        options: named arguments of ``httpx.get`` for an address, such as a key; by default ``TASTEMAKER_API_KEY``.

    Raises:
        RolloutError: something listens, and does not tell.
    """
    url = f"{settings.recommender_url}/v1/release"
    given = (options or _key)(url)
    try:
        answer = httpx.get(url, timeout=5, **given)
    except httpx.ConnectError:
        return None
    except httpx.HTTPError as error:
        raise RolloutError(f"the recommender at {url} does not answer ({error}); see: tastemaker status") from error
    if answer.status_code == 503:  # it loads its first release
        return {"release": "", "trial": None}
    if answer.status_code != 200:
        raise RolloutError(f"the recommender at {url} answered {answer.status_code}: {answer.text[:200]}")
    told: Told = {}
    with suppress(ValueError):
        told = answer.json()
    if "release" not in told:
        raise RolloutError(f"what listens at {url} is no recommender")
    return told


def _key(url: str) -> dict[str, Any]:
    key = os.environ.get("TASTEMAKER_API_KEY")
    return {"headers": {"authorization": f"Bearer {key}"}} if key else {}


def _split_of(told: Told) -> Split:
    trial = told.get("trial") or {}
    if trial.get("state") != "on" or trial["candidate"] == told["release"]:
        return Split(told["release"])
    return Split(told["release"], trial["candidate"], trial["share"], trial["shadow"])
