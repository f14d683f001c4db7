"""Times of many events at once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["times_us"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def times_us(moments: Sequence[datetime]) -> npt.NDArray[np.int64]:
    """Microseconds since the epoch of timezone-aware datetimes, exact, as :func:`tastemaker.clock.to_us`.

    Arrow takes differences of datetimes in a tenth of the time that it takes for datetimes with a timezone.

    >>> times_us([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)])
    array([1000000])
    """
    since = [moment - _EPOCH for moment in moments]
    made: npt.NDArray[np.int64] = pa.array(since, pa.duration("us")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return made.copy()  # writable, as compiled loops expect
