"""The manifest of a release: every file's hash, and the evidence in short."""

from datetime import datetime

from tastemaker.document import Document
from tastemaker.promotion.hashing import hash_files
from tastemaker.promotion.lineage import Lineage
from tastemaker.promotion.verdict import Verdict

__all__ = ["EVIDENCE_DIR", "MANIFEST_NAME", "Manifest", "release_id"]

MANIFEST_NAME = "manifest.json"
EVIDENCE_DIR = "evidence"


class Manifest(Document, frozen=True, kw_only=True):
    """What a registered release holds.

    Attributes:
        release: its id.
        created_at: when it was registered (UTC).
        files: SHA-256 by path of every file but the manifest itself, the evidence included.
        metrics: the release's own figures, such as ``ndcg``; the whole report is in ``evidence/evaluation.json``.
        verdict: of the gate.
        lineage: where it came from.
    """

    KIND = "a release manifest"
    REMEDY = "restore the release's files, or train another"

    release: str
    created_at: datetime
    files: dict[str, str]
    metrics: dict[str, float]
    verdict: Verdict
    lineage: Lineage


def release_id(now: datetime, files: dict[str, str]) -> str:
    """A readable id that sorts by time and differs when the content differs.

    >>> from datetime import UTC
    >>> release_id(datetime(2011, 12, 9, 12, 50, tzinfo=UTC), {"a": "00"})[:16]
    '20111209t125000-'
    """
    return f"{now:%Y%m%dt%H%M%S}-{hash_files(files)[:8]}"
