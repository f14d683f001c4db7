"""The objects of a rollout in a cluster: an InferenceService per release, and the graph that divides the calls.

Pure functions from what was read to what is to be written, and back.
"""

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.target import Split

__all__ = [
    "MODE",
    "RELEASE",
    "STOP",
    "TEMPLATE",
    "graph_of",
    "mode_of",
    "release_service",
    "routed",
    "service_name",
    "split_of",
    "steps_of",
    "storage_of",
    "whole_per_cent",
    "with_storage",
]

Object = dict[str, Any]
RELEASE: Final = "tastemaker/release"  # label and annotation of a release's service
TEMPLATE: Final = "tastemaker/template"  # label of what was made of a template: its name
MODE: Final = "serving.kserve.io/deploymentMode"
STOP: Final = "serving.kserve.io/stop"
_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_CONTAINER: Final = "kserve-container"
_STORAGE: Final = "STORAGE_URI"
_ROOT: Final = "root"
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def whole_per_cent(share: float) -> int:
    """A share as the whole per cent that KServe divides by.

    >>> whole_per_cent(0.07)
    7

    Raises:
        RolloutError: the share is between two.
    """
    per_cent = round(share * 100)
    if abs(share * 100 - per_cent) > 1e-6:
        raise RolloutError(f"KServe divides by whole per cent, and {share:.4%} is none; choose {max(per_cent, 1)} %")
    return per_cent


def service_name(base: str, release: str) -> str:
    """The name of a release's service: short, since names of hosts are made of it, which end at 63 characters.

    >>> service_name("recommender", "20111209t130354-f980e305")
    'recommender-r36e5e9da'
    """
    return f"{base}-r{hashlib.sha256(release.encode()).hexdigest()[:8]}"


def with_storage(service: Object, uri: str) -> Object:
    """The service with another release to load.

    Raises:
        RolloutError: it has no container ``kserve-container`` with ``STORAGE_URI``.
    """
    made = copy.deepcopy(service)
    for container in made["spec"]["predictor"].get("containers", ()):
        if container.get("name") == _CONTAINER:
            for variable in container.get("env", ()):
                if variable.get("name") == _STORAGE:
                    variable["value"] = uri
                    return made
    name = service["metadata"]["name"]
    raise RolloutError(f"the InferenceService {name} has no {_CONTAINER} with {_STORAGE}; apply the manifests again")


def storage_of(pod_spec: Mapping[str, Any]) -> str:
    """What a predictor, or a pod that was made of one, loads; empty where it does not say."""
    return next(
        (
            str(variable.get("value", ""))
            for container in pod_spec.get("containers", ())
            if container.get("name") == _CONTAINER
            for variable in container.get("env", ())
            if variable.get("name") == _STORAGE
        ),
        "",
    )


def mode_of(service: Object) -> str:
    """The deployment mode that a service asks KServe for, by its name of today; empty where it does not say."""
    asked = str(service["metadata"].get("annotations", {}).get(MODE, ""))
    return {"RawDeployment": "Standard", "Serverless": "Knative"}.get(asked, asked)


def release_service(template: Object, name: str, release: str, uri: str) -> Object:
    """A service for a release, of the shape of the template.

    Args:
        template: the stopped InferenceService of the manifests, as read.
        name: of the new one.
        release: id of the release.
        uri: where KServe finds its files.

    Raises:
        RolloutError: the id cannot be a label's value, or the template is of another shape.
    """
    if not _LABEL.fullmatch(release):
        raise RolloutError(f"the release {release!r} cannot be named in a label; releases of this platform can")
    told = template["metadata"]
    annotations = {key: value for key, value in told.get("annotations", {}).items() if key not in {STOP, _APPLIED}}
    made = with_storage({"spec": template["spec"], "metadata": {"name": told["name"]}}, uri)
    made["apiVersion"], made["kind"] = template["apiVersion"], template["kind"]
    made["metadata"] = {
        "name": name,
        "labels": {**told.get("labels", {}), RELEASE: release, TEMPLATE: told["name"]},
        "annotations": {**annotations, RELEASE: release},
    }
    return made


def graph_of(
    split: Split, name: str, urls: Mapping[str, str], routers: tuple[int, int], former: Object | None
) -> Object:
    """The graph that puts a split into force.

    Args:
        split: what shoppers are to get.
        name: of the graph.
        urls: where to post a call, by release.
        routers: replicas of KServe's router, at least and at most; of a new graph.
        former: the graph as it was read; only its steps are changed. None: there is none yet.
    """
    shares = _shares(split)
    steps = [{"name": release, "serviceUrl": urls[release], "weight": share} for release, share in shares.items()]
    node = {"routerType": "Splitter", "steps": steps}
    if former is not None:
        made = copy.deepcopy(former)
        made.pop("status", None)
        made["spec"]["nodes"] = {_ROOT: node}
        return made
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "tastemaker"},
            "annotations": {
                MODE: "Standard",
                "serving.kserve.io/autoscalerClass": "hpa",
            },
        },
        "spec": {
            "minReplicas": routers[0],
            "maxReplicas": routers[1],
            "scaleMetric": "cpu",
            "scaleTarget": 70,
            # A call's own limit in the recommender is 5 s; the router has none by itself.
            "routerTimeouts": {"serviceClient": 6, "serverRead": 10, "serverWrite": 10, "serverIdle": 60},
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
            "nodes": {_ROOT: node},
        },
    }


def steps_of(graph_spec: Mapping[str, Any]) -> tuple[tuple[str, str, int], ...]:
    """Release, address and per cent of each step of a graph, in their order."""
    steps = graph_spec.get("nodes", {}).get(_ROOT, {}).get("steps", ())
    return tuple((step.get("name", ""), step.get("serviceUrl", ""), int(step.get("weight", 0))) for step in steps)


def split_of(graph: Object, urls: Mapping[str, str]) -> Split:
    """The split that a graph says.

    Args:
        graph: as read.
        urls: where calls for each release that it names belong.

    Raises:
        RolloutError: no rollout wrote it like this.
    """
    name, steps = graph["metadata"]["name"], steps_of(graph["spec"])
    wrong = f"the graph {name} was not written by a rollout, or changed since"
    if graph["spec"]["nodes"].get(_ROOT, {}).get("routerType") != "Splitter" or not 1 <= len(steps) <= 2:
        raise RolloutError(f"{wrong}: it is no splitter between one or two releases; apply a split")
    for release, url, weight in steps:
        if urls.get(release) != url or not 0 <= weight <= 100:
            raise RolloutError(f"{wrong}: {weight} % for {release!r} go to {url}; apply a split")
    if sum(weight for _, _, weight in steps) != 100:
        raise RolloutError(f"{wrong}: its weights do not add up to 100; apply a split")
    champion = steps[0][0]
    return Split(champion) if len(steps) == 1 else Split(champion, steps[1][0], steps[1][2] / 100)


def routed(pod: Object) -> tuple[tuple[str, str, int], ...]:
    """What a router's pod, or the template of one, was started to do: as :func:`steps_of`."""
    for container in pod["spec"].get("containers", ()):
        args = container.get("args", ())
        for flag, value in pairwise(args):
            if flag == "--graph-json":
                return steps_of(json.loads(value))
    return ()


def _shares(split: Split) -> dict[str, int]:
    if split.candidate is None:
        return {split.champion: 100}
    share = whole_per_cent(split.share)
    return {split.champion: 100 - share, split.candidate: share}
