"""What a fit of the ranker says of itself."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["FitReport"]


class FitReport(BaseModel):
    """How training went.

    Attributes:
        lists: that the ranker learned from; those without a hit are left out.
        epochs: begun.
        loss: mean of the last epoch; NaN when no step was taken.
        stopped: why training ended.
        best_epoch: whose weights were kept; 0 is before training.
        validation_ndcg: NDCG on the validation lists before training and after each epoch; empty without them.
        calibration_error: per outcome, of probabilities on validation lists that they were not fitted on; empty
            without validation lists.
        seconds: wall time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    lists: int
    epochs: int
    loss: float
    stopped: Literal["epochs", "patience", "deadline"]
    best_epoch: int
    validation_ndcg: tuple[float, ...]
    calibration_error: tuple[float, ...]
    seconds: float
