"""A trained ranker: scores, probabilities and contributions; written to a directory and read back."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.ranker.calibration import Calibration
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranker.report import FitReport

__all__ = ["CARD", "Ranker", "RankerCard"]

Floats = npt.NDArray[np.float32]

CARD: Final = "ranker.json"
_FORMAT: Final = 1
_ROWS = 65_536


class RankerCard(BaseModel):
    """What is known of a ranker besides its weights.

    Attributes:
        format: of the directory.
        names: of the features, in the order of the columns.
        parameters: see there.
        calibrations: of each outcome.
        report: of the fit.
        weights_hash: SHA-256 of the weights; empty before the ranker is saved.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    format: int = _FORMAT
    names: tuple[str, ...]
    parameters: RankerParameters
    calibrations: tuple[Calibration, ...]
    report: FitReport
    weights_hash: str = ""


class Ranker:
    """Scores candidates; the result for one does not depend on the others.

    Args:
        module: a :class:`~tastemaker.models.ranker.scoring.ScoringModule`, or one that was loaded.
        card: see there.
    """

    def __init__(self, module: Any, card: RankerCard) -> None:
        self.module = module
        self.card = card

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features, in the order of the columns."""
        return self.card.names

    @property
    def parameters(self) -> RankerParameters:
        """See there."""
        return self.card.parameters

    @property
    def report(self) -> FitReport:
        """How training went."""
        return self.card.report

    def score(self, features: Floats) -> Floats:
        """The combined score, which lists are ordered by; higher is better.

        Args:
            features: float32 ``[n, features]``, NaN where a value is missing.

        Returns:
            float32 ``[n]``; of one outcome without other aims, its logits.
        """
        return self._in_blocks(self.module.score, features, ())

    def logits(self, features: Floats) -> Floats:
        """float32 ``[n, outcomes]`` of features ``[n, features]``; comparable within one outcome."""
        return self._in_blocks(self.module.logits, features, (len(self.parameters.outcomes),))

    def probabilities(self, features: Floats) -> Floats:
        """Chance of each outcome, float32 ``[n, outcomes]``, of features ``[n, features]``.

        They are of candidates like those of the validation lists (of the training lists, where there were none).
        """
        logits = self.logits(features)
        return np.stack([of(logits[:, at]) for at, of in enumerate(self.card.calibrations)], axis=1)

    def contributions(self, features: Floats) -> Floats:
        """What each feature adds to the score, gradient × input, float32 ``[n, features]``.

        Inputs are centred: a feature at its mean adds nothing. The sum is the score's first-order change from there.
        """
        return self._in_blocks(self.module.contributions, features, (len(self.names),))

    def save(self, directory: Path) -> None:
        """Write it: a SavedModel with the functions ``score`` (its signature), ``logits``, ``contributions``; a card.

        Args:
            directory: to make, or empty.
        """
        tf = tensorflow()
        tf.saved_model.save(self.module, str(directory), signatures={"serving_default": self.module.score})
        card = self.card.model_copy(update={"weights_hash": _weights_hash(directory)})
        (directory / CARD).write_text(card.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: there is none, it is of another format, or its weights are not those of its card.
        """
        try:
            card = RankerCard.model_validate_json((directory / CARD).read_bytes())
        except FileNotFoundError as error:
            raise DataError(f"{directory} holds no ranker: it has no {CARD}; train one") from error
        except ValidationError as error:
            raise DataError(f"{directory / CARD} does not decode ({error}); train the ranker again") from error
        if card.format != _FORMAT:
            raise DataError(f"{directory} has format {card.format}, this version reads {_FORMAT}; train it again")
        if _weights_hash(directory) != card.weights_hash:
            raise DataError(f"the weights in {directory} are not those of its {CARD}; train the ranker again")
        return cls(tensorflow().saved_model.load(str(directory)), card)

    def _in_blocks(self, function: Callable[[Any], Any], features: Floats, shape: tuple[int, ...]) -> Floats:
        if features.ndim != 2 or features.shape[1] != len(self.names):
            raise DataError(f"features {features.shape} must be [n, {len(self.names)}], in the order of the names")
        found = np.empty((len(features), *shape), dtype=np.float32)
        for start in range(0, len(features), _ROWS):
            block = np.ascontiguousarray(features[start : start + _ROWS], dtype=np.float32)
            found[start : start + _ROWS] = function(tensorflow().constant(block)).numpy()
        return found


def _weights_hash(directory: Path) -> str:
    """Of names and values: the files hold names of layers too, which count up within a process."""
    tf = tensorflow()
    try:
        reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
        found = hashlib.sha256()
        for name in sorted(reader.get_variable_to_shape_map()):
            if not name.startswith("_"):
                found.update(name.encode() + reader.get_tensor(name).tobytes())
    except (tf.errors.OpError, ValueError) as error:
        raise DataError(f"the weights in {directory} do not read ({error}); train the ranker again") from error
    return found.hexdigest()
