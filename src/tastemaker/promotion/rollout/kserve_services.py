"""What both targets in a cluster do alike: make a release's service of the template, and wait for what is asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.kserve_cluster import SERVICES, Cluster, Object
from tastemaker.promotion.rollout.kserve_objects import MODE, mode_of, release_service, whole_per_cent
from tastemaker.promotion.rollout.kserve_waiting import Patience
from tastemaker.promotion.rollout.target import Split

__all__ = ["Platform", "require_possible"]


@dataclass(frozen=True)
class Platform:
    """Where releases are served, and how long to wait there.

    Attributes:
        cluster: where the platform is.
        storage_uri: where KServe finds a release; ``{release}`` stands for its id.
        template: name of the stopped InferenceService that releases' services are made of.
        patience_s: seconds until something that was asked for must be in force.
        sleep: waits some seconds.
        now: a clock that never goes back, in seconds.

    Raises:
        RolloutError: the place is the same for all releases.
    """

    cluster: Cluster
    storage_uri: str
    template: str = "recommender"
    patience_s: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        if "{release}" not in self.storage_uri:
            raise RolloutError(f"{self.storage_uri} is the same for all releases; put {{release}} where its id belongs")

    def uri(self, release: str) -> str:
        """Where KServe finds a release."""
        return self.storage_uri.replace("{release}", release)

    def patience(self) -> Patience:
        """A wait that begins now."""
        return Patience(self.patience_s, self.sleep, self.now)

    def service_of(self, release: str, name: str, mode: str) -> Object:
        """A service for a release, not made yet.

        Args:
            release: its id.
            name: of the service.
            mode: KServe's deployment mode that the rollout acts in: ``Standard`` or ``Knative``.

        Raises:
            RolloutError: the template is not there, or of another mode or shape.
        """
        found = self.cluster.get(SERVICES, self.template)
        where = f"in {self.cluster.namespace}"
        if found is None:
            raise RolloutError(
                f"there is no InferenceService {self.template} {where} that tells the shape of a release's service;"
                " apply the manifests"
            )
        if (asked := mode_of(found)) != mode:
            raise RolloutError(
                f"the InferenceService {self.template} {where} says {MODE}: {asked or '(nothing)'}, and rollouts act on"
                f" {mode}; set TASTEMAKER_CLUSTER_MODE, or apply the overlay of the other mode"
            )
        return release_service(found, name, release, self.uri(release))


def require_possible(split: Split, cannot: str) -> None:
    """Refuse what no mode of KServe can do, before anything is written.

    Args:
        split: that was asked for.
        cannot: who cannot make a shadow, and why.

    Raises:
        RolloutError: a shadow, or a share that is no whole per cent.
    """
    if split.shadow:
        raise RolloutError(
            f"{cannot}; leave the shadow step out of the policy: tastemaker rollout start --policy cluster"
        )
    whole_per_cent(split.share)
