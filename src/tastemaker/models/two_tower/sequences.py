"""Ordered histories as training batches: packed end to end, one target at every position.

Every position asks for the item that came next, given all before it: self-attentive sequential recommendation (Kang
and McAuley, ICDM 2018). Sequences stand end to end in rows of fixed width, so that no step computes padding. Where a
row ends within a history, its rest goes on in another row without its beginning: the model learns to do with little.

Events at one moment are a basket: a position sees all of its own basket and asks for a random item of the next one.
Otherwise the model would learn to complete baskets, which nobody asks it to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.parameters import TowerParameters

__all__ = ["Packed", "basket_starts", "batches", "pack", "query_rows"]

Ints32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
_BLOCK = 1_000_000  # interactions that are packed at one time


@dataclass(frozen=True)
class Packed:
    """Rows of positions; ``n_items`` as an item is the start of a history.

    Attributes:
        items: int32 ``[rows, window]``.
        segments: int32, which history a position belongs to; a position sees its own alone.
        groups: int32, the basket's place in the history; a position sees its own basket and those before.
        types: int32, event type.
        times: float32, time since the history's first event, in the model's unit.
        targets: int32, the item to predict.
        weights: float32, how much the target counts; 0 for padding.
    """

    items: Ints32
    segments: Ints32
    groups: Ints32
    types: Ints32
    times: Floats
    targets: Ints32
    weights: Floats

    def rows(self, start: int, stop: int) -> dict[str, npt.NDArray[np.generic]]:
        """Some rows as a training step takes them."""
        return {name: values[start:stop] for name, values in vars(self).items()}


def basket_starts(histories: Histories) -> npt.NDArray[np.bool_]:
    """The events that begin a basket, a run of a user's events at one moment: bool ``[n]``."""
    n = len(histories.items)
    begins = np.ones(n, dtype=np.bool_)
    if histories.times is not None and n:
        begins[1:] = histories.times[1:] != histories.times[:-1]
        begins[histories.offsets[:-1][histories.lengths > 0]] = True
    return begins


def thinned(histories: Histories, most: int, generator: np.random.Generator) -> Histories:
    """At most so many events of each basket, chosen at random."""
    n = len(histories.items)
    begins = basket_starts(histories)
    basket = np.cumsum(begins) - 1
    order = np.lexsort((generator.random(n), basket))
    keep = np.empty(n, dtype=np.bool_)
    keep[order] = np.arange(n) - np.flatnonzero(begins)[basket] < most
    return histories.where(keep)


def pack(histories: Histories, window: int, time_unit: float, generator: np.random.Generator) -> Packed:
    """Pack histories in their order.

    Args:
        histories: each user's events, oldest first.
        window: width of a row.
        time_unit: that times are divided by; 0 leaves times out.
        generator: of baskets' inner order and of their targets.

    Returns:
        All positions, the last row padded; no row at all without interactions.
    """
    full = histories.take(np.flatnonzero(histories.lengths > 0))
    n, users = len(full.items), full.n_users
    if not n:
        return _cut(np.zeros((7, 0)), window, full.n_items)
    begins = basket_starts(full)
    basket = np.cumsum(begins) - 1
    if not begins.all():  # a random order within baskets: sort by basket, then by a random key
        order = np.lexsort((generator.random(n), basket))
        items, weights = full.items[order], full.weights[order]
        types = None if full.types is None else full.types[order]
    else:
        items, weights, types = full.items, full.weights, full.types
    basket_at = np.flatnonzero(begins)
    basket_size = np.diff(np.append(basket_at, n))
    first_basket, last_basket = basket[full.offsets[:-1]], basket[full.offsets[1:] - 1]
    rows = full.rows
    # Inputs: a start token per user, then every event that has a basket after it.
    kept = np.flatnonzero(basket < last_basket[rows])
    owner = np.concatenate([np.arange(users), rows[kept]])
    place = np.argsort(owner, kind="stable")  # start tokens come first in the list, hence first of their user
    asked = np.concatenate([first_basket, basket[kept] + 1])[place]
    chosen = basket_at[asked] + (generator.random(len(asked)) * basket_size[asked]).astype(np.int64)
    # A basket is asked for once per event of the basket before it; it shall count by its own size.
    asks = np.bincount(asked, minlength=len(basket_at))
    share = basket_size[asked] / np.maximum(asks[asked], 1)
    columns = np.empty((7, len(asked)), dtype=np.float64)
    columns[0] = np.concatenate([np.full(users, full.n_items), items[kept]])[place]
    columns[1] = owner[place]
    columns[2] = np.concatenate([np.full(users, -1), basket[kept] - first_basket[rows[kept]]])[place]
    columns[3] = 0 if types is None else np.concatenate([np.zeros(users), types[kept]])[place]
    columns[4] = 0.0
    if full.times is not None and time_unit > 0:
        since = (full.times - full.times[full.offsets[:-1]][rows]) / time_unit
        columns[4] = np.concatenate([np.zeros(users), since[kept]])[place]
    columns[5] = items[chosen]
    columns[6] = weights[chosen] * share
    return _cut(columns, window, full.n_items)


def _cut(columns: npt.NDArray[np.float64], window: int, n_items: int) -> Packed:
    """Columns of positions as rows; padding is a history of its own that counts nothing."""
    n = columns.shape[1]
    n_rows = -(-n // window)
    filled = np.zeros((7, n_rows * window))
    filled[:, :n] = columns
    filled[0, n:], filled[1, n:] = n_items, -1
    shaped = filled.reshape(7, n_rows, window)
    items, segments, groups, types, targets = (shaped[at].astype(np.int32) for at in (0, 1, 2, 3, 5))
    return Packed(
        items, segments, groups, types, shaped[4].astype(np.float32), targets, shaped[6].astype(np.float32)
    )  # fmt: skip


def batches(
    train: Histories, parameters: TowerParameters, generator: np.random.Generator, *, skip: int = 0
) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """One pass over the users in random order, in batches of one shape; the rest is left for the next pass.

    Args:
        train: every user's interactions.
        parameters: ``batch`` positions make a batch of ``window`` wide rows; ``event_dropout`` of the events is left
            out.
        generator: of all that is random.
        skip: batches to leave out at the beginning, which were used before.

    Yields:
        The columns of :class:`Packed`, ``[rows, window]`` each.
    """
    window, time_unit = parameters.window, parameters.time_unit
    rows = max(1, parameters.batch // window)
    order = generator.permutation(train.n_users)
    blocks = np.cumsum(train.lengths[order]) // _BLOCK
    left: dict[str, npt.NDArray[np.generic]] | None = None
    number = 0
    for users in np.split(order, np.flatnonzero(np.diff(blocks)) + 1):
        taken = train.take(users)
        if parameters.event_dropout:
            taken = taken.where(generator.random(len(taken.items)) >= parameters.event_dropout)
        if parameters.basket:
            taken = thinned(taken, parameters.basket, generator)
        packed = pack(taken, window, time_unit, generator)
        columns = packed.rows(0, len(packed.items))
        if left is not None:
            columns = {name: np.concatenate([left[name], values]) for name, values in columns.items()}
        whole = len(columns["items"]) // rows
        for batch in range(whole):
            number += 1
            if number > skip:
                yield {name: values[batch * rows : (batch + 1) * rows] for name, values in columns.items()}
        left = {name: values[whole * rows :] for name, values in columns.items()}
    if not number and left is not None and len(left["items"]):
        # Less than one batch in all: rows repeat.
        again = np.resize(np.arange(len(left["items"])), rows)
        yield {name: values[again] for name, values in left.items()}


def query_rows(histories: Histories, window: int, time_unit: float) -> dict[str, npt.NDArray[np.generic]]:
    """Histories to ask about: one row each, the newest events, oldest first; row 0 of the catalogue as padding.

    Returns:
        ``items``, ``types`` int32 and ``times`` float32 ``[users, window - 1]``, since the start token takes a place;
        ``lengths`` int32 ``[users]``: events of each. Times count from the first event that is shown.
    """
    newest = histories.last(window - 1)
    users, lengths = newest.n_users, newest.lengths
    at = (newest.rows, np.arange(len(newest.items)) - np.repeat(newest.offsets[:-1], lengths))
    items = np.zeros((users, window - 1), dtype=np.int32)
    types = np.zeros((users, window - 1), dtype=np.int32)
    times = np.zeros((users, window - 1), dtype=np.float32)
    items[at] = newest.items
    if newest.types is not None:
        types[at] = newest.types
    if newest.times is not None and time_unit > 0 and len(newest.items):
        first = np.repeat(newest.times[np.minimum(newest.offsets[:-1], len(newest.items) - 1)], lengths)
        times[at] = (newest.times - first) / time_unit
    return {"items": items, "types": types, "times": times, "lengths": lengths.astype(np.int32)}
