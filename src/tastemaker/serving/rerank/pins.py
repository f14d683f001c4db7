"""Who gets which pinned place."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.compiled_rules import PIN
from tastemaker.serving.rerank.reranked import Note
from tastemaker.serving.rerank.stage import Prepared

__all__ = ["no_pins", "place_pins"]

_Ints = npt.NDArray[np.int64]


def no_pins(size: int) -> _Ints:
    """No place of a list is pinned."""
    return np.full(size, -1, dtype=np.int64)


def place_pins(prepared: Prepared) -> tuple[_Ints, dict[int, int], list[Note]]:
    """Resolve pins in the order of the rules: the one that was added first has its place.

    A pin takes the matching candidate with the highest utility that no earlier pin took. If its place is taken it gets
    the next free one below, else the next above. A place past the end of the list is the last.

    Args:
        prepared: the candidates and the rules.

    Returns:
        int64 ``[size]``, the candidate of each place or -1; the number of the rule of each pinned place; and what could
        not be done.
    """
    given, active, size = prepared.given, prepared.active, prepared.size
    places = no_pins(size)
    by: dict[int, int] = {}
    notes: list[Note] = []
    used: set[int] = set()
    candidates_of: dict[int, list[int]] = {}
    pinning = active.compiled.kinds[prepared.hits] == PIN
    for candidate, number in zip(prepared.candidates[pinning].tolist(), prepared.hits[pinning].tolist(), strict=True):
        candidates_of.setdefault(number, []).append(candidate)
    for number in active.pins:
        rule, matching = active.compiled.rules[number], candidates_of.get(number, ())
        left = [i for i in matching if not prepared.removed[i] and i not in used]
        if not left or len(by) == size:
            notes.append(Note(rule.id, _why_none(prepared, matching, left)))
            continue
        best = min(left, key=lambda i: (-prepared.utility[i], given.rows[i]))
        wanted = min(int(rule.position or 1), size) - 1
        place = next(p for p in (*range(wanted, size), *range(wanted - 1, -1, -1)) if places[p] < 0)
        if place != wanted:
            holder = active.compiled.rules[by[wanted]].id
            notes.append(Note(rule.id, f"is at {place + 1}: {holder}, which was added before it, has {wanted + 1}"))
        elif rule.position and rule.position > size:
            notes.append(Note(rule.id, f"is at {place + 1}, the last place: the list has no place {rule.position}"))
        places[place] = best
        by[place] = number
        used.add(best)
    return places, by, notes


def _why_none(prepared: Prepared, matching: Sequence[int], left: list[int]) -> str:
    if left:
        return f"not pinned: all {prepared.size} places of the list are pinned by rules before it"
    if not matching:
        return "not pinned: no matching item is among the candidates; is it available?"
    ids = ", ".join(prepared.given.item_ids(int(prepared.given.rows[i])) for i in matching[:3])
    if prepared.removed[list(matching)].all():
        return f"not pinned: {ids} is excluded by another rule, or out of stock"
    return f"not pinned: {ids} is pinned by a rule before it"
