"""Evidence: everything that a gate may look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tastemaker.evaluation.drift import DriftSummary
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.promotion.findings import Contents, Leaks, ServingLoad
from tastemaker.promotion.hashing import hash_bytes, hash_files
from tastemaker.promotion.lineage import Lineage
from tastemaker.promotion.list_conduct import ListConduct
from tastemaker.promotion.parity import Parity

if TYPE_CHECKING:
    from tastemaker.promotion.manifest import Manifest

__all__ = ["Evidence"]

_DIRECTORY = "evidence/"


@dataclass(frozen=True)
class Evidence:
    """What is known of a release when it is judged. ``None``: not measured.

    Attributes:
        release: its id.
        events: how many events it learned from.
        evaluation: against baselines and champion.
        drift: of its features, of outcomes and predictions.
        parity: between training and serving.
        lineage: where it came from.
        champion: id of the release in production at this moment, if there is one.
        files: SHA-256 by path of the release's files.
        conduct: of its lists: segments, exposure, cold starts, probabilities.
        leaks: of the features that it was trained on.
        contents: size and licences.
        serving: a short load on its Bento.
    """

    release: str
    events: int
    evaluation: EvaluationReport | None = None
    drift: DriftSummary | None = None
    parity: Parity | None = None
    lineage: Lineage | None = None
    champion: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    conduct: ListConduct | None = None
    leaks: Leaks | None = None
    contents: Contents | None = None
    serving: ServingLoad | None = None

    def parts(self) -> dict[str, bytes]:
        """What is kept with a release, as JSON by name; the lineage is kept by itself."""
        found = {
            "evaluation": self.evaluation,
            "drift": self.drift,
            "parity": self.parity,
            "conduct": self.conduct,
            "leaks": self.leaks,
            "contents": self.contents,
            "serving": self.serving,
        }
        return {name: part.to_json() for name, part in found.items() if part is not None}

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each part that is there, by name."""
        found = {name: hash_bytes(content) for name, content in self.parts().items()}
        if self.lineage is not None:
            found["lineage"] = hash_bytes(self.lineage.to_json())
        if self.files:
            found["files"] = hash_files(self.files)
        return found

    @classmethod
    def stored(cls, release_dir: Path, manifest: "Manifest") -> "Evidence":
        """The evidence that a registered release was judged by, from its files.

        Args:
            release_dir: of the registered release.
            manifest: its manifest.

        Raises:
            DataError: a part does not read.
        """
        directory = release_dir / _DIRECTORY

        def read(name: str) -> bytes | None:
            path = directory / f"{name}.json"
            return path.read_bytes() if path.is_file() else None

        readers = {
            "evaluation": EvaluationReport.from_json,
            "drift": DriftSummary.from_json,
            "parity": Parity.from_json,
            "conduct": ListConduct.from_json,
            "leaks": Leaks.from_json,
            "contents": Contents.from_json,
            "serving": ServingLoad.from_json,
        }
        raw = {name: read(name) for name in readers}
        found = {name: readers[name](content) for name, content in raw.items() if content is not None}
        contents = found.get("contents")
        return cls(
            release=manifest.release,
            events=contents.events if isinstance(contents, Contents) else _events(release_dir),
            lineage=manifest.lineage,
            champion=manifest.verdict.champion,
            files={name: value for name, value in manifest.files.items() if not name.startswith(_DIRECTORY)},
            **found,  # type: ignore[arg-type]
        )


def _events(release_dir: Path) -> int:
    """Of a release from before contents were kept: what its model card says."""
    try:
        card = msgspec.json.decode((release_dir / "model.json").read_bytes())
        return int(card["interactions"])
    except (FileNotFoundError, KeyError, TypeError, msgspec.MsgspecError):
        return 0
