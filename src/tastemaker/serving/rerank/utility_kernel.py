"""The scale on which candidates are compared: standardised scores, to which every weight adds.

Utility is the score in standard deviations from the list's mean; its exponential is what boosts multiply and buries
divide. So a factor means the same for scores of any sign and scale: a strength of *e* (2.72) is worth one standard
deviation, and two rules on one item multiply.
"""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["utilities"]

_Floats32 = npt.NDArray[np.float32]
_Floats = npt.NDArray[np.float64]

# The utility of a score that is not finite: below what any list of 500 can give, by more than any one rule adds. (A
# standard score is at most the root of n - 1.)
_LAST = -40.0


@compiled
def utilities(  # noqa: PLR0917 - compiled functions take their arguments by position
    scores: _Floats32,
    margins: _Floats32,
    stock: _Floats32,
    margin_weight: float,
    stock_weight: float,
    stock_half: float,
) -> _Floats:
    """Standardised scores with what margin and stock add.

    Args:
        scores: float32[n].
        margins: float32[n], standardised over those that are known; an unknown one adds 0, as the mean does.
        stock: float32[n], in pieces; an unknown one adds 0.
        margin_weight: factor of the standardised margin.
        stock_weight: exponent of stock / (stock + stock_half).
        stock_half: pieces.

    Returns:
        float64[n], finite.
    """
    n = len(scores)
    out = np.empty(n, np.float64)
    mean, deviation = _moments(scores)
    for i in range(n):
        score = np.float64(scores[i])
        out[i] = (score - mean) / deviation if np.isfinite(score) else _LAST
    if margin_weight != 0.0:
        mean, deviation = _moments(margins)
        for i in range(n):
            margin = np.float64(margins[i])
            if np.isfinite(margin):
                out[i] += margin_weight * (margin - mean) / deviation
    if stock_weight > 0.0:
        for i in range(n):
            pieces = np.float64(stock[i])
            if np.isfinite(pieces):
                share = max(pieces, 0.0) / (max(pieces, 0.0) + stock_half)
                out[i] += stock_weight * np.log(max(share, 1e-3))
    return out


@compiled
def _moments(values: _Floats32) -> tuple[float, float]:
    """Mean and standard deviation of the finite values; 0 and 1 where there is no difference between them."""
    count, total = 0, 0.0
    for value in values:
        if np.isfinite(value):
            count += 1
            total += np.float64(value)
    if count == 0:
        return 0.0, 1.0
    mean = total / count
    squares = 0.0
    for value in values:
        if np.isfinite(value):
            squares += (np.float64(value) - mean) ** 2
    deviation = np.sqrt(squares / count)
    # What is left of equal values is rounding.
    return mean, deviation if deviation > 1e-12 * max(abs(mean), 1e-30) else 1.0
