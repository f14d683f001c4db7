"""The outcome of a drift measurement: what a gate reads and a release keeps."""

from typing import Literal

import msgspec

from tastemaker.document import Document
from tastemaker.errors import DataError
from tastemaker.evaluation.drift.calibration import DriftCalibration

__all__ = ["FEATURES", "QUALITY_CHECKS", "ColumnDrift", "DriftSummary", "GroupDrift"]

FEATURES = "features"
# Checks that say that data is broken rather than that the world has moved.
QUALITY_CHECKS = frozenset({"missing_share", "missing_beside_others", "new_categories", "constant", "empty", "absent"})

Status = Literal["stable", "drifted", "unchecked"]


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one column.

    Attributes:
        column: its name.
        check: ``wasserstein``, ``jensen_shannon``, ``missing_share``, ``new_categories``, ``beside_others``,
            ``ranks_beside_others``, ``missing_beside_others``, ``constant``, ``varies`` (no longer constant),
            ``empty``, ``absent`` or ``few_values``.
        value: the check's figure, if it has one.
        limit: above it the column has drifted.
        status: ``unchecked`` columns do not enter the share.
        reason: in words.
        segment: of the rows, as ``column=value``; empty for all of them.
        group: ``features``, ``predictions`` or ``targets``.
    """

    column: str
    check: str
    status: Status
    value: float | None = None
    limit: float | None = None
    reason: str = ""
    segment: str = ""
    group: str = FEATURES

    @property
    def label(self) -> str:
        """The column as people read it, with group and segment where they are not the usual ones."""
        name = self.column if self.group == FEATURES else f"{self.group}: {self.column}"
        return f"{name} ({self.segment})" if self.segment else name


class GroupDrift(msgspec.Struct, frozen=True, kw_only=True):
    """What one group of columns was measured on.

    Attributes:
        name: ``features``, ``predictions`` or ``targets``.
        reference_rows: of all reference days.
        current_rows: of the window.
        reference_days: with rows.
        current_days: with rows.
        error: why there is no result; empty when there is one.
        calibration: how the limits came about; None without a result.
        sampling_error: largest difference between a distance in Evidently's report, made on a sample, and the one on
            all rows that decides.
    """

    name: str
    reference_rows: int
    current_rows: int
    reference_days: int = 0
    current_days: int = 0
    error: str = ""
    calibration: DriftCalibration | None = None
    sampling_error: float | None = None


class DriftSummary(Document, frozen=True, kw_only=True):
    """Drift between two times.

    Attributes:
        reference: what the reference rows are, in words.
        current: what the current rows are.
        reference_rows: of the features.
        current_rows: of the features.
        columns: a result per column, check and segment.
        error: why there is no result; a gate then fails closed. Empty when there is one.
        shortage: whether ``error`` is that there is too little data, rather than that something broke.
        report: file name of the HTML report, relative to the directory of the summary.
        groups: what was measured on what, with the calibration.
    """

    KIND = "a drift summary"
    REMEDY = "run the drift report again"

    reference: str
    current: str
    reference_rows: int
    current_rows: int
    columns: tuple[ColumnDrift, ...] = ()
    error: str = ""
    shortage: bool = False
    report: str = ""
    groups: tuple[GroupDrift, ...] = ()

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns of which any check fired, each once."""
        return tuple(dict.fromkeys(_name(one) for one in self.columns if one.status == "drifted"))

    @property
    def checked(self) -> int:
        """How many columns were checked."""
        return len({_name(one) for one in self.columns if one.status != "unchecked"})

    @property
    def share(self) -> float:
        """Share of the checked columns that drifted.

        Raises:
            DataError: none was checked, so there is no share.
        """
        if self.error or not self.checked:
            raise DataError(f"there is no drift result: {self.error or 'no column was checked'}")
        return len(self.drifted) / self.checked


def _name(one: ColumnDrift) -> str:
    return one.column if one.group == FEATURES else f"{one.group}: {one.column}"
