"""Who gets which pinned place."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.match_kernel import PIN
from tastemaker.serving.rerank.reranked import Note
from tastemaker.serving.rerank.stage import Prepared

__all__ = ["no_pins", "place_pins"]

_Ints = npt.NDArray[np.int64]


def no_pins(size: int) -> _Ints:
    """No place of a list is pinned."""
    return np.full(size, -1, dtype=np.int64)


def place_pins(prepared: Prepared, *, tell: bool = False) -> tuple[_Ints, dict[int, int], list[Note]]:
    """Resolve pins in the order of the rules: of those that want one place, the one that was added first has it.

    A pin takes the matching candidate with the highest utility that no pin before it took. Those whose place is taken,
    or past the end of the list, come after all that have theirs: they get the next free place below, else above.

    Args:
        prepared: the candidates and the rules.
        tell: whether to say what could not be done; a request leaves that for when somebody asks.

    Returns:
        int64 ``[size]``, the candidate of each place or -1; the number of the rule of each pinned place; and what could
        not be done if that is to be told.
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
    waiting: list[int] = []

    def put(number: int, place: int, left: list[int]) -> None:
        best = min(left, key=lambda i: (-prepared.utility[i], given.rows[i]))
        places[place] = best
        by[place] = number
        used.add(best)

    for late in (False, True):
        for number in waiting if late else (active.pins if tell else sorted(candidates_of)):
            rule, matching = active.compiled.rules[number], candidates_of.get(number, ())
            left = [i for i in matching if not prepared.removed[i] and i not in used]
            wanted = (rule.position or 1) - 1
            if not left or len(by) == size:
                if tell:
                    notes.append(Note(rule.id, _why_none(prepared, matching, left)))
            elif not late and (wanted >= size or places[wanted] >= 0):
                waiting.append(number)
            elif not late:
                put(number, wanted, left)
            else:
                begin = min(wanted, size - 1)
                place = next(p for p in (*range(begin, size), *range(begin - 1, -1, -1)) if places[p] < 0)
                if tell:
                    why = (
                        f"the list has no place {wanted + 1}"
                        if wanted >= size
                        else f"{active.compiled.rules[by[wanted]].id}, which was added before it, has {wanted + 1}"
                    )
                    notes.append(Note(rule.id, f"is at {place + 1}: {why}"))
                put(number, place, left)
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
