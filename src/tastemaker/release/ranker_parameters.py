"""Parameters of the ranker; apart from it, so that they can be read without TensorFlow."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RankerParameters"]


class RankerParameters(BaseModel):
    """Parameters of the ranker and its training.

    Attributes:
        hidden: widths of the deep layers.
        dropout: after each of them.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        epochs: passes over the lists.
        batch_lists: lists per step.
        cuts_days: moments of the past, in days before the cut, at which lists are made for training; each is
            labelled with what its shoppers bought in the ``label_days`` after it.
        label_days: length of the label window.
        max_lists: most lists per moment; more shoppers are sampled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[int, ...] = (64, 32)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    epochs: int = Field(default=10, ge=1)
    batch_lists: int = Field(default=64, ge=1)
    cuts_days: tuple[int, ...] = (42, 28)
    label_days: int = Field(default=28, ge=1)
    max_lists: int = Field(default=20_000, ge=1)
