"""What is chosen of a two-tower model, and what the data decided."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from tastemaker.errors import DataError

__all__ = ["ENCODERS", "LOSSES", "EncoderName", "LossName", "TowerParameters"]

EncoderName = Literal["weighted-mean", "gru", "transformer"]
LossName = Literal["full", "sampled"]
ENCODERS: Final = ("weighted-mean", "gru", "transformer")
LOSSES: Final = ("full", "sampled")
_SHAPE: Final = (
    "encoder", "dimension", "window", "layers", "heads", "normalise", "temperature", "bias", "time_unit",
)  # fmt: skip


@dataclass(frozen=True)
class TowerParameters:
    """A two-tower model's shape and training; nothing in it is "auto" any more.

    Attributes:
        encoder: how a history becomes a vector.
        ordered: interactions have an order; without one, a random part of a user's items is predicted from the rest.
        dimension: of the vectors.
        window: events that a query sees at most when there is an order, the start token included.
        layers: of the encoder, where it has layers.
        heads: of attention, or poolings of the weighted mean.
        dropout: inside the encoder.
        event_dropout: share of a history's events that training hides.
        basket: events of one basket, the events of one moment, that a pass shows at most, chosen anew in each; 0 shows
            all. Large baskets would fill the window, and ask nearly the same over and over.
        id_dropout: share of the ids that training hides, where items have content.
        held_out: largest share of a user's items that is predicted from the rest, without an order.
        loss: over all items, or over sampled ones.
        negatives: uniformly drawn items that are shared by a batch, beside the batch's own; sampled loss only.
        temperature: that scores are divided by in training.
        normalise: unit vectors, so that the temperature alone sets the scale.
        bias: items have a bias too, which starts as the logarithm of their popularity.
        spectral: items' vectors start as the spectrum of the interactions rather than at random.
        batch: targets of a training step (positions of sequences), or users when there is no order.
        learning_rate: of Adam, after a short linear rise.
        weight_decay: of AdamW.
        average: decay of the moving average of the weights, which is what is kept; 0 keeps the last weights.
        epochs: passes over the data at most.
        patience: evaluations without a better NDCG before training ends.
        compiled: steps are compiled by XLA, which takes seconds and pays where steps are heavy.
        time_unit: length of a step in time: the median time between a user's events; 0 when times say nothing.
        n_types: event types.
    """

    encoder: EncoderName = "transformer"
    ordered: bool = True
    dimension: int = 64
    window: int = 64
    layers: int = 2
    heads: int = 2
    dropout: float = 0.3
    event_dropout: float = 0.1
    basket: int = 0
    id_dropout: float = 0.1
    held_out: float = 0.5
    loss: LossName = "full"
    negatives: int = 4096
    temperature: float = 0.07
    normalise: bool = True
    bias: bool = False
    spectral: bool = True
    batch: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    average: float = 0.99
    epochs: int = 100
    patience: int = 5
    compiled: bool = True
    time_unit: float = 0.0
    n_types: int = 0

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise DataError(f"there is no encoder {self.encoder!r}; choose one of auto, {', '.join(ENCODERS)}")
        if self.loss not in LOSSES:
            raise DataError(f"there is no loss {self.loss!r}; choose one of auto, {', '.join(LOSSES)}")
        if self.dimension < 2 or self.dimension % self.heads:
            raise DataError(f"dimension {self.dimension} must be at least 2 and a multiple of heads, {self.heads}")
        for name in ("window", "batch", "epochs", "patience", "negatives", "layers", "heads"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("dropout", "event_dropout", "id_dropout", "held_out", "average"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise DataError(f"{name} must lie in [0, 1), not {getattr(self, name)}")
        if self.window < 2 or self.temperature <= 0 or self.learning_rate <= 0:
            raise DataError("window must be at least 2, temperature and learning_rate above 0")

    def shape(self) -> dict[str, Any]:
        """What weights belong to: a model that starts from them has to have the same."""
        return {name: getattr(self, name) for name in _SHAPE}

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TowerParameters":
        """From the values of :meth:`to_json`.

        Raises:
            DataError: a value is not of this version.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise DataError(f"unknown two-tower parameters {sorted(unknown)}: the model was saved by another version")
        return cls(**values)
