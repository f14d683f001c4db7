"""Validates Kubernetes objects against the vendored schemas of the projects, made strict.

A field that a schema does not know is refused, as the API server does with ``fieldValidation=Strict``; without it
the server drops it silently. What only the server can judge (CEL rules, webhooks) is left to the tests on a real one.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

__all__ = ["known_kinds", "problems"]

SCHEMAS = Path(__file__).resolve().parents[3] / "manifests" / "schemas"
_CORE = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_OPEN = "x-kubernetes-preserve-unknown-fields"
# As the API server parses them; the schema says no more than "string".
_QUANTITY = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": r"^[+-]?(\d+|\d+\.\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$"},
    ]
}
_INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def strict(schema: Any) -> Any:
    """A schema that refuses fields that it does not name, in JSON Schema's words instead of Kubernetes'."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        kept = {key: value for key, value in schema.items() if key in {"pattern", "enum"}}
        return {"allOf": [_INT_OR_STRING, kept]} if kept else _INT_OR_STRING
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: strict(part) for name, part in value.items()}
        elif key in {"items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"}:
            # Inside these, fields are constrained further, not declared: declared ones stand beside them.
            made[key] = strict(value) if key in {"items", "additionalProperties"} else value
        elif key == "$ref":
            made[key] = value.replace("#/components/schemas/", "#/$defs/")
        elif not key.startswith("x-") and key not in {"nullable", "default"}:
            made[key] = value
    if "allOf" in made:  # Kubernetes writes a reference with a default as allOf of one
        made["allOf"] = strict(made["allOf"])
    if schema.get("x-kubernetes-embedded-resource"):
        made["properties"] = {"apiVersion": True, "kind": True, "metadata": True, **made.get("properties", {})}
    if "properties" in made and "additionalProperties" not in made and not schema.get(_OPEN):
        made["additionalProperties"] = False
    return {"anyOf": [{"type": "null"}, made]} if schema.get("nullable") else made


@cache
def _core() -> dict[str, Any]:
    (path,) = SCHEMAS.glob("kubernetes-*/schemas.json")
    return json.loads(path.read_bytes())


@cache
def _definitions() -> dict[str, Any]:
    made = {name: strict(schema) for name, schema in _core().items()}
    made["io.k8s.apimachinery.pkg.api.resource.Quantity"] = _QUANTITY
    return made


@cache
def _by_kind() -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for name, schema in _core().items():
        for told in schema.get("x-kubernetes-group-version-kind", ()):
            version = "/".join(filter(None, (told["group"], told["version"])))
            found[version, told["kind"]] = {"$ref": f"#/$defs/{name}"}
    for path in SCHEMAS.glob("*/*.json"):
        definition = json.loads(path.read_bytes())
        if definition.get("kind") != "CustomResourceDefinition":
            continue
        spec = definition["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"$ref": f"#/$defs/{_CORE}"}
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def known_kinds() -> set[tuple[str, str]]:
    """Pairs of apiVersion and kind that there is a schema of."""
    return set(_by_kind())


@cache
def _validator(version: str, kind: str) -> Draft202012Validator:
    return Draft202012Validator({**_by_kind()[version, kind], "$defs": _definitions()})


def problems(document: dict[str, Any]) -> Iterator[str]:
    """What is wrong with an object, a line each; nothing where all is well."""
    key = str(document.get("apiVersion")), str(document.get("kind"))
    if key not in _by_kind():
        yield f"there is no schema of {key[1]} {key[0]} in {SCHEMAS.name}"
        return
    for error in _validator(*key).iter_errors(document):
        yield f"{key[1]} {document.get('metadata', {}).get('name')}: {error.json_path}: {error.message[:300]}"
