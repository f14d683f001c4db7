"""How well titles match what was searched for: the words that they share, rare ones counting more."""

import re
from collections.abc import Sequence
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["text_match"]

_WORD: Final = re.compile(r"\w+")


def text_match(query: str, titles: Sequence[str]) -> npt.NDArray[np.float32]:
    """Share of the query's words that each title has, 0 to 1, each word by its inverse document frequency here.

    A word also matches one that begins with it, at half its weight: ``candle`` finds ``candles``.

    Args:
        query: as it was typed.
        titles: of the items; a search engine has found them, so that the words' frequency is taken among them.

    >>> text_match("red mug", ["Red mug", "Blue mug", "Plate"]).round(2).tolist()
    [1.0, 0.3700000047683716, 0.0]
    """
    words = list(dict.fromkeys(_WORD.findall(query.lower())))[:16]
    if not words or not titles:
        return np.zeros(len(titles), dtype=np.float32)
    found = [_WORD.findall(title.lower()) for title in titles]
    hits = np.array([[_hit(word, own) for word in words] for own in found], dtype=np.float32)
    weights = np.array([log(1.0 + len(titles) / (1.0 + float(column.sum()))) for column in hits.T], dtype=np.float32)
    return np.asarray(hits @ weights / weights.sum(), dtype=np.float32)


def _hit(word: str, own: list[str]) -> float:
    if word in own:
        return 1.0
    return 0.5 if len(word) > 2 and any(other.startswith(word) for other in own) else 0.0
