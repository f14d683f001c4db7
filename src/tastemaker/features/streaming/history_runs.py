"""The compiled loops that read the later ones of several packed histories of one entity as events."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.history import HISTORY_WORDS
from tastemaker.features.jit import compiled
from tastemaker.features.streaming.kernel_types import HistoryEvents, Texts

__all__ = ["first_ends", "later_events"]

_Ints = npt.NDArray[np.int64]
_TEXTS = 4


@compiled
def _length(lengths: int, text: int) -> int:
    """The bytes of a text of an event, from the word that has the lengths of all four; categories count one more."""
    found = (lengths >> (16 * text)) & 0xFFFF
    return max(found - 1, 0) if text == _TEXTS - 1 else found


@compiled
def _end(words: _Ints, begin: int) -> int:
    """Where the packed history that begins at a word ends."""
    count = words[begin]
    heap = 0
    for number in range(count):
        lengths = words[begin + 1 + HISTORY_WORDS * number + 3]
        for text in range(_TEXTS):
            heap += _length(lengths, text)
    return int(begin + 1 + HISTORY_WORDS * count + (heap + 7) // 8)


@compiled
def first_ends(words: _Ints, starts: _Ints) -> _Ints:
    """int64[k], where in the words of each entity's packed histories the first of them ends.

    Args:
        words: int64[m], of one entity after the other.
        starts: int64[k + 1], where each entity begins.
    """
    ends = np.empty(len(starts) - 1, np.int64)
    for entity in range(len(ends)):
        begin = starts[entity]
        ends[entity] = begin if begin == starts[entity + 1] else _end(words, begin)
    return ends


@compiled
def later_events(words: _Ints, starts: _Ints, firsts: _Ints) -> tuple[HistoryEvents, _Ints, _Ints]:
    """The events of all but the first packed history of each entity.

    Args:
        words: int64[m], of one entity after the other.
        starts: int64[k + 1], where each entity begins.
        firsts: as of :func:`first_ends`.

    Returns:
        The events; int64[n], their indices entity by entity, oldest first within one packed history; int64[k + 1],
        where in these each entity begins.
    """
    entities = len(starts) - 1
    sizes = np.zeros(_TEXTS, np.int64)
    total = 0
    for entity in range(entities):
        begin = firsts[entity]
        while begin < starts[entity + 1]:
            for number in range(words[begin]):
                for text in range(_TEXTS):
                    sizes[text] += _length(words[begin + 1 + HISTORY_WORDS * number + 3], text)
            total += words[begin]
            begin = _end(words, begin)
    at_us, values, prices = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    has_category = np.empty(total, np.bool_)
    texts = [np.empty(sizes[text], np.uint8) for text in range(_TEXTS)]
    text_starts = [np.zeros(total + 1, np.int64) for _ in range(_TEXTS)]
    order, order_starts = np.empty(total, np.int64), np.zeros(entities + 1, np.int64)
    content = words.view(np.uint8)
    event = 0
    for entity in range(entities):
        begin = firsts[entity]
        while begin < starts[entity + 1]:
            count = words[begin]
            at = 8 * (begin + 1 + HISTORY_WORDS * count)
            for number in range(count):
                fixed = begin + 1 + HISTORY_WORDS * number
                at_us[event], values[event], prices[event] = words[fixed], words[fixed + 1], words[fixed + 2]
                has_category[event] = (words[fixed + 3] >> 48) & 0xFFFF > 0
                for text in range(_TEXTS):
                    into = text_starts[text][event]
                    for _ in range(_length(words[fixed + 3], text)):
                        texts[text][into] = content[at]
                        into += 1
                        at += 1
                    text_starts[text][event + 1] = into
                order[event + count - 1 - 2 * number] = event
                event += 1
            begin = _end(words, begin)
        order_starts[entity + 1] = event
    events = HistoryEvents(
        at_us,
        values,
        prices,
        Texts(texts[0], text_starts[0]),
        Texts(texts[1], text_starts[1]),
        Texts(texts[2], text_starts[2]),
        Texts(texts[3], text_starts[3]),
        has_category,
    )
    return events, order, order_starts
