"""What a release directory holds: the names of its files, and the card that says how to read them."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError

from tastemaker.errors import ServingError
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.tower_report import TowerReport

__all__ = [
    "CARD",
    "COVISITATION",
    "FORMAT",
    "ITEMS",
    "PLAN",
    "RANKER",
    "RANKING_TOWERS",
    "TOGETHER",
    "TOWERS",
    "ModelCard",
    "vocabulary_hash",
]

FORMAT: Final = 2
CARD: Final = "model.json"
PLAN: Final = "plan.json"
ITEMS: Final = "items.json"
COVISITATION: Final = "covisitation.npz"
TOWERS: Final = "towers"
# Weights of the towers that the ranker's lists were made with: what the next release's begin with.
RANKING_TOWERS: Final = "ranking_towers"
# Tables of COVISITATION beside the one of all events, by the event type that each is of; a release has those for which
# there were events.
TOGETHER: Final[Mapping[str, str]] = {"bought": "purchase", "viewed": "view"}
RANKER: Final = "ranker"


def vocabulary_hash(item_ids: Iterable[str]) -> str:
    """Hash of item ids in their order."""
    return hashlib.sha256("\n".join(item_ids).encode()).hexdigest()


class ModelCard(BaseModel):
    """How a release was made, and what reading it needs.

    Attributes:
        format: of the directory; serving refuses another.
        cut: first moment that training did not see (UTC).
        data_from: time of the first event that it saw.
        interactions: events that it saw.
        users: that they are of.
        items: size of the vocabulary.
        seed: of the run.
        targets: event types that a list should lead to.
        plan_hash: of the feature plan that it was trained with.
        vocabulary_hash: of the item ids in order; vectors and tables have their rows in it.
        ranking_features: columns of the ranker's matrix.
        parameters: of the run.
        towers: how the served towers were fitted, with the validation curve and the trials of a search.
        metrics: that training knows.
        seconds: wall time by step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    cut: datetime
    data_from: datetime
    interactions: int
    users: int
    items: int
    seed: int
    targets: tuple[str, ...]
    plan_hash: str
    vocabulary_hash: str
    ranking_features: tuple[str, ...]
    parameters: TrainingParameters
    towers: TowerReport
    metrics: dict[str, float]
    seconds: dict[str, float]

    def write(self, directory: Path) -> None:
        """Write it into a release directory."""
        content = msgspec.json.format(self.model_dump_json().encode(), indent=2)
        (directory / CARD).write_bytes(content + b"\n")

    @classmethod
    def read(cls, directory: Path) -> "ModelCard":
        """Read it from a release directory.

        Raises:
            ServingError: there is none, or it is of another format.
        """
        path = directory / CARD
        try:
            raw = path.read_bytes()
        except FileNotFoundError as error:
            raise ServingError(f"{directory} is no release: it has no {CARD}; train one: tastemaker train") from error
        try:
            found = msgspec.json.decode(raw)
            if found.get("format") != FORMAT:
                raise ServingError(
                    f"{path} has format {found.get('format')}, this version reads {FORMAT}; train the release again"
                )
            return cls.model_validate(found)
        except (msgspec.DecodeError, ValidationError, AttributeError) as error:
            raise ServingError(f"{path} does not decode ({error}); train the release again") from error
