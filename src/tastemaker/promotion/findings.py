"""Small parts of the evidence: leaks, the release's contents, and a short load on its Bento."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tastemaker.document import Document
from tastemaker.features.audit.leaks import Telling

__all__ = ["Contents", "Leaks", "ServingLoad", "collect_contents", "licences_of"]

_LICENCE_WORD = "licence:"


class Leaks(Document, frozen=True, kw_only=True):
    """What the leak check found before training.

    Attributes:
        features: that were looked at.
        leaking: those that know the label, with the reason.
        best: the feature that tells most by itself; empty when none was looked at.
        auc: how well.
        planted_found: whether a leak that was planted among them was found; None where none was planted.
    """

    KIND = "the leaks of a release"
    REMEDY = "collect them again"

    features: int
    leaking: tuple[str, ...] = ()
    best: str = ""
    auc: float | None = None
    planted_found: bool | None = None

    @classmethod
    def of(cls, tellings: Sequence[Telling], planted: Telling | None = None) -> "Leaks":
        """Sum up the check's results; the planted feature is not among the tellings."""
        best = max(tellings, key=lambda one: one.auc, default=None)
        return cls(
            features=len(tellings),
            leaking=tuple(f"{one.feature}: {one.leak}" for one in tellings if one.leak),
            best=best.feature if best else "",
            auc=best.auc if best else None,
            planted_found=None if planted is None else bool(planted.leak),
        )


class Contents(Document, frozen=True, kw_only=True):
    """What the release is made of.

    Attributes:
        events: that it learned from.
        size_bytes: of all its files.
        licences: under which it may be used, by what they are of: ``code`` and ``data``; empty where unknown.
    """

    KIND = "the contents of a release"
    REMEDY = "collect them again"

    events: int
    size_bytes: int
    licences: dict[str, str] = msgspec.field(default_factory=dict)


class ServingLoad(Document, frozen=True, kw_only=True):
    """A short load on the built Bento, in a process of its own.

    Attributes:
        bento: its tag.
        requests: that were sent, one after the other.
        failed: not answered with 200.
        p50_ms: median time of an answer in milliseconds.
        p99_ms: 99 % quantile.
        memory_mb: resident memory of its processes after the load, in MiB.
        ready_s: seconds from its start until it was ready.
    """

    KIND = "the serving load of a release"
    REMEDY = "collect it again"

    bento: str
    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    memory_mb: float
    ready_s: float


def collect_contents(release_dir: Path, repository: Path, events: int) -> Contents:
    """Measure a release's directory and find its licences.

    Args:
        release_dir: what training wrote.
        repository: root of the checkout.
        events: that training read.
    """
    size = sum(path.stat().st_size for path in release_dir.rglob("*") if path.is_file())
    return Contents(events=events, size_bytes=size, licences=licences_of(repository))


def licences_of(repository: Path) -> dict[str, str]:
    """The licence of the code (first line of ``LICENSE``) and of the data (``Licence:`` in ``data/README.md``)."""
    found = {"code": next(_lines(repository / "LICENSE"), ""), "data": ""}
    for line in _lines(repository / "data" / "README.md"):
        at = line.lower().find(_LICENCE_WORD)
        if at >= 0:
            found["data"] = line[at + len(_LICENCE_WORD) :].strip().split(". ")[0].rstrip(".")
            break
    return found


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return iter(())
    return (line.strip() for line in text.splitlines() if line.strip())
