"""A cluster in memory, with as much of KServe's controllers as a rollout looks at; each tick they take one step.

What they do was taken from a real KServe 0.20; ``tests/k8s`` runs the same rollouts there.
"""

import copy
import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from tastemaker.promotion.rollout.kserve_cluster import (
    DEPLOYMENTS,
    GRAPHS,
    KNATIVE,
    PODS,
    SERVICES,
    ClusterConflict,
    Resource,
)

NEVER = "never-ready"  # a release whose URI has this never gets ready


def template(*, mode: str = "Standard") -> dict[str, Any]:
    """The stopped InferenceService of the manifests, with what a rollout looks at."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "recommender",
            "labels": {"app.kubernetes.io/name": "recommender"},
            "annotations": {
                "serving.kserve.io/stop": "true",
                "serving.kserve.io/deploymentMode": mode,
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": 2,
                "containers": [
                    {"name": "kserve-container", "env": [{"name": "STORAGE_URI", "value": "pvc://home/unnamed"}]}
                ],
            }
        },
    }


class TwinCluster:
    """A :class:`~tastemaker.promotion.rollout.kserve_cluster.Cluster`; ``tick`` is its clock's sleep.

    Attributes:
        log: what was written, in order: ``("create", "inferenceservices", name)``.
        before_write: called before each replacement; may change objects, as somebody else would.
        stuck: the controllers do nothing.
    """

    namespace = "shop"

    def __init__(self, *, mode: str = "Standard") -> None:
        self._objects: dict[tuple[Resource, str], dict[str, Any]] = {}
        self._versions = count(1)
        self.log: list[tuple[str, str, str]] = []
        self.before_write: Callable[[], None] = lambda: None
        self.stuck = False
        self.time = 0.0
        self.create(SERVICES, template(mode=mode))
        self.log.clear()

    def now(self) -> float:
        return self.time

    def tick(self, seconds: float) -> None:
        self.time += seconds
        if self.stuck:
            return
        for (resource, name), found in list(self._objects.items()):
            if "deletionTimestamp" in found["metadata"]:
                del self._objects[resource, name]
            elif resource == SERVICES:
                self._service(found)
            elif resource == GRAPHS:
                self._graph(found)
            elif resource == DEPLOYMENTS:
                self._deployment(found)

    def get(self, resource: Resource, name: str) -> dict[str, Any] | None:
        return copy.deepcopy(self._objects.get((resource, name)))

    def find(self, resource: Resource, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            copy.deepcopy(found)
            for (kind, _), found in self._objects.items()
            if kind == resource and labels.items() <= found["metadata"].get("labels", {}).items()
        ]

    def create(self, resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
        name = body["metadata"]["name"]
        if (resource, name) in self._objects:
            raise ClusterConflict(f"{name} exists")
        made = copy.deepcopy(body)
        made["metadata"] |= {"generation": 1, "resourceVersion": str(next(self._versions))}
        self._objects[resource, name] = made
        self.log.append(("create", resource.plural, name))
        return copy.deepcopy(made)

    def replace(self, resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
        self.before_write()
        name = body["metadata"]["name"]
        there = self._objects.get((resource, name))
        if there is None or there["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ClusterConflict(f"{name} has changed")
        made = copy.deepcopy(body)
        made["metadata"]["resourceVersion"] = str(next(self._versions))
        made["metadata"]["generation"] += made["spec"] != there["spec"]
        made["status"] = there.get("status", {})
        self._objects[resource, name] = made
        self.log.append(("replace", resource.plural, name))
        return copy.deepcopy(made)

    def delete(self, resource: Resource, name: str) -> None:
        if (resource, name) in self._objects:
            self._objects[resource, name]["metadata"]["deletionTimestamp"] = "now"
            self.log.append(("delete", resource.plural, name))

    def change(self, resource: Resource, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change an object as somebody else would."""
        found = self._objects[resource, name]
        change(found)
        found["metadata"]["resourceVersion"] = str(next(self._versions))
        found["metadata"]["generation"] += 1

    def _service(self, found: dict[str, Any]) -> None:
        told = found["metadata"]
        if told.get("annotations", {}).get("serving.kserve.io/stop") == "true":
            return
        status = found.setdefault("status", {})
        predictor = found["spec"]["predictor"]
        uri = predictor["containers"][0]["env"][0]["value"]
        ready = NEVER not in uri
        reason = {} if ready else {"message": "the release does not load"}
        status["conditions"] = [{"type": "Ready", "status": str(ready), **reason}]
        if told["annotations"]["serving.kserve.io/deploymentMode"] == "Knative":
            self._knative(found, uri, status["conditions"])

    def _knative(self, service: dict[str, Any], uri: str, conditions: list[dict[str, Any]]) -> None:
        """KServe tells Knative, and Knative makes a revision of each new template."""
        name, share = (
            f"{service['metadata']['name']}-predictor",
            service["spec"]["predictor"].get("canaryTrafficPercent"),
        )
        key = (KNATIVE, name)
        found = self._objects.setdefault(key, {"metadata": {"name": name, "generation": 0}, "revisions": []})
        spec = {"template": {"spec": service["spec"]["predictor"]}}
        if found.get("spec") != spec:
            found["spec"] = copy.deepcopy(spec)
            found["metadata"]["generation"] += 1
            return  # Knative looks at it in the next tick
        if not found["revisions"] or found["revisions"][-1] != uri:
            found["revisions"].append(uri)
        newest, status = f"r{len(found['revisions'])}", found.setdefault("status", {})
        status |= {"observedGeneration": found["metadata"]["generation"], "conditions": conditions}
        status["latestCreatedRevisionName"] = newest
        if conditions[0]["status"] != "True":
            return
        status["latestReadyRevisionName"] = newest
        if share is None or "rolledOut" not in found:
            found["rolledOut"] = newest
            status["traffic"] = [{"latestRevision": True, "revisionName": newest, "percent": 100}]
        else:
            status["traffic"] = [
                {"latestRevision": True, "revisionName": newest, "percent": share},
                {"revisionName": found["rolledOut"], "percent": 100 - share},
            ]

    def _graph(self, found: dict[str, Any]) -> None:
        name = found["metadata"]["name"]
        pod = {"containers": [{"name": name, "args": ["--graph-json", json.dumps(found["spec"])]}]}
        there = self._objects.get((DEPLOYMENTS, name))
        if there is None:
            self._objects[DEPLOYMENTS, name] = {
                "metadata": {"name": name, "generation": 1, "resourceVersion": str(next(self._versions))},
                "spec": {"template": {"spec": pod}},
            }
        elif there["spec"]["template"]["spec"] != pod:
            there["spec"]["template"]["spec"] = pod
            there["metadata"]["generation"] += 1

    def _deployment(self, found: dict[str, Any]) -> None:
        name, told, status = found["metadata"]["name"], found["metadata"], found.get("status", {})
        pods = [key for key in self._objects if key[0] == PODS]
        if status.get("observedGeneration") != told["generation"]:  # one tick: the new ones beside the old ones
            made = {
                "metadata": {
                    "name": f"{name}-{told['generation']}",
                    "labels": {"serving.kserve.io/inferencegraph": name},
                    "resourceVersion": "1",
                },
                "spec": copy.deepcopy(found["spec"]["template"]["spec"]),
            }
            self._objects[PODS, made["metadata"]["name"]] = made
            found["status"] = {
                "observedGeneration": told["generation"],
                "replicas": 1,
                "updatedReplicas": 1,
                "availableReplicas": 1,
            }
        else:  # the next: the old ones end
            for key in pods:
                if key[1] != f"{name}-{told['generation']}":
                    del self._objects[key]
