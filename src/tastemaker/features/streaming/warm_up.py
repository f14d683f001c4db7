"""``python -m tastemaker.features.streaming.warm_up`` compiles the stream executor's loops ahead of the first batch.

That takes seconds, once per machine.
"""

import numpy as np

from tastemaker.features.layout import WIDTH
from tastemaker.features.streaming.kernel_types import Events, HistoryEvents, Tables, Texts

__all__ = ["warm_up"]


def warm_up() -> None:
    """Compile what the stream executor runs, or load it from where numba keeps it."""
    from tastemaker.features.streaming.grouping import group_events
    from tastemaker.features.streaming.history_kernel import merge_histories
    from tastemaker.features.streaming.history_runs import first_ends, later_events
    from tastemaker.features.streaming.kernels import merge_entries
    from tastemaker.features.streaming.tail_kernel import held_offsets, split_tails

    ints, bools = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    table, flags, start = np.zeros((0, WIDTH), np.int64), np.zeros((0, 1), np.bool_), np.zeros(1, np.int64)
    group_events(ints, bools, 0)
    events = Events(ints, ints, ints, ints, flags, table)
    tables = Tables(ints, ints, ints, ints, ints, ints, ints, bools, ints, ints, ints, flags)
    merge_entries(table, start, ints, start, events, tables)
    split_tails(table, start, *held_offsets(table, start))
    texts = Texts(np.zeros(0, np.uint8), start)
    merge_histories(ints, start, ints, start, HistoryEvents(ints, ints, ints, texts, texts, texts, texts, bools), 1)
    found, order, order_starts = later_events(ints, start, first_ends(ints, start))
    merge_histories(ints, start, order, order_starts, found, 1)


if __name__ == "__main__":
    warm_up()
