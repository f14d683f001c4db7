"""The rendered manifests, and what is looked up in them."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["OVERLAYS", "RENDERED", "containers", "named", "objects", "of_kind", "pod_specs", "selected"]

Object = dict[str, Any]
MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"
RENDERED = MANIFESTS / "rendered"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir() if path.is_dir())


@cache
def objects(overlay: str) -> list[Object]:
    """All objects of an overlay."""
    with (RENDERED / f"{overlay}.yaml").open(encoding="utf-8") as file:
        loaded = yaml.load_all(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return [found for found in loaded if found]


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    """The objects of some kinds."""
    return [found for found in objects(overlay) if found["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Object:
    """One object."""
    (found,) = [found for found in of_kind(overlay, kind) if found["metadata"]["name"] == name]
    return found


def pod_specs(overlay: str) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """Of everything of ours that becomes pods: its name, the pods' labels, and what they are made of."""
    for found in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
        template = found["spec"]["template"]
        yield f"{found['kind']}/{found['metadata']['name']}", template["metadata"]["labels"], template["spec"]
    for found in of_kind(overlay, "InferenceService"):
        yield f"InferenceService/{found['metadata']['name']}", found["metadata"]["labels"], found["spec"]["predictor"]


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod, those that run first included."""
    return [*spec.get("initContainers", ()), *spec["containers"]]


def selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    for rule in selector.get("matchExpressions", ()):
        has = labels.get(rule["key"])
        fits = {
            "In": has in rule.get("values", ()),
            "NotIn": has not in rule.get("values", ()),
            "Exists": has is not None,
            "DoesNotExist": has is None,
        }[rule["operator"]]
        if not fits:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()
