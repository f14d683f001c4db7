"""Evidence: everything that a gate may look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tastemaker.evaluation.drift import DriftSummary
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.promotion.hashing import hash_bytes, hash_files
from tastemaker.promotion.lineage import Lineage
from tastemaker.promotion.parity import Parity

__all__ = ["Evidence"]


@dataclass(frozen=True)
class Evidence:
    """What is known of a release when it is judged. ``None``: not measured.

    Attributes:
        release: its id.
        events: how many events it learned from.
        evaluation: against baselines and champion.
        drift: of its features.
        parity: between training and serving.
        lineage: where it came from.
        champion: id of the release in production at this moment, if there is one.
        files: SHA-256 by path of the release's files.
    """

    release: str
    events: int
    evaluation: EvaluationReport | None = None
    drift: DriftSummary | None = None
    parity: Parity | None = None
    lineage: Lineage | None = None
    champion: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each part that is there, by name."""
        parts = {"evaluation": self.evaluation, "drift": self.drift, "parity": self.parity, "lineage": self.lineage}
        found = {name: hash_bytes(part.to_json()) for name, part in parts.items() if part is not None}
        if self.files:
            found["files"] = hash_files(self.files)
        return found
