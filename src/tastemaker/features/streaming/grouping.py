"""The compiled loop that groups a batch by entity."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["group_events"]

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


@compiled
def group_events(codes: _Ints, allowed: _Bools, entities: int) -> tuple[_Ints, _Ints, _Ints]:
    """Group events by entity, keeping their order within one.

    Args:
        codes: int64[n], the entity of each event, from 0; negative where it has none.
        allowed: bool[n], whether the view sees the event.
        entities: how many codes there are.

    Returns:
        ``order``: indices of the seen events, entity by entity; ``starts``: int64[k + 1], where in ``order`` each
        entity begins; ``present``: int64[k], the codes of the entities that have events, ascending.
    """
    counts = np.zeros(entities, np.int64)
    for index in range(len(codes)):
        if allowed[index] and codes[index] >= 0:
            counts[codes[index]] += 1
    found = 0
    for code in range(entities):
        if counts[code]:
            found += 1
    starts = np.zeros(found + 1, np.int64)
    present = np.empty(found, np.int64)
    found = 0
    total = 0
    for code in range(entities):
        if counts[code]:
            present[found] = code
            starts[found] = total
            total, counts[code] = total + counts[code], total
            found += 1
    starts[found] = total
    order = np.empty(total, np.int64)
    for index in range(len(codes)):
        if allowed[index] and codes[index] >= 0:
            order[counts[codes[index]]] = index
            counts[codes[index]] += 1
    return order, starts, present
