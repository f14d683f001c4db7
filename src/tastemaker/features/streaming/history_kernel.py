"""The compiled loop that merges a batch into packed histories; see :mod:`tastemaker.features.history`."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.history import HISTORY_WORDS
from tastemaker.features.jit import compiled
from tastemaker.features.semantics import HEAD_US, NEVER
from tastemaker.features.streaming.kernel_types import HistoryEvents, Texts

__all__ = ["merge_histories"]

_Ints = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]


@compiled
def _compare(left: _Bytes, right: _Bytes) -> int:
    """Order of two texts by their bytes: negative, zero or positive."""
    for index in range(min(len(left), len(right))):
        if left[index] != right[index]:
            return -1 if left[index] < right[index] else 1  # their difference would have no sign
    return len(left) - len(right)


@compiled
def _text(texts: Texts, event: int) -> _Bytes:
    return texts.text[texts.starts[event] : texts.starts[event + 1]]


@compiled
def _copy(target: _Bytes, at: int, source: _Bytes) -> int:
    for index in range(len(source)):
        target[at + index] = source[index]
    return at + len(source)


@compiled
def _newest_first(order: _Ints, at_us: _Ints, ids: Texts) -> int:
    """Sort events in place and leave out repeated ones; returns how many are left at the beginning.

    By insertion from the end, because events nearly are in order, oldest first.
    """
    size = len(order)
    for place in range(size // 2):
        order[place], order[size - 1 - place] = order[size - 1 - place], order[place]
    left = 0
    for place in range(size):
        event = order[place]
        at = left
        side = 1
        while at > 0:
            other = order[at - 1]
            if at_us[other] != at_us[event]:
                side = 1 if at_us[other] > at_us[event] else -1
            else:
                side = _compare(_text(ids, other), _text(ids, event))
            if side >= 0:
                break
            at -= 1
        if at > 0 and side == 0:
            continue
        for moved in range(left, at, -1):
            order[moved] = order[moved - 1]
        order[at] = event
        left += 1
    return left


@compiled
def merge_histories(  # noqa: PLR0917 - compiled functions take their arguments by position
    old: _Ints, old_starts: _Ints, order: _Ints, starts: _Ints, events: HistoryEvents, keep: int
) -> tuple[_Ints, _Ints, _Ints]:
    """Merge new events into the packed histories of many entities of one view.

    Args:
        old: int64[m], the words of the old states, one entity after the other.
        old_starts: int64[k + 1], where in ``old`` each entity begins.
        order: indices of the new events, entity by entity; changed in place.
        starts: int64[k + 1], where in ``order`` each entity begins.
        events: the batch.
        keep: how many events stay behind the head.

    Returns:
        ``words``: int64[m'], the new states; ``ends``: int64[k + 1], where each entity begins; ``newest``: int64[k],
        the time of its newest event, or ``NEVER`` where no event was new, so that nothing changed and it has no words
        here.
    """
    entities = len(starts) - 1
    old_bytes = old.view(np.uint8)
    out = np.empty(len(old) + 32 * len(order) + 64, np.int64)
    out_bytes = out.view(np.uint8)
    ends = np.zeros(entities + 1, np.int64)
    newest_us = np.full(entities, NEVER, np.int64)
    picks = np.empty(64, np.int64)
    texts_at = np.empty(64, np.int64)
    size = 0
    for entity in range(entities):
        old_begin = old_starts[entity]
        count = old[old_begin] if old_starts[entity + 1] > old_begin else 0
        fixed = old_begin + 1
        begin, end = starts[entity], starts[entity + 1]
        total = count + end - begin
        if total + 1 > len(picks):
            picks = np.empty(2 * total + 1, np.int64)
            texts_at = np.empty(2 * total + 1, np.int64)
        texts_at[0] = 8 * (fixed + HISTORY_WORDS * count)
        for number in range(count):
            lengths = old[fixed + HISTORY_WORDS * number + 3]
            own = (lengths & 0xFFFF) + ((lengths >> 16) & 0xFFFF) + ((lengths >> 32) & 0xFFFF)
            own += max(((lengths >> 48) & 0xFFFF) - 1, 0)
            texts_at[number + 1] = texts_at[number] + own
        end = begin + _newest_first(order[begin:end], events.at_us, events.ids)

        # Which events stay: old ones by their number, new ones as -1 minus their index.
        newest = NEVER
        if count:
            newest = old[fixed]
        if end > begin:
            newest = max(newest, events.at_us[order[begin]])
        picked, behind, added, place, number = 0, 0, 0, begin, 0
        while (place < end or number < count) and behind < keep:
            side = -1
            if place == end:
                side = 1
            elif number < count:
                event = order[place]
                older = old[fixed + HISTORY_WORDS * number]
                if older != events.at_us[event]:
                    side = 1 if older > events.at_us[event] else -1
                else:
                    id_size = old[fixed + HISTORY_WORDS * number + 3] & 0xFFFF
                    old_id = old_bytes[texts_at[number] : texts_at[number] + id_size]
                    side = _compare(old_id, _text(events.ids, event))
            if side >= 0:
                place += side == 0  # it is there already
                at = old[fixed + HISTORY_WORDS * number]
                picks[picked] = number
                number += 1
            else:
                at = events.at_us[order[place]]
                picks[picked] = -1 - order[place]
                place += 1
                added += 1
            picked += 1
            if at < newest - HEAD_US:
                behind += 1
        if added == 0:
            ends[entity + 1] = size
            continue
        newest_us[entity] = newest

        heap = 0
        for index in range(picked):
            pick = picks[index]
            if pick >= 0:
                heap += texts_at[pick + 1] - texts_at[pick]
            else:
                event = -1 - pick
                for texts in (events.ids, events.items, events.types, events.categories):
                    heap += texts.starts[event + 1] - texts.starts[event]
        words = 1 + HISTORY_WORDS * picked + (heap + 7) // 8
        if size + words > len(out):
            grown = np.empty(2 * (size + words), np.int64)
            grown[:size] = out[:size]
            out = grown
            out_bytes = out.view(np.uint8)
        out[size] = picked
        out[size + words - 1] = 0  # the padding, where there is any; overwritten otherwise
        text = 8 * (size + 1 + HISTORY_WORDS * picked)
        for index in range(picked):
            pick = picks[index]
            word = size + 1 + HISTORY_WORDS * index
            if pick >= 0:
                for part in range(HISTORY_WORDS):
                    out[word + part] = old[fixed + HISTORY_WORDS * pick + part]
                text = _copy(out_bytes, text, old_bytes[texts_at[pick] : texts_at[pick + 1]])
                continue
            event = -1 - pick
            out[word] = events.at_us[event]
            out[word + 1] = events.values[event]
            out[word + 2] = events.prices[event]
            lengths, shift = 0, 0
            for texts in (events.ids, events.items, events.types, events.categories):
                lengths |= (texts.starts[event + 1] - texts.starts[event]) << shift
                shift += 16
                text = _copy(out_bytes, text, _text(texts, event))
            out[word + 3] = lengths + (int(events.has_category[event]) << 48)
        size += words
        ends[entity + 1] = size
    return out[:size], ends, newest_us
