"""Compiled loops over histories, and how they share the cores."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from numba import njit

from tastemaker.features.jit import in_turn

__all__ = ["compiled", "in_threads"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call, release the GIL while it runs, and keep the machine code for the next process.

    ``fastmath`` lets sums be vectorised: scores stay the same from run to run on one machine, which is all that a model
    promises. A loop calls compiled loops of its own file only, because numba looks at no other for changes.
    """
    try:
        return cast(Function, in_turn(njit(nogil=True, cache=True, fastmath=True)(function)))
    except RuntimeError:  # numba found nowhere to keep it, as in a read-only image
        return cast(Function, njit(nogil=True, fastmath=True)(function))


def in_threads(work: Callable[[int, int], None], n: int, *, pieces_per_thread: int = 8) -> None:
    """Do ``work(start, stop)`` for pieces of ``range(n)`` on all cores; the pieces must write to different places.

    Args:
        work: a compiled loop, which releases the GIL.
        n: how much there is.
        pieces_per_thread: more of them even out pieces of unequal weight.
    """
    threads = len(os.sched_getaffinity(0))
    step = max(1, -(-n // (threads * pieces_per_thread)))
    starts = range(0, n, step)
    if threads == 1 or len(starts) <= 1:
        for start in starts:
            work(start, min(start + step, n))
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, start, min(start + step, n)) for start in starts]:
            done.result()
