"""The calibration: what each check reaches on reference days alone, and the limits that follow from it."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.drift.limits import DriftLimits

__all__ = ["CheckCalibration", "CheckKey", "DriftCalibration", "calibrate"]

CheckKey = tuple[str, str, str]  # segment, column, check

_SCALE_AT = 0.95


class CheckCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """What one check of one column does when nothing drifts.

    Attributes:
        column: its name.
        check: ``wasserstein``, ``jensen_shannon``, ``missing_share``, ``new_categories``, ``beside_others``,
            ``ranks_beside_others`` or ``missing_beside_others``.
        segment: of the rows; empty for all of them.
        median: of its figure over the resampled windows.
        p95: 95 % quantile of it.
        largest: of all resamples.
        calibrated: the limit that the false-alarm rate gives.
        exchanged: the same from windows that are drawn from reference days and judged days together. It holds the rate
            exactly when they do not differ, also where the judged window has a day such as no reference day is.
        floor: below which a figure does not matter.
    """

    column: str
    check: str
    segment: str = ""
    median: float
    p95: float
    largest: float
    calibrated: float
    exchanged: float = 0.0
    floor: float

    @property
    def limit(self) -> float:
        """Above it the check fires."""
        return max(self.calibrated, self.exchanged, self.floor)


class DriftCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """How the limits of a frame came about.

    Attributes:
        false_alarm_rate: of all checks together, that was asked for.
        reached: share of the resampled windows in which any check fires with these limits.
        resamples: windows of reference days that were drawn.
        seed: of the draw.
        reference_days: days that they were drawn from.
        window_days: days of each.
        block_days: days in a row that were drawn together.
        factor: the limit of every check in units of its 95 % quantile; 0 where the floors alone suffice.
        checks: one each.
    """

    false_alarm_rate: float
    reached: float
    resamples: int
    seed: int
    reference_days: int
    window_days: int
    block_days: int
    factor: float
    checks: tuple[CheckCalibration, ...]

    def of(self, segment: str, column: str, check: str) -> CheckCalibration:
        """One check's.

        Raises:
            KeyError: it was not calibrated.
        """
        for one in self.checks:
            if (one.segment, one.column, one.check) == (segment, column, check):
                return one
        raise KeyError((segment, column, check))


def calibrate(
    null: Mapping[CheckKey, npt.NDArray[np.float64]], limits: DriftLimits
) -> tuple[float, float, tuple[CheckCalibration, ...]]:
    """Limits from the figures of resampled windows, by the distribution of their maximum over all checks.

    The single-step maximum procedure of Westfall and Young (*Resampling-Based Multiple Testing*, 1993): each check's
    figure is divided by its own 95 % quantile, and the limit in these units is the ``1 - false_alarm_rate`` quantile of
    the largest one of each window. It holds for any dependence between columns, and needs no more resamples for more
    columns, as a correction by their number would. A figure below its floor cannot fire, so it does not count.

    Args:
        null: figures ``[resamples]`` of windows of reference days against all the other days, by check.
        limits: the rate and the floors.

    Returns:
        The factor, the share of windows in which a check fires with it, and each check's calibration.
    """
    if not null:
        return 0.0, 0.0, ()
    keys = list(null)
    figures = np.stack([null[key] for key in keys])
    floors = np.array([limits.floor(check) for _, _, check in keys])[:, None]
    scales = np.quantile(figures, _SCALE_AT, axis=1, keepdims=True)
    scales = np.maximum(scales, np.finfo(np.float64).tiny)
    units = np.where(figures > floors, figures / scales, 0.0)
    # "higher": a quantile between two windows would let the upper one fire.
    factor = float(np.quantile(units.max(axis=0), 1 - limits.false_alarm_rate, method="higher"))
    fires = (figures > np.maximum(factor * scales, floors)).any(axis=0)
    median = np.median(figures, axis=1)
    return (
        factor,
        float(fires.mean()),
        tuple(_checks(keys, figures, median, scales[:, 0], factor=factor, limits=limits)),
    )


def _checks(
    keys: Sequence[CheckKey],
    figures: npt.NDArray[np.float64],
    median: npt.NDArray[np.float64],
    scales: npt.NDArray[np.float64],
    *,
    factor: float,
    limits: DriftLimits,
) -> list[CheckCalibration]:
    return [
        CheckCalibration(
            column=column,
            check=check,
            segment=segment,
            median=float(median[at]),
            p95=float(scales[at]),
            largest=float(figures[at].max()),
            calibrated=float(factor * scales[at]),
            floor=limits.floor(check),
        )
        for at, (segment, column, check) in enumerate(keys)
    ]
