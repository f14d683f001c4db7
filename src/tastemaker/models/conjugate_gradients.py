"""Many small least-squares problems that share a gram matrix, solved by conjugate gradients."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.models.histories import Floats
from tastemaker.models.jit import compiled, in_threads

__all__ = ["solve_rows"]

_CONVERGED = 1e-10  # of the squared residual, relative to the squared right-hand side


def solve_rows(
    matrix: sparse.csr_matrix, vectors: Floats, solutions: Floats, *, gram: Floats, ridge: Floats, steps: int
) -> None:
    """Improve each row's solution of ``(gram + sum c v v' + ridge * I) w = sum c v``, in place.

    The sums run over the row's stored entries ``c`` with the vector ``v`` of their column.

    Args:
        matrix: ``[rows, columns]``, float32.
        vectors: ``[columns, d]``, float32.
        solutions: ``[rows, d]``, float32: where to begin, and where the result goes.
        gram: ``[d, d]``, float32: shared by all rows.
        ridge: ``[rows]``, float32.
        steps: at most; fewer once a row has converged.
    """

    def work(start: int, stop: int) -> None:
        _solve(start, stop, matrix.indptr, matrix.indices, matrix.data, vectors, gram, ridge, steps, solutions)

    in_threads(work, matrix.shape[0])


@compiled
def _solve(  # noqa: PLR0917 - compiled functions take their arguments by position
    start: int,
    stop: int,
    offsets: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    weights: Floats,
    vectors: Floats,
    gram: Floats,
    ridge: Floats,
    steps: int,
    solutions: Floats,
) -> None:
    """Rows from ``start`` up to ``stop``."""
    d = vectors.shape[1]
    direction = np.empty(d, np.float32)
    residual = np.empty(d, np.float32)
    image = np.empty(d, np.float32)
    for row in range(start, stop):
        first, end = offsets[row], offsets[row + 1]
        solution = solutions[row]
        if first == end:
            solution[:] = 0.0
            continue
        # residual = right-hand side - A solution; the right-hand side's length says when to stop
        for f in range(d):
            residual[f] = 0.0
        for p in range(first, end):
            v = vectors[columns[p]]
            for f in range(d):
                residual[f] += weights[p] * v[f]
        goal = np.float32(0.0)
        for f in range(d):
            goal += residual[f] * residual[f]
        for step in range(steps + 1):
            source = solution if step == 0 else direction
            for f in range(d):
                image[f] = ridge[row] * source[f]
            for g in range(d):
                line = gram[g]
                strength = source[g]
                for f in range(d):
                    image[f] += strength * line[f]
            for p in range(first, end):
                v = vectors[columns[p]]
                along = np.float32(0.0)
                for f in range(d):
                    along += v[f] * source[f]
                along *= weights[p]
                for f in range(d):
                    image[f] += along * v[f]
            if step == 0:
                length = np.float32(0.0)
                for f in range(d):
                    residual[f] -= image[f]
                    direction[f] = residual[f]
                    length += residual[f] * residual[f]
            else:
                curve = np.float32(0.0)
                for f in range(d):
                    curve += direction[f] * image[f]
                if curve <= 0.0:
                    break
                stride = length / curve
                new_length = np.float32(0.0)
                for f in range(d):
                    solution[f] += stride * direction[f]
                    residual[f] -= stride * image[f]
                    new_length += residual[f] * residual[f]
                turn = new_length / length
                for f in range(d):
                    direction[f] = residual[f] + turn * direction[f]
                length = new_length
            if length <= _CONVERGED * goal:
                break
