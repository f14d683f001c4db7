"""A rollout in a cluster, with KServe in Standard mode: a service per release, and a graph that divides the calls.

In Standard mode KServe 0.20 takes ``canaryTrafficPercent`` and ``spec.canary`` and moves no traffic; a Splitter of an
InferenceGraph does. Its router draws for each call anew: a shopper may get lists of both releases (docs/kubernetes.md
has what that means for the figures).
"""

from collections.abc import Iterable

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.kserve_cluster import (
    DEPLOYMENTS,
    GRAPHS,
    PODS,
    SERVICES,
    ClusterConflict,
    Object,
)
from tastemaker.promotion.rollout.kserve_objects import (
    TEMPLATE,
    graph_of,
    routed,
    service_name,
    split_of,
    steps_of,
)
from tastemaker.promotion.rollout.kserve_services import Platform, require_possible
from tastemaker.promotion.rollout.kserve_waiting import condition
from tastemaker.promotion.rollout.target import Split

__all__ = ["KServeTarget"]

_GRAPH_LABEL = "serving.kserve.io/inferencegraph"


class KServeTarget:
    """A :class:`~tastemaker.promotion.rollout.target.RolloutTarget` over InferenceServices and an InferenceGraph.

    Services of releases are made of the stopped one that the manifests bring, so that applying the manifests again
    changes neither releases nor shares.

    Args:
        platform: where releases are served.
        graph: name of the graph that shoppers are sent to.
        path: what the router posts calls to; a graph has one.
        routers: replicas of its router, at least and at most, when it is made.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        graph: str = "recommendations",
        path: str = "/v1/recommend",
        routers: tuple[int, int] = (2, 6),
    ) -> None:
        self._platform, self._cluster = platform, platform.cluster
        self._graph, self._path, self._routers = graph, path, routers

    def read(self) -> Split | None:
        """The split that all routers follow; None before the first one.

        Raises:
            RolloutError: routers follow different ones, a release's service is gone, or somebody changed the graph.
        """
        graph = self._cluster.get(GRAPHS, self._graph)
        if graph is None:
            return None
        split = split_of(graph, self._urls(release for release, _, _ in steps_of(graph["spec"])))
        for release in filter(None, (split.champion, split.candidate)):
            if self._cluster.get(SERVICES, self._name(release)) is None:
                raise RolloutError(f"the service {self._name(release)} of release {release} is gone; apply a split")
        behind = self._behind(graph)
        if behind:
            raise RolloutError(f"not all routers of {self._graph} follow {split}: {behind}; apply a split, or wait")
        return split

    def apply(self, split: Split) -> None:
        """Start what the split needs, send the calls there, and stop what it does not need.

        Until the services that are needed are ready, calls go where they went before; services that are not needed
        any more stay until no router can send a call to them.

        Raises:
            RolloutError: see :class:`~tastemaker.promotion.rollout.target.RolloutTarget`; or it asks for a shadow.
        """
        require_possible(split, "a graph's router cannot send a call to two releases and answer with one")
        wanted = [release for release in (split.champion, split.candidate) if release is not None]
        for release in wanted:
            self._start(release)
        for release in wanted:
            self._await_service(release)
        self._await_routers(self._put_graph(split))
        in_force = self.read()
        if in_force != split:
            raise RolloutError(f"{split} was in force, and then somebody made it {in_force}; one rollout at a time")
        self._stop_all_but({self._name(release) for release in wanted})

    def _name(self, release: str) -> str:
        return service_name(self._platform.template, release)

    def _urls(self, releases: Iterable[str]) -> dict[str, str]:
        inside = f"{self._cluster.namespace}.svc.cluster.local"
        return {release: f"http://{self._name(release)}-predictor.{inside}{self._path}" for release in releases}

    def _start(self, release: str) -> None:
        patience = self._platform.patience()
        while True:
            there = self._cluster.get(SERVICES, self._name(release))
            if there is not None and "deletionTimestamp" not in there["metadata"]:
                return
            if there is None:
                made = self._platform.service_of(release, self._name(release), "Standard")
                try:
                    self._cluster.create(SERVICES, made)
                except ClusterConflict:
                    continue  # made by another one meanwhile
                return
            patience.wait(f"the former service {self._name(release)} of release {release} is not gone yet")

    def _await_service(self, release: str) -> None:
        name, patience = self._name(release), self._platform.patience()
        while True:
            there = self._cluster.get(SERVICES, name)
            if there is None:
                raise RolloutError(f"the service {name} of release {release} was removed while it started; apply again")
            ready, why = condition(there, "Ready")
            if ready:
                return
            patience.wait(f"release {release} does not get ready as {name}: {why}")

    def _put_graph(self, split: Split) -> Object:
        urls, patience = self._urls(filter(None, (split.champion, split.candidate))), self._platform.patience()
        while True:
            former = self._cluster.get(GRAPHS, self._graph)
            wanted = graph_of(split, self._graph, urls, self._routers, former)
            try:
                if former is None:
                    return self._cluster.create(GRAPHS, wanted)
                if former["spec"] == wanted["spec"]:
                    return former
                return self._cluster.replace(GRAPHS, wanted)
            except ClusterConflict as error:
                patience.wait(f"the graph {self._graph} is changed by others all the time: {error}")

    def _await_routers(self, graph: Object) -> None:
        patience = self._platform.patience()
        while behind := self._behind(graph):
            patience.wait(f"not all routers of {self._graph} follow what was asked for: {behind}")

    def _behind(self, graph: Object) -> str:
        """Why the routers do not all do what the graph says; empty where they do.

        The graph's own condition is not asked: KServe 0.20 sets it once the router's Deployment has any opinion.
        """
        wanted = steps_of(graph["spec"])
        deployment = self._cluster.get(DEPLOYMENTS, self._graph)
        if deployment is None:
            return "KServe has not made their Deployment; is its controller running?"
        status = deployment.get("status", {})
        if routed(deployment["spec"]["template"]) != wanted:
            return "KServe has not told their Deployment; is its controller running?"
        if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
            return "their Deployment's change is not seen yet"
        replicas = status.get("replicas", 0)
        if not replicas or status.get("updatedReplicas", 0) < replicas or status.get("availableReplicas", 0) < replicas:
            return (
                f"{status.get('updatedReplicas', 0)} of {replicas} were started anew, "
                f"{status.get('availableReplicas', 0)} answer"
            )
        # One that is ending still sends calls the old way.
        others = [pod for pod in self._pods() if routed(pod) != wanted]
        return f"{len(others)} of the former ones still run" if others else ""

    def _pods(self) -> list[Object]:
        pods = self._cluster.find(PODS, {_GRAPH_LABEL: self._graph})
        return [pod for pod in pods if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}]

    def _stop_all_but(self, needed: set[str]) -> None:
        for service in self._cluster.find(SERVICES, {TEMPLATE: self._platform.template}):
            if service["metadata"]["name"] not in needed:
                self._cluster.delete(SERVICES, service["metadata"]["name"])
