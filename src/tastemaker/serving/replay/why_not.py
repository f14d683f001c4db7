"""Why not that: how far an item came on its way into a logged list, and what would have been needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tastemaker import names
from tastemaker.serving.contract import ServedList
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.replay.filters_then import IN_WORDS, taken_out_by
from tastemaker.serving.replay.finding import ItemThen
from tastemaker.serving.replay.model import ReplayModel
from tastemaker.serving.replay.why import WhyThis, why_these

__all__ = ["WhyNot", "why_not"]

# What each source names; the rest of "it would have to ...".
_NAMES: Final[Mapping[str, str]] = {
    names.SOURCE_REPEAT: "have been bought by the shopper before",
    names.SOURCE_DUE: "have been bought by the shopper more than once",
    names.SOURCE_COVISITATION: "go together, with other shoppers, with what this one dealt with",
    names.SOURCE_TWO_TOWER: "be nearer to the shopper's history",
    names.SOURCE_SIMILAR: "be more like the page's items",
    names.SOURCE_TRENDING: "sell better at present",
    names.SOURCE_CATEGORY: "sell better at present, in the category of the page",
    names.SOURCE_BOUGHT_TOGETHER: "be bought together with the page's items more often",
    names.SOURCE_ALSO_VIEWED: "be looked at together with the page's items more often",
    names.SOURCE_FRESH: "be newer",
    names.SOURCE_GIVEN: "be among the items of the request",
}


@dataclass(frozen=True)
class WhyNot:
    """Why an item is not in a list, or where in it.

    Attributes:
        item_id: of the item.
        answer: in a sentence.
        candidate: what is known of it as a candidate; None where it was not ranked.
        last_shown: score of the last item of the list; None of an empty list.
        passed_over: by source that named it, its place in that source's list; of items that were not ranked.
        rules: names of the surface's rules that take it out, by what the lake knew of it then.
        needed: what would have brought it among the candidates, by source, in words.
        as_of_now: what the answer takes from the present, because the list does not say it; empty for nothing.
    """

    item_id: str
    answer: str
    candidate: WhyThis | None
    last_shown: float | None
    passed_over: Mapping[str, int]
    rules: tuple[str, ...]
    needed: Mapping[str, str]
    as_of_now: str = ""


def why_not(
    served: ServedList, item_id: str, then: ItemThen, recipe: Recipe | None, model: ReplayModel | None, *, bought: bool
) -> WhyNot:
    """Follow an item through the stages of a list.

    Args:
        served: the list.
        item_id: of the item.
        then: what the lake knew of it as of the list.
        recipe: of the surface, as it is now; None where there is none any more.
        model: of the release; None where that is not there.
        bought: whether the shopper had ever bought it.
    """
    scores = {candidate.item_id: candidate.score for candidate in served.candidates}
    last = scores.get(served.items[-1]) if served.items else None
    passed = {
        source: places[item_id]
        for source, places in (served.trace.passed_over if served.trace else {}).items()
        if item_id in places
    }
    if item_id in scores:
        (found,) = why_these(served, model, (item_id,))
        return WhyNot(item_id, _of_candidate(served, found, last), found, last, {}, (), {})
    rules = () if recipe is None else tuple(taken_out_by(served, recipe, item_id, then.item, bought=bought))
    needed = {} if passed or rules else _needed(served, recipe)
    return WhyNot(
        item_id, _of_others(served, then, passed, rules), None, last, passed, rules, needed, _present(served, recipe)
    )


def _of_candidate(served: ServedList, found: WhyThis, last: float | None) -> str:
    n = len(served.candidates)
    if found.place is not None:
        return f"it is in the list, at {found.place}; by its score it was {_nth(found.ranked)} of {n}"
    by = ", ".join(found.sources) or "none of the sources"
    ranked = f"it was a candidate (of {by}) and {_nth(found.ranked)} of {n} by its score"
    shown = len(served.items)
    lost = [e for e in found.effects if (e.before or n + 1) <= shown and (e.after is None or e.after > shown)]
    out = [e for e in found.effects if e.after is None]
    if decisive := (lost or out)[-1:]:
        effect = decisive[0]
        return (
            f"{ranked}; {effect.rule} took it from {effect.before or 'outside'} to {effect.after or 'out of the list'}"
        )
    if last is None:
        return f"{ranked}; the list is empty"
    behind = "" if found.score >= last else f", {last - found.score:.4g} below the last one that is shown"
    return f"{ranked}{behind}"


def _of_others(served: ServedList, then: ItemThen, passed: Mapping[str, int], rules: Sequence[str]) -> str:
    words = " and ".join(IN_WORDS[name] for name in rules)
    if not then.known:
        return "the lake had no such item at the time of the list"
    if passed:
        by = ", ".join(f"{source} ({_nth(place)})" for source, place in passed.items())
        why = words or f"only the first {len(served.candidates)} of all that the sources name were ranked"
        return f"sources named it, {by}, but it was not ranked: {why}"
    if words:
        return f"it was no candidate, and could not have been one: {words}"
    return "no source named it" if served.trace else "it was not ranked; which items sources named was not logged"


def _needed(served: ServedList, recipe: Recipe | None) -> dict[str, str]:
    """By source of the surface: what an item needs to be named, and how good the last one was that is."""
    found = {}
    for source, words in _NAMES.items():
        if recipe is None or not recipe.asks(source):
            continue
        scores = [candidate.sources[source] for candidate in served.candidates if source in candidate.sources]
        beside = len(served.trace.passed_over.get(source, ())) if served.trace else 0
        behind = ""
        if scores:
            behind = f"; it named {len(scores) + beside}, the least of those that were ranked with {np.min(scores):.4g}"
        found[source] = f"would have to {words}{behind}"
    return found


def _present(served: ServedList, recipe: Recipe | None) -> str:
    if recipe is None:
        return f"the surface {served.request.surface} has no recipe any more, so its rules were not looked at"
    if served.trace is None or served.trace.recipe != recipe.version:
        return "rules and sources are those of the recipe as of now, which may have changed since"
    return ""


def _nth(place: int) -> str:
    """A place in words.

    >>> [_nth(place) for place in (1, 2, 3, 11, 22)]
    ['1st', '2nd', '3rd', '11th', '22nd']
    """
    ending = "th" if place % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
