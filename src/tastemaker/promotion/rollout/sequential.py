"""Tests that stay valid however often one looks: e-processes.

An e-process is at least as small, on average and whenever one stops, as 1 where its hypothesis is true; so it reaches
``1/alpha`` with probability ``alpha`` at most, at any of all looks together (Ville, 1939; Ramdas, Grünwald, Vovk and
Shafer, *Game-theoretic statistics and safe anytime-valid inference*, Statistical Science 2023). One may look after each
request, stop on evidence, and go on without it.

Two kinds, both about shoppers, because the requests of one shopper are not independent of each other:

- :func:`affected`: of shoppers who met something bad, how many are of the candidate's? Who gets the candidate is drawn
  at random, so this is a coin with a known chance, exactly, whatever shoppers do: a randomisation test. For the rare.
- :func:`below`: a ratio of sums over shoppers, compared by its logarithm or as it is, with a variance that sums over
  shoppers: mixture sequential probability ratio test (Robbins, 1970; Johari, Koomen, Pekelis and Walsh, *Always Valid
  Inference*, Operations Research 2022), here one-sided, over a variance that is estimated (Waudby-Smith, Arbour, Sinha,
  Kennedy and Ramdas, *Time-uniform central limit theory and asymptotic confidence sequences*, Annals of Statistics
  2024). For what is frequent; valid as shoppers become many.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, log_ndtr

__all__ = ["Difference", "affected", "below", "difference_of_rates", "interval", "log_ratio_of_rates"]

Floats = npt.NDArray[np.float64]

_FEW = 5


@dataclass(frozen=True)
class Difference:
    """An estimated difference between candidate and champion.

    Attributes:
        value: of it; negative where the candidate has less.
        variance: of the estimate.
    """

    value: float
    variance: float


def affected(candidate: int, champion: int, share: float) -> float:
    """Evidence that the candidate affects more shoppers than the champion: the logarithm of an e-process.

    Under the hypothesis that it does not, each affected shopper is one of the candidate's with probability ``share`` at
    most, because that is how shoppers were assigned. The likelihood of a larger probability, averaged over a uniform
    distribution on ``(share, 1)``, over that of ``share``.

    Args:
        candidate: affected shoppers of the candidate.
        champion: of the champion; each shopper counts once.
        share: of the candidate, above 0 and below 1.

    >>> round(affected(5, 0, 0.5), 2)  # five heads in a row: mean of t^5 / 0.5^5 for t in (0.5, 1) is 10.5
    2.35
    """
    n = candidate + champion
    if n == 0:
        return 0.0
    a, b = candidate + 1.0, champion + 1.0
    upper = betainc(b, a, 1.0 - share)  # the mass of Beta(a, b) above share
    if upper <= 0.0:
        return -math.inf
    mixture = betaln(a, b) + math.log(upper) - math.log1p(-share)
    return float(mixture - candidate * math.log(share) - champion * math.log1p(-share))


def below(difference: Difference, limit: float, scale: float) -> float:
    """Evidence that the true difference is below a limit: the logarithm of an e-process for "it is not".

    With information ``I = 1 / variance`` and ``S = I * (value - limit)``, a Brownian motion in ``I`` with the drift
    that is asked about, the mixture over drifts ``-|N(0, scale^2)|`` is
    ``2 * Phi(z) * exp(z^2 / 2) / sqrt(1 + I * scale^2)`` with ``z = -S * scale / sqrt(1 + I * scale^2)``.

    Args:
        difference: as estimated by now.
        limit: what it is compared with.
        scale: the size of differences that matter, in the unit of the difference.
    """
    if not difference.variance > 0 or not math.isfinite(difference.variance):
        return 0.0
    information = 1.0 / difference.variance
    spread = 1.0 + information * scale * scale
    z = (limit - difference.value) * information * scale / math.sqrt(spread)
    return float(math.log(2.0) + log_ndtr(z) + 0.5 * z * z - 0.5 * math.log(spread))


def interval(difference: Difference, alpha: float, scale: float) -> tuple[float, float]:
    """All values that the difference may have, by the two one-sided tests of half of ``alpha`` each, at all looks."""
    if not difference.variance > 0 or not math.isfinite(difference.variance):
        return -math.inf, math.inf
    information = 1.0 / difference.variance
    spread = 1.0 + information * scale * scale
    wanted = math.log(1.0 / alpha) + 0.5 * math.log(spread)
    z = 3.0
    for _ in range(20):  # the evidence of below(), solved for z; each turn leaves a tenth of the error or less
        z = math.sqrt(max(0.0, 2.0 * (wanted - float(log_ndtr(z)))))
    reach = z * math.sqrt(spread) / (information * scale)
    return difference.value - reach, difference.value + reach


def log_ratio_of_rates(candidate: tuple[Floats, Floats], champion: tuple[Floats, Floats]) -> Difference:
    """The logarithm of the ratio of two rates, with its variance over shoppers by the delta method.

    Source: Deng, Knoblich and Lu, *Applying the Delta Method in Metric Analytics*, KDD 2018.

    Args:
        candidate: by shopper, how many lists had the outcome, and how many there were: float64 ``[users]`` each.
        champion: the same.
    """
    (rate, variance), (base, base_variance) = _rate(*candidate), _rate(*champion)
    if base <= 0 or not math.isfinite(variance + base_variance):
        return Difference(0.0, math.inf)
    own, lists, other = float(candidate[0].sum()), float(candidate[1].sum()), float(champion[1].sum())
    relative, base_relative = variance / rate**2 if rate > 0 else 0.0, base_variance / base**2
    if own < _FEW:  # so few tell nothing of their variance: as if each of its lists were the champion's
        relative, rate = base_relative * other / lists, max(own, 0.5) / lists
    return Difference(math.log(rate / base), relative + base_relative)


def difference_of_rates(candidate: tuple[Floats, Floats], champion: tuple[Floats, Floats]) -> Difference:
    """The difference of two rates; see :func:`log_ratio_of_rates`."""
    (rate, variance), (base, base_variance) = _rate(*candidate), _rate(*champion)
    return Difference(rate - base, variance + base_variance)


def _rate(outcomes: Floats, lists: Floats) -> tuple[float, float]:
    """A ratio of sums and its variance, shoppers being what is drawn."""
    users, total = len(lists), float(lists.sum())
    if users < 2 or total <= 0:
        return 0.0, math.inf
    rate = float(outcomes.sum()) / total
    residual = outcomes - rate * lists
    return rate, float(residual @ residual) * users / (users - 1) / total**2
