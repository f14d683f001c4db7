"""Writes manifests/schemas anew from the projects' own definitions.

    python scripts/k8s/vendor_schemas.py kubernetes-1.36.3 MODULE/api/openapi-spec/v3
    python scripts/k8s/vendor_schemas.py kserve-0.20.0 MODULE/config/crd/full
    python scripts/k8s/vendor_schemas.py strimzi-1.2.0 REPOSITORY/packaging/install/cluster-operator
    python scripts/k8s/vendor_schemas.py prometheus-operator-0.85.0 MODULE/example/prometheus-operator-crd
    python scripts/k8s/vendor_schemas.py keda-2.17.2 MODULE/config/crd/bases

MODULE is where the Go module of that version was unpacked (``go mod download -json MODULE@vVERSION`` says where),
REPOSITORY a checkout at the tag. Of a custom resource definition the versions that are served are kept, and of
Kubernetes' documents the kinds that the manifests use and what these refer to. Descriptions are left out; nothing
else is changed.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path(__file__).resolve().parents[2] / "manifests" / "schemas"
CUSTOM = {
    "kserve": ("inferenceservices.serving.kserve.io", "inferencegraphs.serving.kserve.io"),
    "strimzi": ("kafkas", "kafkanodepools", "kafkatopics", "kafkausers"),
    "prometheus-operator": ("prometheusrules", "servicemonitors", "podmonitors"),
    "keda": ("scaledobjects.keda.sh", "triggerauthentications.keda.sh"),
}
# Kind by document of Kubernetes' OpenAPI v3.
KINDS = {
    "api__v1": (
        "ConfigMap",
        "Namespace",
        "PersistentVolumeClaim",
        "PodTemplate",
        "Secret",
        "Service",
        "ServiceAccount",
    ),
    "apis__apps__v1": ("Deployment", "StatefulSet"),
    "apis__autoscaling__v2": ("HorizontalPodAutoscaler",),
    "apis__batch__v1": ("CronJob", "Job"),
    "apis__networking.k8s.io__v1": ("NetworkPolicy",),
    "apis__policy__v1": ("PodDisruptionBudget",),
    "apis__rbac.authorization.k8s.io__v1": ("Role", "RoleBinding"),
}
_REFERENCE = "#/components/schemas/"


def without_descriptions(schema: Any, *, names: bool = False) -> Any:
    """A schema without its prose; ``names`` where the keys are names of fields, of which one may be ``description``."""
    if isinstance(schema, dict):
        return {
            key: without_descriptions(value, names=not names and key in {"properties", "schemas"})
            for key, value in schema.items()
            if names or key not in {"description", "externalDocs"}
        }
    return [without_descriptions(value) for value in schema] if isinstance(schema, list) else schema


def custom(name: str, source: Path) -> dict[str, Any]:
    """The custom resource definitions of a project, by name."""
    found = {}
    plurals = tuple(full.split(".")[0] for full in CUSTOM[name])
    for path in sorted(source.rglob("*.yaml")):
        # By the name of the file first: PyYAML stumbles over a ``- =`` in one of the others.
        if not any(f"{plural}." in path.name or path.stem.endswith(plural[:-1]) for plural in plurals):
            continue
        for crd in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if not isinstance(crd, dict) or crd.get("kind") != "CustomResourceDefinition":
                continue
            full = crd["metadata"]["name"]
            if full not in CUSTOM[name] and full.split(".")[0] not in CUSTOM[name]:
                continue
            spec = dict(crd["spec"], versions=[entry for entry in crd["spec"]["versions"] if entry["served"]])
            spec.pop("conversion", None)
            found[full] = without_descriptions(
                {"apiVersion": crd["apiVersion"], "kind": crd["kind"], "metadata": {"name": full}, "spec": spec}
            )
    return found


def kubernetes(source: Path) -> dict[str, Any]:
    """The schemas of the kinds, and those that they refer to, by Kubernetes' own names."""
    kept: dict[str, Any] = {}
    for document, kinds in KINDS.items():
        schemas = json.loads((source / f"{document}_openapi.json").read_bytes())["components"]["schemas"]
        waiting = [
            name
            for name, schema in schemas.items()
            for told in schema.get("x-kubernetes-group-version-kind", ())
            if told["kind"] in kinds and name.endswith(f".{told['kind']}")
        ]
        while waiting:
            name = waiting.pop()
            if name not in kept:
                kept[name] = without_descriptions(schemas[name])
                waiting += _referred(kept[name])
    return dict(sorted(kept.items()))


def _referred(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].removeprefix(_REFERENCE)] if isinstance(schema.get("$ref"), str) else []
        return own + [name for value in schema.values() for name in _referred(value)]
    return [name for value in schema for name in _referred(value)] if isinstance(schema, list) else []


def main() -> int:
    """Write the files of one project."""
    versioned, source = sys.argv[1], Path(sys.argv[2])
    project = versioned.rpartition("-")[0]
    folder = SCHEMAS / versioned
    folder.mkdir(parents=True, exist_ok=True)
    files = {"schemas": kubernetes(source)} if project == "kubernetes" else custom(project, source)
    for name, content in files.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
        print(path.relative_to(SCHEMAS.parents[1]), path.stat().st_size)
    return 0 if files else 1


if __name__ == "__main__":
    sys.exit(main())
