"""The state of a rollout: where it is, how it came there, and what may come next. Pure data; nothing is done here."""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.judging import Judgement
from tastemaker.promotion.rollout.policy import RolloutPolicy, Step
from tastemaker.promotion.rollout.target import Split

__all__ = ["NEXT", "Phase", "Rollout", "Transition"]

# An intent is written down before anything is done, and what was done after it: ``entering``, ``promoting`` and
# ``reverting`` are intents, and doing them again changes nothing. So whoever comes after a crash goes on from the file.
Phase = Literal["entering", "watching", "held", "promoting", "reverting", "promoted", "reverted"]

NEXT: Final[dict[Phase, frozenset[Phase]]] = {
    "entering": frozenset({"watching", "held", "reverting"}),
    "watching": frozenset({"entering", "held", "promoting", "reverting"}),
    "held": frozenset({"entering", "watching", "promoting", "reverting"}),
    "promoting": frozenset({"promoted", "reverting"}),
    "reverting": frozenset({"reverted"}),
    "promoted": frozenset(),
    "reverted": frozenset(),
}


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the journal.

    Attributes:
        at: when (UTC).
        phase: that began.
        step: name of the step that it is of.
        reason: why.
        by: who or what decided.
        evidence: what was judged, where figures decided.
    """

    at: datetime
    phase: Phase
    step: str
    reason: str
    by: str
    evidence: Judgement | None = None


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout.

    Attributes:
        id: sorts by time.
        candidate: the release on trial.
        bento: tag of the Bento that it is promoted with.
        champion: the release that it is to replace.
        policy: as it was when the rollout began: a changed file changes no running rollout.
        phase: where it is.
        step: place of the step among the policy's.
        since: when the step came into force (UTC); None before.
        hold: whether it goes to no further step by itself.
        judged: what the figures said last.
        journal: every transition, the oldest first.
    """

    id: str
    candidate: str
    bento: str
    champion: str
    policy: dict[str, Any]
    phase: Phase
    step: int
    journal: tuple[Transition, ...]
    since: datetime | None = None
    hold: bool = False
    judged: Judgement | None = None

    @property
    def rules(self) -> RolloutPolicy:
        """The policy."""
        return RolloutPolicy.model_validate(self.policy)

    @property
    def at(self) -> Step:
        """The step."""
        return self.rules.steps[self.step]

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return not NEXT[self.phase]

    @property
    def is_last(self) -> bool:
        """Whether the candidate becomes champion after this step."""
        return self.step == len(self.rules.steps) - 1

    @property
    def split(self) -> Split:
        """What has to be in force, or to come into force, in this phase."""
        if self.phase in {"promoting", "promoted"}:
            return Split(self.candidate)
        if self.phase in {"reverting", "reverted"}:
            return Split(self.champion)
        return Split(self.champion, self.candidate, self.at.share, self.at.shadow)

    def went(
        self,
        phase: Phase,
        reason: str,
        *,
        at: datetime,
        by: str,
        evidence: Judgement | None = None,
        **changes: Any,
    ) -> "Rollout":
        """The rollout after a transition.

        Raises:
            RolloutError: there is no such transition.
        """
        if phase not in NEXT[self.phase]:
            raise RolloutError(
                f"the rollout of {self.candidate} is {self.phase}, after which {phase} cannot come;"
                " see: tastemaker rollout status"
            )
        changed = msgspec.structs.replace(self, phase=phase, **changes)
        entry = Transition(at=at, phase=phase, step=changed.at.name, reason=reason, by=by, evidence=evidence)
        return msgspec.structs.replace(changed, journal=(*self.journal, entry))
