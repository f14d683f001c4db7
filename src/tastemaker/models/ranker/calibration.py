"""Logits to probabilities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Calibration", "expected_calibration_error", "fit_calibration"]

Floats = npt.NDArray[np.float64]

_ENOUGH = 1_000  # hits, below which isotonic regression follows noise (Niculescu-Mizil and Caruana, ICML 2005)
_BINS = 100
_MOST_ODDS = 30.0


@dataclass(frozen=True)
class Calibration:
    """A map of one outcome's logits to its probability: Platt's, or a monotone one where there is enough data.

    Attributes:
        slope: of the log-odds per unit of the logit (Platt 1999).
        offset: log-odds at the logit 0.
        knots: logits at which the monotone map is given; empty when there is none.
        odds: log-odds there, not falling; linear in between, constant outside.
    """

    slope: float = 1.0
    offset: float = 0.0
    knots: tuple[float, ...] = ()
    odds: tuple[float, ...] = ()

    def __call__(self, logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Probabilities, float32 of the same shape."""
        found = np.interp(logits, self.knots, self.odds) if self.knots else self.slope * logits + self.offset
        chance: npt.NDArray[np.float32] = (1.0 / (1.0 + np.exp(-np.clip(found, -_MOST_ODDS, _MOST_ODDS)))).astype(
            np.float32
        )
        return chance


def fit_calibration(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.floating]) -> Calibration:
    """Fit on impressions that the scores were not learned from.

    Args:
        logits: ``[n]``.
        labels: ``[n]``, 1 or 0.

    Returns:
        The identity, when there is no hit or nothing else.
    """
    scores, hits = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if not 0 < hits.sum() < len(hits):
        return Calibration()
    slope, offset = _platt(scores, hits)
    if slope <= 0:  # the scores say nothing, or the reverse: everything is as likely as the mean
        return Calibration(0.0, float(np.log(hits.mean() / (1 - hits.mean()))))
    if hits.sum() < _ENOUGH:
        return Calibration(slope, offset)
    knots, odds = _isotonic(scores, hits)
    return Calibration(slope, offset, tuple(knots.tolist()), tuple(odds.tolist()))


def expected_calibration_error(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.floating], bins: int = 15
) -> float:
    """Mean distance between what was foretold and what happened, over bins of equally many impressions.

    Nixon et al., *Measuring Calibration in Deep Learning*, CVPR Workshops 2019 (adaptive bins: outcomes are rare, so
    that bins of equal width would hold all impressions in the first one).

    Args:
        probabilities: ``[n]``.
        labels: ``[n]``, 1 or 0.
        bins: how many.

    Returns:
        0 to 1; NaN of nothing.
    """
    if not len(labels):
        return float("nan")
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(float(probabilities[part].mean()) - float(labels[part].mean())) * len(part) for part in parts]
    return sum(gaps) / len(labels)


def _platt(scores: Floats, hits: Floats) -> tuple[float, float]:
    """Logistic regression on one score by Newton's method; Platt's targets keep it finite when classes separate."""
    n_hits, n = hits.sum(), len(hits)
    target = np.where(hits == 1, (n_hits + 1) / (n_hits + 2), 1 / (n - n_hits + 2))
    mean, spread = scores.mean(), max(float(scores.std()), 1e-9)
    x = (scores - mean) / spread
    slope, offset = 0.0, float(np.log(n_hits / (n - n_hits)))
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(slope * x + offset, -_MOST_ODDS, _MOST_ODDS)))
        gap, curve = p - target, np.maximum(p * (1 - p), 1e-12)
        gradient = np.array([(gap * x).sum(), gap.sum()])
        a, b, c = (curve * x * x).sum() + 1e-9, (curve * x).sum(), curve.sum() + 1e-9
        step = np.array([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]]) / (a * c - b * b)
        step *= min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-12))  # far from the optimum the curve misleads
        slope, offset = slope - step[0], offset - step[1]
        if np.abs(step).max() < 1e-9:
            break
    return float(slope / spread), float(offset - slope * mean / spread)


def _isotonic(scores: Floats, hits: Floats) -> tuple[Floats, Floats]:
    """Isotonic regression over bins of equally many hits (pool adjacent violators), as knots of a curve."""
    order = np.argsort(scores, kind="stable")
    x, y = scores[order], hits[order]
    places = np.flatnonzero(y)
    edges = np.unique(places[np.linspace(0, len(places) - 1, _BINS + 1).astype(int)[1:-1]])
    starts = np.concatenate([[0], edges])
    sizes = np.diff(np.concatenate([starts, [len(x)]])).astype(float)
    # Blocks: [sum of scores, hits, impressions].
    blocks: list[list[float]] = []
    for at_x, at_y, size in zip(np.add.reduceat(x, starts), np.add.reduceat(y, starts), sizes, strict=True):
        blocks.append([float(at_x), float(at_y), float(size)])
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]:
            last = blocks.pop()
            blocks[-1] = [one + other for one, other in zip(blocks[-1], last, strict=True)]
    found = np.array(blocks)
    # Half a hit more on either side keeps the odds finite.
    odds = np.log((found[:, 1] + 0.5) / (found[:, 2] - found[:, 1] + 0.5))
    return found[:, 0] / found[:, 2], np.maximum.accumulate(odds)
