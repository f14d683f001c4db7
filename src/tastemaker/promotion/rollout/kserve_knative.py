"""A rollout in a cluster, with KServe on Knative: one service, whose newest revision gets ``canaryTrafficPercent``.

KServe keeps two revisions in traffic: the one that was last given everything ("rolled out"), and the newest. The
service carries in annotations which releases these are, written in the same replacement as the fields that make it so.
"""

import copy
from collections.abc import Callable
from typing import Final

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.kserve_cluster import KNATIVE, SERVICES, ClusterConflict, Object
from tastemaker.promotion.rollout.kserve_objects import (
    RELEASE,
    storage_of,
    whole_per_cent,
    with_storage,
)
from tastemaker.promotion.rollout.kserve_services import Platform, require_possible
from tastemaker.promotion.rollout.kserve_waiting import condition
from tastemaker.promotion.rollout.target import Split

__all__ = ["KnativeTarget"]

_CANARY: Final = "canaryTrafficPercent"
# The champion; the newest revision's release; and whether that one is on trial ("" after it was turned away).
_CHAMPION: Final = "tastemaker/champion"
_NEWEST: Final = RELEASE
_CANDIDATE: Final = "tastemaker/candidate"


class KnativeTarget:
    """A :class:`~tastemaker.promotion.rollout.target.RolloutTarget` over one InferenceService and its revisions.

    Args:
        platform: where releases are served.
        service: name of the service.
    """

    def __init__(self, platform: Platform, *, service: str = "recommender-live") -> None:
        self._platform, self._cluster = platform, platform.cluster
        self._service = service

    def read(self) -> Split | None:
        """The split that Knative's traffic has; None before the first one.

        Raises:
            RolloutError: traffic is not yet, or not any more, what the service asks for.
        """
        service = self._cluster.get(SERVICES, self._service)
        if service is None:
            return None
        split = _split_of(service)
        behind = _behind(service, self._knative())
        if behind:
            raise RolloutError(f"{self._service} does not follow {split}: {behind}; apply a split, or wait")
        return split

    def apply(self, split: Split) -> None:
        """Write what the split needs, and wait until Knative's traffic is so.

        Raises:
            RolloutError: see :class:`~tastemaker.promotion.rollout.target.RolloutTarget`; or it asks for a shadow.
        """
        require_possible(split, "Knative cannot send a call to two revisions and answer with one")
        service = self._cluster.get(SERVICES, self._service)
        if service is None:
            self._make(split.champion)
        elif _told(service, _CHAMPION) != split.champion:
            # It has to have everything before another one can be on trial beside it.
            self._write(lambda was: self._given_all(was, split.champion))
        self._write(lambda was: self._divided(was, split))
        in_force = self.read()
        if in_force != split:
            raise RolloutError(f"{split} was in force, and then somebody made it {in_force}; one rollout at a time")

    def _now_there(self) -> Object:
        service = self._cluster.get(SERVICES, self._service)
        if service is None:
            raise RolloutError(f"the service {self._service} was removed meanwhile; apply the split again")
        return service

    def _make(self, release: str) -> None:
        made = self._platform.service_of(release, self._service, "Knative")
        made["metadata"]["annotations"] |= {_CHAMPION: release, _CANDIDATE: ""}
        try:
            self._cluster.create(SERVICES, made)
        except ClusterConflict:
            return  # made by another one meanwhile; what it says is looked at
        self._await()

    def _given_all(self, service: Object, release: str) -> Object:
        """The newest revision, which is the release's, gets everything and counts as rolled out."""
        made = self._of_release(service, release)
        made["spec"]["predictor"].pop(_CANARY, None)
        made["metadata"]["annotations"] |= {_CHAMPION: release, _CANDIDATE: ""}
        return made

    def _divided(self, service: Object, split: Split) -> Object:
        """The newest revision, which is the candidate's, gets its share; without a candidate it gets nothing."""
        if split.candidate is None and _told(service, _NEWEST) == split.champion:
            return self._given_all(service, split.champion)
        made = self._of_release(service, split.candidate or _told(service, _NEWEST))
        made["spec"]["predictor"][_CANARY] = whole_per_cent(split.share)
        made["metadata"]["annotations"] |= {_CHAMPION: split.champion, _CANDIDATE: split.candidate or ""}
        return made

    def _of_release(self, service: Object, release: str) -> Object:
        made = copy.deepcopy(service)
        if _told(service, _NEWEST) != release:
            made = with_storage(made, self._platform.uri(release))
        made.pop("status", None)
        made["metadata"]["annotations"][_NEWEST] = release
        made["metadata"]["labels"][_NEWEST] = release
        return made

    def _write(self, change: Callable[[Object], Object]) -> None:
        patience = self._platform.patience()
        while True:
            was = self._now_there()
            wanted = change(was)
            same = wanted["spec"] == was["spec"] and wanted["metadata"] == was["metadata"]
            try:
                if not same:
                    self._cluster.replace(SERVICES, wanted)
                break
            except ClusterConflict as error:
                patience.wait(f"the service {self._service} is changed by others all the time: {error}")
        self._await()

    def _await(self) -> None:
        patience = self._platform.patience()
        while behind := _behind(self._now_there(), self._knative()):
            patience.wait(f"{self._service} does not follow what was asked for: {behind}")

    def _knative(self) -> Object | None:
        return self._cluster.get(KNATIVE, f"{self._service}-predictor")


def _told(service: Object, name: str) -> str:
    return str(service["metadata"].get("annotations", {}).get(name, ""))


def _split_of(service: Object) -> Split:
    name, champion, candidate = service["metadata"]["name"], _told(service, _CHAMPION), _told(service, _CANDIDATE)
    share = service["spec"]["predictor"].get(_CANARY)
    if not champion:
        raise RolloutError(f"the service {name} was not made by a rollout: it names no champion; remove it, then apply")
    known = candidate in {"", _told(service, _NEWEST)}
    if share is None:
        known = known and not candidate and champion == _told(service, _NEWEST)
    elif not candidate:
        known = known and share == 0
    if not known or not 0 <= (share or 0) <= 100:
        raise RolloutError(f"somebody changed the service {name}: its share and its releases disagree; apply a split")
    return Split(champion, candidate or None, (share or 0) / 100 if candidate else 0.0)


def _behind(service: Object, knative: Object | None) -> str:
    """Why traffic is not what the service asks for; empty where it is.

    Knative's own object is asked: the InferenceService's status does not tell which version of itself it is of (its
    ``observedGeneration`` is the other object's).
    """
    predictor = service["spec"]["predictor"]
    if knative is None or storage_of(knative["spec"]["template"]["spec"]) != storage_of(predictor):
        return "KServe has not told Knative; is its controller running?"
    told = knative.get("status", {})
    if told.get("observedGeneration", 0) < knative["metadata"]["generation"]:
        return "Knative has not looked at it yet; is its controller running?"
    newest = told.get("latestCreatedRevisionName")
    if newest is None or newest != told.get("latestReadyRevisionName"):
        return f"the newest revision {newest} is not ready: {condition(knative, 'Ready')[1] or 'no reason is given'}"
    ready, why = condition(knative, "Ready")
    if not ready:
        return why
    gets = sum(entry.get("percent") or 0 for entry in told.get("traffic", ()) if entry.get("revisionName") == newest)
    wanted = predictor.get(_CANARY, 100)
    return "" if gets == wanted else f"the newest revision {newest} gets {gets} % instead of {wanted} %"
