"""What a surface's recipe says about its re-rank stage."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tastemaker.serving.rerank.rule import MAX_POSITION

__all__ = ["Diversity", "EpsilonSlots", "NewItems", "PlackettLuce", "RerankPolicy"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Diversity(_Part):
    """How alike the items of a list may be.

    Attributes:
        method: ``mmr`` (Carbonell & Goldstein, 1998) keeps an item away from the most similar one before it; ``dpp``
            (Chen, Zhang & Zhou, 2018) spreads the list as a whole.
        relevance: 1 is relevance alone, 0 diversity alone.
    """

    method: Literal["mmr", "dpp"]
    relevance: float = Field(0.8, ge=0, le=1)


class NewItems(_Part):
    """A share of places for items that nobody knows yet.

    Attributes:
        share: of the list, at least; rounded up.
        younger_than_days: which items are new.
    """

    share: float = Field(gt=0, le=1)
    younger_than_days: float = Field(gt=0)


class EpsilonSlots(_Part):
    """Some places show now and then an item drawn uniformly from the runners-up; the others are as they would be.

    Attributes:
        places: 1 is the first.
        epsilon: how often each of them is given away.
        pool: how many runners-up, at most.
        only_new: only new items are runners-up (needs ``new_items``, which says which are).
    """

    kind: Literal["epsilon_slots"]
    places: tuple[Annotated[int, Field(ge=1, le=MAX_POSITION)], ...] = Field(min_length=1)
    epsilon: float = Field(gt=0, le=1)
    pool: int = Field(50, ge=1, le=1000)
    only_new: bool = False

    @field_validator("places")
    @classmethod
    def _ascending(cls, places: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(places)) < len(places):
            raise ValueError("a place is there twice; name each once")
        return tuple(sorted(places))


class PlackettLuce(_Part):
    """Every place is drawn from a softmax of what would be chosen there, by Gumbel noise.

    Attributes:
        temperature: in units of the gain: standard deviations of the score without diversity, about a quarter of that
            with MMR. Towards 0 the list becomes the deterministic one.
    """

    kind: Literal["plackett_luce"]
    temperature: float = Field(gt=0, le=100)


class RerankPolicy(_Part):
    """The stage's settings; those that are left out do nothing.

    Attributes:
        diversity: of the list.
        max_per_category: items of one category per list; below 1, a share of the list, rounded up.
        max_per_brand: likewise.
        margin_weight: standard deviations of score that one standard deviation of margin is worth.
        stock_weight: how fast items that run out lose: the score is multiplied by (stock / (stock + half))^weight.
        stock_half: that half, in pieces.
        drop_out_of_stock: whether items whose stock is known to be 0 are taken out.
        new_items: minimum exposure of new items.
        exploration: what is left to chance.
    """

    diversity: Diversity | None = None
    max_per_category: float | None = Field(None, gt=0, le=MAX_POSITION)
    max_per_brand: float | None = Field(None, gt=0, le=MAX_POSITION)
    margin_weight: float = Field(0.0, ge=-10, le=10)
    stock_weight: float = Field(0.0, ge=0, le=10)
    stock_half: float = Field(5.0, gt=0)
    drop_out_of_stock: bool = True
    new_items: NewItems | None = None
    exploration: EpsilonSlots | PlackettLuce | None = Field(None, discriminator="kind")

    @field_validator("max_per_category", "max_per_brand")
    @classmethod
    def _whole(cls, cap: float | None) -> float | None:
        if cap is not None and cap > 1 and cap != int(cap):
            raise ValueError("is no whole number; write a count, such as 3, or a share of the list below 1")
        return cap

    @model_validator(mode="after")
    def _says_what_is_new(self) -> "RerankPolicy":
        if isinstance(self.exploration, EpsilonSlots) and self.exploration.only_new and self.new_items is None:
            raise ValueError("exploration.only_new needs new_items, which says from what age on an item is not new")
        return self
