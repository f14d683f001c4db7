"""Compiled loops: one place that says how numba compiles them."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call, release the GIL while it runs, and keep the machine code for the next process.

    The code is kept beside the source, or in the user's cache directory where that cannot be written, or not at all
    where nothing can be written, as in a read-only image. No ``fastmath``: it would let the compiler contract or
    reorder operations on doubles, and values have to be equal to the last bit.
    """
    try:
        return cast(Function, njit(nogil=True, cache=True)(function))
    except RuntimeError:  # numba found nowhere to keep it
        return cast(Function, njit(nogil=True)(function))
