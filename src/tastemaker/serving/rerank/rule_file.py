"""Files of rules for import: YAML or JSON, a list of rules, or a mapping whose ``rules`` is one."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec

from tastemaker.errors import DataError
from tastemaker.serving.rerank.rule import Kind, Rule

__all__ = ["parse_rules", "read_rule_file", "rule_from"]

_MAX_BYTES = 64 << 20


def read_rule_file(path: Path) -> tuple[list[Rule], list[str]]:
    """The rules of a file.

    Returns:
        The rules that can be used, and what is wrong with each of the others.

    Raises:
        DataError: the file cannot be read or is neither YAML nor JSON.
    """
    import yaml

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} has more than {_MAX_BYTES >> 20} MiB; import its rules in parts")
        raw = path.read_bytes()
        if path.suffix.lower() == ".json":
            content = msgspec.json.decode(raw)
        else:
            content = yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (is a safe loader)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is neither YAML nor JSON: {error}") from error
    if isinstance(content, dict) and set(content) == {"rules"}:
        content = content["rules"]
    if not isinstance(content, list):
        raise DataError(f"{path} is no list of rules; write one '- id: ...' for each, or 'rules:' with such a list")
    return parse_rules(content)


def parse_rules(values: Iterable[object]) -> tuple[list[Rule], list[str]]:
    """Rules from decoded JSON or YAML, and what is wrong with each of the others."""
    rules: dict[str, Rule] = {}
    problems = []
    for number, value in enumerate(values, start=1):
        try:
            rule = rule_from(value)
        except DataError as error:
            problems.append(f"rule {number}: {error}")
            continue
        if rule.id in rules:
            problems.append(f"rule {number}: the id {rule.id} was there before; every rule needs an id of its own")
        rules.setdefault(rule.id, rule)
    return list(rules.values()), problems


def rule_from(value: object) -> Rule:
    """One rule; dates and times that name no zone are UTC, and a date is its first moment.

    Raises:
        DataError: naming the field.
    """
    if not isinstance(value, dict):
        raise DataError(f"is {type(value).__name__}; a rule is a mapping with at least id, owner and kind")
    fields: dict[str, Any] = {str(key): content for key, content in value.items()}
    for name in ("from", "until"):
        if fields.get(name) is not None:
            fields[name] = _moment(name, fields[name])
    if "kind" in fields and fields["kind"] not in get_args(Kind):
        raise DataError(f"kind {fields['kind']!r} is none of {', '.join(get_args(Kind))}")
    named = f"{fields['id']}: " if isinstance(fields.get("id"), str) else ""
    try:
        return msgspec.convert(fields, Rule)
    except msgspec.ValidationError as error:
        problem = str(error).removeprefix(f"rule {named}")
        raise DataError(f"{named}{problem}") from error


def _moment(name: str, value: object) -> datetime:
    try:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise DataError(f"{name} {value!r} is no time; write one such as 2026-11-27 or 2026-11-27T18:00") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
