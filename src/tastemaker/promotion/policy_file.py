"""Reads a policy, of the gate or of a rollout: a YAML file in which every key is required and none is unknown."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tastemaker.errors import DataError

__all__ = ["read_policy"]

Policy = TypeVar("Policy", bound=BaseModel)


def read_policy(path: Path, policy: type[Policy], *, kind: str, shipped: str, part: str) -> Policy:
    """Read and validate a policy file.

    Args:
        path: of the file.
        policy: a strict model that forbids extra keys.
        kind: what it is, for errors: ``gate policy``.
        shipped: the directory, from the repository, with those to begin from.
        part: what a null switches off, for errors: ``a check``.

    Raises:
        DataError: the file is missing, no YAML, or breaks the schema; names the file, every wrong key, and what
            is wrong with it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"there is no {kind} {path}; see {shipped} for the shipped ones") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"the {kind} {path} cannot be read: {error}") from error
    try:
        return policy.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(key) for key in problem['loc']) or 'the file'}:"
            f" {_words(problem['type'], problem['msg'], part)}"
            for problem in error.errors()
        )
        raise DataError(f"the {kind} {path}: {problems}") from error


def _words(kind: str, message: str, part: str) -> str:
    if kind == "extra_forbidden":
        return "is no known key; remove it or correct its spelling"
    if kind == "missing":
        return f"is missing; write it out ({part} that is not wanted is null)"
    message = message.removeprefix("Value error, ")  # of a validator of ours
    return message[0].lower() + message[1:]
