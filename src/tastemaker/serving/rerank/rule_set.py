"""All rules at one moment, under a version that says what they are."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import msgspec

from tastemaker.errors import DataError
from tastemaker.serving.rerank.rule import Rule

__all__ = ["RuleSet"]


@dataclass(frozen=True)
class RuleSet:
    """Rules in the order in which they were added first, which is the order in which they are applied.

    Attributes:
        rules: the disabled and the expired ones too.
    """

    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Self:
        """A set of some rules.

        Raises:
            DataError: two have the same id.
        """
        made = cls(tuple(rules))
        if len(made.by_id) < len(made.rules):
            ids = [rule.id for rule in made.rules]
            twice = sorted({rule_id for rule_id in made.by_id if ids.count(rule_id) > 1})[:5]
            raise DataError(f"more than one rule is called {', '.join(twice)}; every rule needs an id of its own")
        return made

    @cached_property
    def by_id(self) -> Mapping[str, Rule]:
        """The rules by id."""
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def version(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the rules: equal rules in equal order have an equal version."""
        return hashlib.sha256(msgspec.json.encode(self.rules)).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.rules)
