"""Turn vectors so that 4-bit codes lose as little as they can: each code gets as much variance as the others."""

import numpy as np
import numpy.typing as npt

__all__ = ["balanced_rotation"]

Floats = npt.NDArray[np.float32]


def balanced_rotation(rest: Floats) -> Floats:
    """A rotation after which pairs of neighbouring dimensions are equally hard to code.

    Principal axes are dealt out in pairs, the longest with the shortest, so that the pairs' products of variances are
    near each other: the parametric solution of Ge et al. 2013, "Optimized Product Quantization".

    Args:
        rest: float32 ``[n, dimension]``, what remains of vectors after their centres; the dimension is even.

    Returns:
        float32 ``[dimension, dimension]``: vectors times it are turned, and their inner products stay.
    """
    axes = np.linalg.eigh(rest.T.astype(np.float64) @ rest)[1]
    dimension = rest.shape[1]
    order = np.empty(dimension, dtype=np.int64)
    order[0::2] = np.arange(dimension - 1, dimension // 2 - 1, -1)  # eigenvalues ascend
    order[1::2] = np.arange(dimension // 2)
    return np.ascontiguousarray(axes[:, order], dtype=np.float32)
