"""Columns of numbers in few bytes, exactly: a column that says the same of every candidate is written once.

Most of a ranker's features are the shopper's, equal for all candidates, or flags that are. Base64, which JSON writes
bytes in, then takes a third more.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["pack", "unpack"]

_Floats = npt.NDArray[np.float32]


def pack(columns: _Floats) -> bytes:
    """A matrix as bytes.

    Args:
        columns: float32 ``[rows, columns]``, at least one row.

    Returns:
        One bit per column, set for those of one value; these values; then all other columns, one after the other.
        Little-endian.

    >>> packed = pack(np.array([[1.0, 2.0], [1.0, np.nan]], dtype=np.float32))
    >>> len(packed), unpack(packed, 2, 2).tolist()
    (13, [[1.0, 2.0], [1.0, nan]])
    """
    bits = np.ascontiguousarray(columns, dtype="<f4").view("<u4")  # as bits, NaN equals itself and -0 is not 0
    same = (bits == bits[0]).all(axis=0)
    return b"".join(
        (np.packbits(same).tobytes(), bits[0, same].tobytes(), np.ascontiguousarray(bits[:, ~same].T).tobytes())
    )


def unpack(packed: bytes, rows: int, columns: int) -> _Floats:
    """What was packed, float32 ``[rows, columns]``.

    Args:
        packed: by :func:`pack`.
        rows: of the matrix.
        columns: of the matrix.

    Raises:
        ValueError: it is not a matrix of that shape.
    """
    head = (columns + 7) // 8
    if len(packed) < head:
        raise ValueError(f"{len(packed)} bytes do not hold the flags of {columns} columns")
    same = np.unpackbits(np.frombuffer(packed, np.uint8, head), count=columns).astype(np.bool_)
    once = int(same.sum())
    if len(packed) != head + 4 * (once + rows * (columns - once)):
        raise ValueError(f"{len(packed)} bytes do not hold {rows} rows of {columns} columns, {once} of them constant")
    values = np.frombuffer(packed, "<f4", offset=head)
    found = np.empty((rows, columns), dtype=np.float32)
    found[:, same] = values[:once]
    found[:, ~same] = values[once:].reshape(columns - once, rows).T
    return found
