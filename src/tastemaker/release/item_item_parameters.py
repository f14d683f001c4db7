"""Parameters of the item-to-item table; apart from its fit, so that serving can read them without the lake."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ItemItemParameters"]


class ItemItemParameters(BaseModel):
    """Parameters of the item-to-item table.

    Attributes:
        ridge: EASE's regularisation; larger means smoother.
        neighbours: kept per item.
        ease_max_items: the largest catalogue that EASE is fitted for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ridge: float = Field(default=200.0, gt=0)
    neighbours: int = Field(default=100, ge=1)
    ease_max_items: int = Field(default=6_000, ge=0)
