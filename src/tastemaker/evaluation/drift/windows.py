"""Windows of reference days, drawn at random: what a window without drift looks like."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

__all__ = ["Windows", "draw_windows"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows:
    """Resampled windows.

    Attributes:
        inside: float32 ``[resamples, days]``, 1 for a day of the window and 0 for one that it is compared with.
        days: of each window, at least.
        block_days: days in a row that were drawn together.
    """

    inside: npt.NDArray[np.float32]
    days: int
    block_days: int


def draw_windows(reference_days: int, window_days: int, *, resamples: int, block_days: int, seed: int) -> Windows:
    """Draw windows without replacement; the other days are what each is compared with, so the two share no day.

    Days, not rows, are the unit: what happens on one day goes together, and windows of rows would understate how far
    two weeks are apart by chance.

    Args:
        reference_days: how many there are, in the order of time.
        window_days: of the window that will be judged; a longer one than half of the reference is drawn as half.
        resamples: how many windows.
        block_days: days in a row that are drawn together.
        seed: of the draw.

    Raises:
        DataError: there are fewer than two blocks.
    """
    blocks = reference_days // block_days
    if blocks < 2:
        raise DataError(f"{reference_days} reference days are fewer than two blocks of {block_days}; give a longer one")
    size = min(max(1, -(-window_days // block_days)), blocks // 2)
    order = np.argsort(np.random.default_rng(seed).random((resamples, blocks)), axis=1)[:, :size]
    chosen = np.zeros((resamples, blocks), dtype=np.float32)
    np.put_along_axis(chosen, order, 1.0, axis=1)
    inside = np.repeat(chosen, block_days, axis=1)
    # Days left over after the last whole block are always compared with, never drawn.
    rest = np.zeros((resamples, reference_days - blocks * block_days), dtype=np.float32)
    return Windows(np.hstack([inside, rest]), size * block_days, block_days)
