"""What KServe's schema and webhooks accept, and should not."""

from collections.abc import Iterator
from typing import Any

__all__ = ["problems_of_serving"]

_MODE = "serving.kserve.io/deploymentMode"


def problems_of_serving(document: dict[str, Any]) -> Iterator[str]:
    """Values of an InferenceService or InferenceGraph that are out of range, a line each."""
    name = f"{document['kind']} {document['metadata']['name']}"
    if document["kind"] == "InferenceService":
        predictor = document["spec"]["predictor"]
        yield from (f"{name}: {told}" for told in _scaling(predictor))
        share = predictor.get("canaryTrafficPercent")
        if share is not None and not 0 <= share <= 100:
            yield f"{name}: canaryTrafficPercent is {share}, not a per cent"
        if share is not None and document["metadata"].get("annotations", {}).get(_MODE) != "Knative":
            yield f"{name}: canaryTrafficPercent moves no traffic in Standard mode (KServe 0.20)"
        if not any(container["name"] == "kserve-container" for container in predictor.get("containers", ())):
            yield f"{name}: has no kserve-container, and an empty predictor makes KServe's defaulter answer 500"
    if document["kind"] == "InferenceGraph":
        yield from (f"{name}: {told}" for told in _scaling(document["spec"]))
        for node, told in document["spec"]["nodes"].items():
            weights = [step.get("weight") for step in told["steps"]]
            if told["routerType"] == "Splitter" and (None in weights or sum(weights) != 100):
                yield f"{name}: the weights of node {node} add up to {weights}, not to 100"
            yield from (f"{name}: weight {it} in {node}" for it in weights if it is not None and not 0 <= it <= 100)


def _scaling(spec: dict[str, Any]) -> Iterator[str]:
    least, most, target = spec.get("minReplicas", 1), spec.get("maxReplicas", 0), spec.get("scaleTarget")
    if most and least > most:
        yield f"minReplicas {least} is above maxReplicas {most}"
    if target is not None and target < 1:
        yield f"scaleTarget is {target}"
    elif target is not None and target > 100 and spec.get("scaleMetric") in {"cpu", "memory"}:
        yield f"scaleTarget is {target} % of {spec['scaleMetric']}"
