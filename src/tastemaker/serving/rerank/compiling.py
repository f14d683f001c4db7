"""Compile rules against a catalogue: once for each pair of versions, never in a request."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.compiled_rules import CompiledRules
from tastemaker.serving.rerank.match_kernel import BOOST, BURY, CAP, EXCLUDE, PIN, Postings
from tastemaker.serving.rerank.rule import Rule, Where
from tastemaker.serving.rerank.rule_set import RuleSet

__all__ = ["compile_rules"]

_KINDS = {"boost": BOOST, "bury": BURY, "pin": PIN, "exclude": EXCLUDE, "cap": CAP}
_SIGN = {"boost": 1.0, "bury": -1.0}

_Ints = npt.NDArray[np.int64]
_NONE: _Ints = np.zeros(0, dtype=np.int64)


def compile_rules(rules: RuleSet, facts: CatalogueFacts) -> CompiledRules:
    """Resolve what rules name (categories, brands, ids) to classes of items and rows.

    Costs about a microsecond per rule and class, or rule and item, that match, and a sort of the catalogue's classes.

    Args:
        rules: the disabled ones are left out; those whose time is not now stay in, because time goes on.
        facts: of the catalogue.
    """
    enabled = tuple(rule for rule in rules.rules if rule.enabled)
    names = _Names(facts)
    by_class: list[_Ints] = []
    by_row: list[_Ints] = []
    class_rules: list[int] = []
    row_rules: list[int] = []
    everywhere, named = [], {}
    for number, rule in enumerate(enabled):
        where = rule.where
        if where.item_ids:
            named[number] = rows = names.rows(where)
            by_row.append(rows)
            row_rules.append(number)
        elif where.categories or where.brands:
            by_class.append(names.classes(where))
            class_rules.append(number)
        else:
            everywhere.append(number)
    return CompiledRules(
        version=rules.version,
        facts=facts,
        rules=enabled,
        kinds=np.array([_KINDS[rule.kind] for rule in enabled], dtype=np.int64),
        log_factors=np.array([_log_factor(rule) for rule in enabled], dtype=np.float64),
        limits=np.array([rule.limit or 0 for rule in enabled], dtype=np.int64),
        price_from=np.array([_prices(rule.where)[0] for rule in enabled], dtype=np.float64),
        price_to=np.array([_prices(rule.where)[1] for rule in enabled], dtype=np.float64),
        by_class=_postings(by_class, class_rules, names.class_keys),
        by_row=_postings(by_row, row_rules, None),
        everywhere=np.array(everywhere, dtype=np.int64),
        spans=np.array([rule.span_us() for rule in enabled], dtype=np.int64).reshape(-1, 2),
        named_rows=named,
    )


class _Names:
    """Looks up what a rule names in one catalogue."""

    def __init__(self, facts: CatalogueFacts) -> None:
        self._facts = facts
        # As the request's candidates are looked up: see match_kernel.
        keys = (facts.categories + 1) * (len(facts.brand_names) + 1) + facts.brands + 1
        self.class_keys = np.unique(keys)
        categories, brands = np.divmod(self.class_keys, len(facts.brand_names) + 1)
        self._class_categories = categories - 1
        self._of_category = _grouped(self._class_categories, len(facts.category_paths))
        self._of_brand = _grouped(brands - 1, len(facts.brand_names))
        self._brand_code = {name: code for code, name in enumerate(facts.brand_names)}
        self._masks: dict[tuple[str, ...], npt.NDArray[np.bool_]] = {}
        self._below: dict[str, list[int]] = defaultdict(list)
        for code, path in enumerate(facts.category_paths):
            end = path.find("/")
            while end >= 0:
                self._below[path[:end]].append(code)
                end = path.find("/", end + 1)
            self._below[path].append(code)

    def classes(self, where: Where) -> _Ints:
        """Indices of the classes that match category and brand."""
        if not where.brands:
            return _joined([self._of_category[code] for code in self._category_codes(where.categories)])
        of_brand = _joined([self._of_brand[code] for code in self._brand_codes(where.brands)])
        return (
            of_brand[self._within(where.categories)[self._class_categories[of_brand]]] if where.categories else of_brand
        )

    def rows(self, where: Where) -> _Ints:
        """Rows of the items that are named, less those of another category or brand, ascending."""
        row_of = self._facts.row_of
        rows = np.unique(np.array([row_of[name] for name in where.item_ids if name in row_of], dtype=np.int64))
        if where.categories:
            rows = rows[self._within(where.categories)[self._facts.categories[rows]]]
        if where.brands:
            rows = rows[np.isin(self._facts.brands[rows], list(self._brand_codes(where.brands)))]
        return rows

    def _within(self, categories: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        """Which category codes are in these categories; the last place, for -1, is False."""
        mask = self._masks.get(categories)
        if mask is None:
            mask = np.zeros(len(self._facts.category_paths) + 1, dtype=np.bool_)
            mask[list(self._category_codes(categories))] = True
            self._masks[categories] = mask
        return mask

    def _category_codes(self, categories: tuple[str, ...]) -> set[int]:
        return {code for name in categories for code in self._below.get(name, ())}

    def _brand_codes(self, brands: tuple[str, ...]) -> set[int]:
        return {self._brand_code[name] for name in brands if name in self._brand_code}


def _grouped(codes: _Ints, n: int) -> list[_Ints]:
    """For each code, the indices that have it, ascending."""
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(n + 1)).tolist()
    return [order[bounds[code] : bounds[code + 1]] for code in range(n)]


def _joined(parts: list[_Ints]) -> _Ints:
    return parts[0] if len(parts) == 1 else np.concatenate([_NONE, *parts])


def _postings(parts: list[_Ints], rules: list[int], keys: _Ints | None) -> Postings:
    """Turn rules with what each is about into what is there with its rules; ``keys`` translates indices."""
    about = np.concatenate([_NONE, *parts])
    numbers = np.repeat(np.array(rules, dtype=np.int64), [len(part) for part in parts])
    order = np.argsort(about, kind="stable")  # keeps the rules' order within a key
    found, counts = np.unique(about, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Postings(found if keys is None else keys[found], starts, numbers[order])


def _log_factor(rule: Rule) -> float:
    return _SIGN[rule.kind] * float(np.log(rule.strength)) if rule.strength is not None else 0.0


def _prices(where: Where) -> tuple[float, float]:
    if where.price_from is None and where.price_to is None:
        return np.nan, np.nan
    # Rounded as the candidates' prices are, so that a price at the edge of a range is in it.
    return float(np.float32(where.price_from or 0.0)), float(
        np.float32(np.inf if where.price_to is None else where.price_to)
    )
