"""The split: which shoppers get a release that is on trial. Written by a rollout, followed by what serves.

It stands beside the champion pointer and counts only while its champion is the one in production: a promotion or a
rollback ends it by the pointer's one write, and so does its end of life, when whoever should renew it is gone.
"""

from hashlib import blake2b
from pathlib import Path

import msgspec

from tastemaker.durable import read_record
from tastemaker.release.champion import read_champion

__all__ = ["SPLIT_NAME", "SplitPointer", "assigned", "read_split", "split_in_force"]

SPLIT_NAME = "split.json"


class SplitPointer(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate and its share of the shoppers.

    Attributes:
        champion: the release that it is tried against; the split counts while that is in production.
        candidate: the release on trial.
        share: of the shoppers whose lists it makes, 0 to 1.
        shadow: whether it also makes lists for the others, which nobody sees.
        until_us: when it ends by itself, in microseconds of the machine's clock since the epoch.
    """

    champion: str
    candidate: str
    share: float
    shadow: bool
    until_us: int


def read_split(directory: Path) -> SplitPointer | None:
    """What the file says, in force or not; None without one. Safe while another process writes it.

    Raises:
        DataError: the file is damaged.
    """
    return read_record(directory / SPLIT_NAME, SplitPointer, "end the rollout with: tastemaker rollout abort")


def split_in_force(directory: Path, wall_us: int) -> SplitPointer | None:
    """The split that counts now.

    The split is read before the champion: a promotion replaces the champion first and removes the split afterwards, so
    that no reader sees the former champion without the candidate in between.

    Args:
        directory: with both files.
        wall_us: the machine's clock.

    Raises:
        DataError: one of the files is damaged.
    """
    split = read_split(directory)
    if split is None or wall_us >= split.until_us:
        return None
    champion = read_champion(directory)
    return split if champion is not None and champion.release == split.champion else None


def assigned(candidate: str, user: str | None, session: str | None, share: float) -> bool:
    """Whether a shopper gets the candidate's lists; always the same answer for the same shopper.

    The hash is salted with the candidate's id: each candidate is tried on other shoppers, and those of a smaller share
    are among those of a larger one. Somebody with neither user nor session cannot be known again, and never gets them.

    >>> [assigned("r2", f"u{n}", None, 0.5) for n in range(8)]
    [True, True, True, True, True, False, True, True]
    >>> assigned("r2", None, None, 1.0)
    False
    """
    if user:
        who = f"u{user}"
    elif session:
        who = f"s{session}"
    else:
        return False
    digest = blake2b(who.encode(), digest_size=8, salt=_salt(candidate)).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64


def _salt(candidate: str) -> bytes:
    """At most 16 bytes is what the hash takes."""
    return blake2b(candidate.encode(), digest_size=16).digest()
