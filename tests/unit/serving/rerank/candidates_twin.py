"""Candidates and rules for the tests of the re-rank stage."""

from collections.abc import Sequence

import numpy as np

from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.compiled_rules import ActiveRules
from tastemaker.serving.rerank.compiling import compile_rules
from tastemaker.serving.rerank.given import RerankInput
from tastemaker.serving.rerank.policy import RerankPolicy
from tastemaker.serving.rerank.rule import Rule, Where
from tastemaker.serving.rerank.rule_set import RuleSet

NOW_US = 1_700_000_000_000_000
PATHS = ("kitchen/mugs", "kitchen/pans", "garden/pots", "garden/pots/clay")
BRANDS = ("acme", "bolt", "cero")


def candidates(scores: Sequence[float], **fields: object) -> RerankInput:
    n = len(scores)
    rows = np.asarray(fields.pop("rows", np.arange(n)), dtype=np.int64)
    unknown = np.full(n, np.nan, dtype=np.float32)
    none = np.full(n, -1, dtype=np.int64)
    given = dict.fromkeys(("prices", "age_days", "stock", "margins"), unknown)
    given |= {"vectors": None, "categories": none, "brands": none, "item_ids": lambda row: f"i{row}"}
    given |= {name: np.asarray(value) if isinstance(value, Sequence) else value for name, value in fields.items()}
    return RerankInput(rows=rows, scores=np.asarray(scores, dtype=np.float32), **given)


def facts(categories: Sequence[int], brands: Sequence[int], version: str = "1") -> CatalogueFacts:
    row_of = {f"i{row}": row for row in range(len(categories))}
    return CatalogueFacts(version, row_of, np.array(categories), PATHS, np.array(brands), BRANDS)


def active(*rules: Rule, of: CatalogueFacts, surface: str = "home", now_us: int = NOW_US) -> ActiveRules:
    return compile_rules(RuleSet.of(rules), of).at(surface, now_us)


def rule(rule_id: str, kind: str, *, items: Sequence[int] = (), **fields: object) -> Rule:
    where = {name: fields.pop(name) for name in Where.__struct_fields__ if name in fields}
    if items:
        where["item_ids"] = tuple(f"i{row}" for row in items)
    return Rule(id=rule_id, owner="merchandising", kind=kind, where=Where(**where), **fields)


def policy(**fields: object) -> RerankPolicy:
    return RerankPolicy.model_validate(fields)


def unit_vectors(n: int, dimension: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
