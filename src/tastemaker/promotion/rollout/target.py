"""What a rollout acts on: something that serves releases and can divide the shoppers between two of them."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["RolloutTarget", "Split"]


@dataclass(frozen=True)
class Split:
    """What shoppers get.

    Attributes:
        champion: id of the release in production.
        candidate: id of the release on trial; None where there is no rollout.
        share: of the shoppers whose lists the candidate makes, 0 to 1.
        shadow: whether the candidate also makes lists for the others, which nobody sees.

    Raises:
        ValueError: the share is none, or a share or a shadow is given without a candidate.
    """

    champion: str
    candidate: str | None = None
    share: float = 0.0
    shadow: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"a share of shoppers is from 0 to 1, not {self.share}")
        if self.candidate is None and (self.share or self.shadow):
            raise ValueError("there is no candidate that a share or a shadow could be of")
        if self.candidate == self.champion:
            raise ValueError(f"release {self.champion} is the champion; a candidate is another release")


class RolloutTarget(Protocol):
    """Where releases are served: the local recommender, or a cluster."""

    def read(self) -> Split | None:
        """What is in force now; None where nothing is deployed.

        Raises:
            RolloutError: it cannot be found out; says the remedy.
        """
        ...

    def apply(self, split: Split) -> None:
        """Bring a split into force; the same one again changes nothing.

        Returns once it is in force: no list is begun by the former one after that.

        Raises:
            RolloutError: it is not in force within the target's patience; says why, and the remedy. What is in force
                then is what :meth:`read` says.
        """
        ...
