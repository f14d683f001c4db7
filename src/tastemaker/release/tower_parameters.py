"""Parameters of the two towers of a release; apart from the model, so that they can be read without TensorFlow."""

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker.errors import DataError
from tastemaker.models.two_tower.parameters import TowerParameters

__all__ = ["ReleaseTowerParameters"]


# What measured best of the weighted means on Online Retail's purchases before the cut (the number of passes apart: see
# docs/adr/017): histories of large baskets, of which each pass shows a part, so that a query looks back over a dozen.
_MEASURED: Final = {
    "dimension": 64,
    "window": 128,
    "basket": 8,
    "heads": 4,
    "dropout": 0.1,
    "event_dropout": 0.0,
    "temperature": 0.1,
    "learning_rate": 0.006,
    "average": 0.95,
    "epochs": 5,
}


class ReleaseTowerParameters(BaseModel):
    """What is chosen of the towers, and how long they may take.

    Attributes:
        encoder: of histories: "weighted-mean", "gru", "transformer", or "auto": what measured best for the kind of
            data.
        chosen: any further of :class:`~tastemaker.models.two_tower.parameters.TowerParameters` by name; what is left
            out, or "auto", is decided by the data. What is given replaces all of the defaults.
        minutes: after which a fit ends with the best that it has.
        warm_epochs: passes over the data, at most, of a fit that starts from an earlier release.
        tuning_minutes: for a search for better values before the fit that is served; 0 searches nothing.
        tuning_days: length of the window at the end of the data that the search is measured on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = "weighted-mean"
    chosen: dict[str, bool | int | float | str] = dict(_MEASURED)
    minutes: float = Field(default=30.0, gt=0)
    warm_epochs: int = Field(default=1, ge=1)
    tuning_minutes: float = Field(default=0.0, ge=0)
    tuning_days: int = Field(default=28, ge=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        try:
            TowerParameters.from_json({name: value for name, value in self.values().items() if value != "auto"})
        except (DataError, TypeError) as error:
            raise ValueError(str(error)) from error
        return self

    def values(self) -> dict[str, Any]:
        """What is given, by the names of the model's parameters."""
        return {"encoder": self.encoder} | self.chosen
