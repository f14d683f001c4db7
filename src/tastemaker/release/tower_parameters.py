"""Parameters of the two-tower model; apart from it, so that they can be read without TensorFlow."""

from pydantic import BaseModel, ConfigDict, Field

from tastemaker.retrieval.item_content import ContentParameters

__all__ = ["TowerParameters"]


class TowerParameters(BaseModel):
    """Parameters of both towers and of their training.

    Attributes:
        dimension: length of a vector.
        history: events of a history that the query tower sees.
        id_dropout: share of the ids that are hidden in training.
        history_dropout: share of the history's events that are hidden in training.
        temperature: of the softmax over cosine similarities.
        learning_rate: of Adam.
        epochs: passes over the baskets.
        batch_pairs: (query, item) pairs per step; each is a negative for the others.
        pairs_per_basket: items drawn from one basket per epoch.
        content: see there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimension: int = Field(default=64, ge=2)
    history: int = Field(default=50, ge=1)
    id_dropout: float = Field(default=0.1, ge=0, lt=1)
    history_dropout: float = Field(default=0.1, ge=0, lt=1)
    temperature: float = Field(default=0.1, gt=0)
    learning_rate: float = Field(default=3e-3, gt=0)
    epochs: int = Field(default=5, ge=1)
    batch_pairs: int = Field(default=1_024, ge=2)
    pairs_per_basket: int = Field(default=8, ge=1)
    content: ContentParameters = ContentParameters()
