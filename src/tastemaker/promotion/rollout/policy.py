"""The rollout policy: the steps, the guardrails, and how sure one has to be. A YAML file, validated strictly."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker.promotion.hashing import hash_bytes
from tastemaker.promotion.policy_file import read_policy

__all__ = ["Guardrails", "RareGuardrail", "RateGuardrail", "RolloutPolicy", "SlowGuardrail", "Step", "load_policy"]

Share = Annotated[float, Field(ge=0, le=1)]
Chance = Annotated[float, Field(gt=0, lt=0.5)]


class _Part(BaseModel):
    # Every key is required and none is unknown: a policy says all it means, and a typing error is an error.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Step(_Part):
    """One step.

    Attributes:
        name: as it is told.
        share: of the shoppers whose lists the candidate makes.
        shadow: whether it also makes lists for the others, which nobody sees.
        min_minutes: how long it lasts at least.
        min_lists: how many lists the candidate must have made.
        max_drop: a relative drop of the click rate that must be ruled out before the next step; null rules out none.
        max_hours: how long it may last until ``on_timeout``.
    """

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,31}$")]
    share: Share
    shadow: bool
    min_minutes: Annotated[float, Field(ge=0)]
    min_lists: Annotated[int, Field(ge=1)]
    max_drop: Annotated[float, Field(gt=0, lt=1)] | None
    max_hours: Annotated[float, Field(gt=0)]


class RareGuardrail(_Part):
    """Something that should not happen; counted by the shoppers who met it. ``alpha``: chance of a false alarm."""

    alpha: Chance


class RateGuardrail(_Part):
    """A rate that must not drop.

    Attributes:
        alpha: chance of a false alarm.
        tolerance: a relative drop that is accepted, such as 0.01.
        scale: the relative drop that one wants to see soonest; the test is sharpest there.
    """

    alpha: Chance
    tolerance: Annotated[float, Field(ge=0, lt=1)]
    scale: Annotated[float, Field(gt=0, lt=1)]


class SlowGuardrail(_Part):
    """Lists that take long.

    Attributes:
        alpha: chance of a false alarm.
        over_ms: from when a list is slow.
        tolerance: how many more of all lists may be slow than the champion's, as a share.
        scale: the difference that one wants to see soonest, as a share.
    """

    alpha: Chance
    over_ms: Annotated[float, Field(gt=0)]
    tolerance: Annotated[float, Field(ge=0, lt=1)]
    scale: Annotated[float, Field(gt=0, lt=1)]


class Guardrails(_Part):
    """All guardrails by name; ``null`` switches one off, in sight."""

    errors: RareGuardrail | None
    empty_lists: RareGuardrail | None
    tiers: RareGuardrail | None
    latency: SlowGuardrail | None
    clicks: RateGuardrail | None
    carts: RateGuardrail | None


class RolloutPolicy(_Part):
    """A rollout policy.

    Attributes:
        name: as it appears in rollouts.
        description: whom it is for.
        steps: in their order; after the last one the candidate becomes champion.
        guardrails: what must not get worse.
        sure: chance that a step's ``max_drop`` is taken as ruled out although it is there.
        min_users: shoppers of either side before a rate is judged.
        attribution_minutes: a click or a cart belongs to a list for so long; a list counts from then on.
        lease_minutes: the champion gets all shoppers back when nobody has watched for so long.
        on_timeout: what becomes of a step that takes too long.
    """

    name: Annotated[str, Field(min_length=1)]
    description: str
    steps: Annotated[list[Step], Field(min_length=1)]
    guardrails: Guardrails
    sure: Chance
    min_users: Annotated[int, Field(ge=2)]
    attribution_minutes: Annotated[float, Field(ge=0)]
    lease_minutes: Annotated[float, Field(gt=0)]
    on_timeout: Literal["hold", "rollback"]

    @model_validator(mode="after")
    def _in_order(self) -> "RolloutPolicy":
        shares = [step.share for step in self.steps]
        if shares != sorted(shares):
            raise ValueError("steps: shares must not fall from one step to the next")
        if len({step.name for step in self.steps}) < len(self.steps):
            raise ValueError("steps: two steps have the same name")
        if any(step.share == 0 and not step.shadow for step in self.steps):
            raise ValueError("steps: a step without a share needs a shadow, else it sees nothing")
        if self.guardrails.clicks is None and any(step.max_drop is not None for step in self.steps):
            raise ValueError("steps: max_drop needs the guardrail clicks")
        if sum(one.alpha for _, one in self.guardrails if one is not None) > 0.2:
            raise ValueError("guardrails: the chances of a false alarm add up to more than 0.2")
        return self

    def part_of_alpha(self, step: int) -> float:
        """The part of each guardrail's ``alpha`` that a step may use: half for the last, the rest for the others.

        >>> [load_policy(Path("monitoring/rollout/default.yaml")).part_of_alpha(n) for n in (0, 3)]  # doctest: +SKIP
        [0.16666666666666666, 0.5]
        """
        if len(self.steps) == 1:
            return 1.0
        return 0.5 if step == len(self.steps) - 1 else 0.5 / (len(self.steps) - 1)

    def digest(self) -> str:
        """SHA-256 of its content; comments and layout of the file do not matter."""
        return hash_bytes(self.model_dump_json().encode())


def load_policy(path: Path) -> RolloutPolicy:
    """Read and validate a policy file.

    Raises:
        DataError: the file is missing, no YAML, or breaks the schema; names the file, every wrong key, and what
            is wrong with it.
    """
    return read_policy(path, RolloutPolicy, kind="rollout policy", shipped="monitoring/rollout/", part="a guardrail")
