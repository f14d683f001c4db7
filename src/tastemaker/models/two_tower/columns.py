"""Columns of tables as numbers."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.errors import DataError

__all__ = ["numbers_of"]


def numbers_of(column: pa.Array | pa.ChunkedArray, what: str) -> npt.NDArray[np.float64]:
    """float64 ``[n]``, NaN for empty values; moments in microseconds since the epoch.

    Args:
        column: of numbers or moments.
        what: what to call it in an error.

    Raises:
        DataError: it is neither.
    """
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{what} of type {column.type} does not convert to numbers: {error}") from error
