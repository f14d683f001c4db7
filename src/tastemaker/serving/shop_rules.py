"""The shop's rules as requests see them: compiled against the catalogue, and kept up with both."""

from collections.abc import Callable

from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.compiled_rules import ActiveRules
from tastemaker.serving.rerank.compiling import compile_rules
from tastemaker.serving.rerank.rule_set import RuleSet
from tastemaker.serving.rerank.rule_watch import RuleWatch
from tastemaker.serving.shop_state import ShopState

__all__ = ["ShopRules"]


class ShopRules:
    """Gives each request the rules of its surface and moment.

    Args:
        watch: of the rules' file; None for a shop without rules, where policies alone count.
        state: gives the shop's state as of now.
    """

    def __init__(self, watch: RuleWatch | None, state: Callable[[], ShopState]) -> None:
        self._watch, self._state = watch, state
        self._compiled = compile_rules(self._rules, _facts(state()))

    @property
    def _rules(self) -> RuleSet:
        return RuleSet() if self._watch is None else self._watch.rules

    def at(self, surface: str, now_us: int) -> ActiveRules:
        """The rules of a surface at a moment, in microseconds."""
        return self._compiled.at(surface, now_us)

    def refresh(self) -> None:
        """Take in rules and items that changed; requests meanwhile use the former ones."""
        if self._watch is not None:
            self._watch.look()
        rules, facts = self._rules, _facts(self._state())
        if (rules.version, facts.version) != (self._compiled.version, self._compiled.facts.version):
            self._compiled = compile_rules(rules, facts)


def _facts(state: ShopState) -> CatalogueFacts:
    """Of a catalogue; its columns are patched where items change, so that this looks at no item."""
    catalogue = state.catalogue
    return CatalogueFacts(
        f"{state.items_rev}.{len(catalogue)}.{id(catalogue)}",
        catalogue.row_of,
        catalogue.leaf,
        ["/".join(path) for path in list(catalogue.categories.paths)],
        catalogue.brand,
        [path[0] for path in list(catalogue.brands.paths)],
    )
