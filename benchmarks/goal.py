"""A figure beside its goal."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Goal"]


@dataclass(frozen=True, slots=True)
class Goal:
    """One measured figure and what it should be.

    Attributes:
        what: the figure's name.
        figure: as measured.
        relation: how the figure must stand to the goal.
        goal: the bound.
        unit: printed after both.
    """

    what: str
    figure: float
    relation: Literal["<=", ">"]
    goal: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the goal is met."""
        return self.figure <= self.goal if self.relation == "<=" else self.figure > self.goal

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "falls short"
        return f"{self.what}: {self.figure:.4g}{self.unit}, goal {self.relation} {self.goal:.4g}{self.unit}: {verdict}"
