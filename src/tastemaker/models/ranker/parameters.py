"""Parameters of the ranker's network and training; apart from both, so that they can be read without TensorFlow."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ObjectiveWeights", "RankerParameters"]


class ObjectiveWeights(BaseModel):
    """What a score is made of besides relevance; see :func:`tastemaker.models.ranker.objective.combined_score`.

    Attributes:
        relevance: of the logarithm of the expected outcome.
        margin: of ``log(1 + margin)``.
        novelty: of the novelty.
        margin_feature: column of the features that holds the margin, in money.
        novelty_feature: column that holds the novelty, in any unit, such as ``-log2`` of an item's share of buyers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    relevance: float = Field(default=1.0, gt=0)
    margin: float = Field(default=0.0, ge=0)
    novelty: float = Field(default=0.0, ge=0)
    margin_feature: str = "margin"
    novelty_feature: str = "novelty"


class RankerParameters(BaseModel):
    """Parameters of the ranker and its training.

    Attributes:
        head: ``dcn``: cross layers, then deep ones (DCN-v2, Wang et al., WWW 2021); ``wide-deep``: deep layers beside
            a linear one (Cheng et al., DLRS 2016); ``ncf``: deep layers beside the product of two vectors (NeuMF, He
            et al., WWW 2017), which are given as feature columns.
        hidden: widths of the deep layers.
        dropout: after each of them.
        cross_layers: of ``dcn``.
        cross_rank: of the matrices of these layers.
        vectors: of ``ncf``: what the names of the columns of the user's vector and of the item's begin with.
        factors: of ``ncf``: width of the product.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        epochs: passes over the lists, at most.
        cutoff: of the validation NDCG.
        patience: epochs without a better validation NDCG after which training stops.
        batch_lists: lists per step.
        loss: ``listwise``: softmax over a whole list; ``sampled``: over its hits and some drawn negatives.
        negatives: of ``sampled``: drawn per list and step.
        outcomes: what may follow an impression, one label each, the one that matters most last.
        outcome_weights: value of each outcome, in the loss and in the score; 1 each when left empty.
        experts: of several outcomes: networks that their gates choose from (MMoE, Ma et al., KDD 2018).
        position_dropout: share of lists whose positions are hidden in training, so that the features are learned
            without them too.
        max_position: positions from here on share one bias.
        objective: see there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Literal["dcn", "wide-deep", "ncf"] = "dcn"
    hidden: tuple[int, ...] = Field(default=(64, 32), min_length=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    cross_layers: int = Field(default=1, ge=1)
    cross_rank: int = Field(default=16, ge=1)
    vectors: tuple[str, str] = ("user_vector_", "item_vector_")
    factors: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    epochs: int = Field(default=10, ge=1)
    cutoff: int = Field(default=10, ge=1)
    patience: int = Field(default=3, ge=1)
    batch_lists: int = Field(default=64, ge=1)
    loss: Literal["listwise", "sampled"] = "listwise"
    negatives: int = Field(default=64, ge=1)
    outcomes: tuple[str, ...] = Field(default=("purchase",), min_length=1)
    outcome_weights: tuple[float, ...] = ()
    experts: int = Field(default=4, ge=1)
    position_dropout: float = Field(default=0.1, ge=0, lt=1)
    max_position: int = Field(default=50, ge=1)
    objective: ObjectiveWeights = ObjectiveWeights()

    @model_validator(mode="after")
    def _outcomes_fit(self) -> Self:
        if len(set(self.outcomes)) < len(self.outcomes):
            raise ValueError(f"outcomes {self.outcomes} name one twice")
        if self.outcome_weights and len(self.outcome_weights) != len(self.outcomes):
            raise ValueError(f"give one of outcome_weights for each of the outcomes {self.outcomes}, or none")
        if any(weight <= 0 for weight in self.outcome_weights):
            raise ValueError("outcome_weights must be above 0; leave an outcome that is worth nothing out")
        return self

    @property
    def weights(self) -> tuple[float, ...]:
        """Value of each outcome."""
        return self.outcome_weights or (1.0,) * len(self.outcomes)
