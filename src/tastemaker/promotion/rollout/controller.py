"""Drives a rollout: writes down what it is about to do, does it, writes down that it is done.

Every action may be done again without changing anything, so a process that comes after a crash looks at the file and
goes on. Whoever calls :meth:`RolloutController.tick` again and again drives: the command line, or a flow on a schedule.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from tastemaker.errors import GateRejected, RolloutError, TastemakerError
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.rollout.figures import Figures
from tastemaker.promotion.rollout.judging import Judgement, judge
from tastemaker.promotion.rollout.policy import RolloutPolicy
from tastemaker.promotion.rollout.state import Phase, Rollout, Transition
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.promotion.rollout.target import RolloutTarget, Split

__all__ = ["RolloutController"]

_BY_ITSELF = "rollout"


class RolloutController:
    """One platform's rollouts, one at a time.

    Args:
        store: of their state.
        registry: of releases; has the champion.
        target: where they are served.
        figures: what was seen of the step that a rollout is in.
        now: the platform's clock.
        patience_s: how long a person's command waits for whoever drives.
    """

    def __init__(
        self,
        store: RolloutStore,
        registry: ReleaseRegistry,
        target: RolloutTarget,
        figures: Callable[[Rollout, datetime], Figures],
        now: Callable[[], datetime],
        *,
        patience_s: float = 30.0,
    ) -> None:
        self._store, self._registry, self._target = store, registry, target
        self._figures, self._now, self._patience_s = figures, now, patience_s

    def start(self, candidate: str, bento: str, policy: RolloutPolicy, *, by: str) -> Rollout:
        """Begin with the first step.

        Args:
            candidate: id of a release that passed the gate.
            bento: tag of its Bento.
            policy: the steps and guardrails.
            by: who begins it.

        Raises:
            RolloutError: another rollout runs, or there is no champion to compare with.
            GateRejected: the release may not be promoted.
            DataError: there is no such release.
        """
        with self._store.driving(self._patience_s):
            running = self._store.newest()
            if running is not None and not running.over:
                raise RolloutError(
                    f"the rollout of {running.candidate} is {running.phase}; wait for its end, or: tastemaker rollout"
                    " abort"
                )
            self._registry.require_promotable(candidate)
            champion = self._registry.champion()
            if champion is None:
                raise RolloutError(
                    f"there is no champion to compare {candidate} with; promote it at once: tastemaker releases"
                    f" promote {candidate}"
                )
            if champion.release == candidate:
                raise RolloutError(f"release {candidate} is the champion already")
            self._store.forget_abort()
            now = self._now()
            begun = Transition(at=now, phase="entering", step=policy.steps[0].name, reason="started", by=by)
            rollout = Rollout(
                id=f"{now:%Y%m%dt%H%M%S%f}-{candidate}",
                candidate=candidate,
                bento=bento,
                champion=champion.release,
                policy=policy.model_dump(mode="json"),
                phase="entering",
                step=0,
                journal=(begun,),
            )
            self._store.write(rollout)
            return self._act(rollout)

    def tick(self) -> Rollout | None:
        """Look once, and take the step that is due; also what a killed driver left undone.

        Returns:
            The rollout that runs or ran last; None before the first one.

        Raises:
            RolloutError: another process drives, or the target cannot be brought back to the champion.
        """
        with self._store.driving():
            rollout = self._store.newest()
            if rollout is None or rollout.over:
                return rollout
            asked = self._store.asked_to_abort()
            if asked is not None:
                return self._revert(rollout, asked, by="abort")
            if rollout.phase in {"entering", "promoting", "reverting"}:
                return self._act(rollout)
            return self._watch(rollout)

    def advance(self, *, by: str, reason: str = "") -> Rollout:
        """Go to the next step, whatever the figures say.

        Raises:
            RolloutError: none runs, or it is between two steps.
        """
        with self._store.driving(self._patience_s):
            rollout = self._running()
            if rollout.phase in {"entering", "promoting", "reverting"}:
                raise RolloutError(f"the rollout is {rollout.phase}; go on with: tastemaker rollout watch")
            return self._further(rollout, reason or "advanced by hand", by, rollout.judged)

    def hold(self, *, by: str, reason: str = "", release: bool = False) -> Rollout:
        """Stay in the step, or, with ``release``, go on by itself again. Guardrails roll back either way.

        Raises:
            RolloutError: none runs, or it is between two steps.
        """
        with self._store.driving(self._patience_s):
            rollout = self._running()
            if release:
                if rollout.phase != "held":
                    raise RolloutError(f"the rollout is {rollout.phase}, not held")
                return self._write(rollout, "watching", reason or "goes on by itself", by, hold=False)
            if rollout.phase not in {"watching", "entering"}:
                raise RolloutError(f"the rollout is {rollout.phase}; only a step can be held")
            return self._write(rollout, "held", reason or "held by hand", by, hold=True)

    def abort(self, *, by: str, reason: str = "") -> Rollout:
        """Give all shoppers back to the champion, at once: before whoever drives is waited for.

        Raises:
            RolloutError: none runs, or what serves does not follow.
        """
        rollout = self._running()
        if rollout.phase == "promoting":
            raise RolloutError(f"release {rollout.candidate} is being promoted; then use: tastemaker releases rollback")
        said = reason or "aborted by hand"
        self._store.ask_to_abort(said)
        self._target.apply(Split(rollout.champion))
        with self._store.driving(self._patience_s):
            newest = self._store.get(rollout.id)
            return newest if newest.over else self._revert(newest, said, by)

    def _running(self) -> Rollout:
        rollout = self._store.newest()
        if rollout is None or rollout.over:
            raise RolloutError("no rollout runs; begin one with: tastemaker rollout start RELEASE")
        return rollout

    def _watch(self, rollout: Rollout) -> Rollout:
        champion = self._registry.champion()
        if champion is None or champion.release != rollout.champion:
            return self._revert(rollout, f"the champion is now {champion.release if champion else 'none'}", _BY_ITSELF)
        since = rollout.since
        if since is None or self._target.read() != rollout.split:  # a lease that ran out, a restart, another hand
            return self._act(self._write(rollout, "entering", "it was no longer in force", _BY_ITSELF, since=None))
        try:
            self._target.apply(rollout.split)  # changes nothing, but that it stays
        except RolloutError as error:
            return self._revert(rollout, str(error), _BY_ITSELF)
        now = self._now()
        judged = judge(rollout.rules, rollout.step, self._figures(rollout, now), (now - since).total_seconds() / 60)
        rollout = msgspec.structs.replace(rollout, judged=judged)
        if judged.action == "rollback":
            return self._revert(rollout, judged.reason, _BY_ITSELF, judged)
        if rollout.phase == "held":
            self._store.write(rollout)
            return rollout
        if judged.action == "advance":
            return self._further(rollout, judged.reason, _BY_ITSELF, judged)
        hours = (now - since).total_seconds() / 3_600
        if hours >= rollout.at.max_hours:
            said = f"after {hours:.1f} hours: {judged.reason}"
            if rollout.rules.on_timeout == "rollback":
                return self._revert(rollout, said, _BY_ITSELF, judged)
            return self._write(rollout, "held", said, _BY_ITSELF, judged, hold=True)
        self._store.write(rollout)
        return rollout

    def _further(self, rollout: Rollout, reason: str, by: str, judged: Judgement | None) -> Rollout:
        if rollout.is_last:
            return self._act(self._write(rollout, "promoting", reason, by, judged, hold=False))
        further = {"step": rollout.step + 1, "since": None, "judged": None, "hold": False}
        return self._act(self._write(rollout, "entering", reason, by, judged, **further))

    def _revert(self, rollout: Rollout, reason: str, by: str, judged: Judgement | None = None) -> Rollout:
        if rollout.phase != "reverting":
            rollout = self._write(rollout, "reverting", reason, by, judged)
        return self._act(rollout)

    def _act(self, rollout: Rollout) -> Rollout:
        """Do what the phase says, and write down that it is done."""
        if rollout.phase == "entering":
            try:
                self._target.apply(rollout.split)
            except TastemakerError as error:
                return self._revert(rollout, str(error), _BY_ITSELF)
            phase: Phase = "held" if rollout.hold else "watching"
            return self._write(rollout, phase, "in force", _BY_ITSELF, since=self._now())
        if rollout.phase == "promoting":
            try:
                self._registry.promote(rollout.candidate, rollout.bento, rollout=True)
            except GateRejected as error:
                return self._revert(rollout, str(error), _BY_ITSELF)
            self._target.apply(rollout.split)
            return self._write(rollout, "promoted", "champion", _BY_ITSELF)
        standing = self._registry.champion()
        if standing is not None:  # who else became champion meanwhile gets the shoppers
            self._target.apply(Split(standing.release))
        ended = self._write(rollout, "reverted", "the champion has all shoppers", _BY_ITSELF)
        self._store.forget_abort()
        return ended

    def _write(
        self, rollout: Rollout, phase: Phase, reason: str, by: str, evidence: Judgement | None = None, **changes: Any
    ) -> Rollout:
        changed = rollout.went(phase, reason, at=self._now(), by=by, evidence=evidence, **changes)
        self._store.write(changed)
        return changed
