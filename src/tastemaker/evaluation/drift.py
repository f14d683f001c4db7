"""Drift of a feature frame: the limits, the checks that no distance makes, and the summary that a gate reads.

The distances themselves are Evidently's (``monitoring/drift.py``). It drops missing values before it measures
and aborts on a column without any value, so missing values, empty, constant, absent and new-category columns
are checked here first.
"""

from typing import TYPE_CHECKING, Literal

import msgspec

from tastemaker.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ColumnDrift", "DriftLimits", "DriftSummary", "fold_categories", "sample", "screen"]

_FEW = 30  # values below which a distance says more about the sample than about the column
OTHER = "(other)"

Status = Literal["stable", "drifted", "unchecked"]


class DriftLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a column counts as drifted.

    The Wasserstein limit was set on Online Retail: between feature frames 28 days apart (72 pairs of user and
    item activity columns over half a year, the autumn peak included) the distance was .056 in the median, above
    .2 in three of them, .30 at most, while a shift by a quarter of a standard deviation gives .25.

    Attributes:
        wasserstein: of numbers; Wasserstein distance in standard deviations of the reference.
        jensen_shannon: of categories; Jensen-Shannon distance, 0 to 1.
        missing_share: change of the share of missing values, 0 to 1.
        new_category_share: share of current rows whose category the reference lacks, 0 to 1.
        categories: the most frequent ones that keep their name, the others are folded into one.
        rows: a larger frame is sampled to so many.
        min_rows: a smaller frame cannot be judged.
    """

    wasserstein: float = 0.2
    jensen_shannon: float = 0.1
    missing_share: float = 0.05
    new_category_share: float = 0.02
    categories: int = 50
    rows: int = 20_000
    min_rows: int = 200


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One column's result.

    Attributes:
        column: its name.
        check: what decided: ``wasserstein``, ``jensen_shannon``, ``missing_share``, ``new_categories``,
            ``constant``, ``absent``, ``few_values``.
        value: the check's figure, if it has one.
        limit: above it the column has drifted.
        status: ``unchecked`` columns do not enter the share.
        reason: in words.
    """

    column: str
    check: str
    status: Status
    value: float | None = None
    limit: float | None = None
    reason: str = ""


class DriftSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Drift of a whole frame.

    Attributes:
        reference: what the reference frame is, in words.
        current: what the current frame is.
        reference_rows: before sampling.
        current_rows: before sampling.
        columns: one result each.
        error: why there is no result; a gate then fails closed. Empty when there is one.
        report: file name of the HTML report, relative to the directory of the summary.
    """

    reference: str
    current: str
    reference_rows: int
    current_rows: int
    columns: tuple[ColumnDrift, ...] = ()
    error: str = ""
    report: str = ""

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the drifted columns."""
        return tuple(column.column for column in self.columns if column.status == "drifted")

    @property
    def checked(self) -> int:
        """How many columns were checked."""
        return sum(column.status != "unchecked" for column in self.columns)

    @property
    def share(self) -> float:
        """Share of the checked columns that drifted.

        Raises:
            DataError: none was checked, so there is no share.
        """
        if self.error or not self.checked:
            raise DataError(f"there is no drift result: {self.error or 'no column was checked'}")
        return len(self.drifted) / self.checked

    def to_json(self) -> bytes:
        """The summary as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @classmethod
    def from_json(cls, raw: bytes) -> "DriftSummary":
        """Read what :meth:`to_json` wrote.

        Raises:
            DataError: it is no drift summary.
        """
        try:
            return msgspec.json.decode(raw, type=cls)
        except msgspec.MsgspecError as error:
            raise DataError(f"not a drift summary: {error}; run the drift report again") from error


def sample(frame: "pd.DataFrame", rows: int, seed: int) -> "pd.DataFrame":
    """At most ``rows`` rows, drawn without replacement."""
    return frame if len(frame) <= rows else frame.sample(n=rows, random_state=seed).reset_index(drop=True)


def screen(reference: "pd.DataFrame", current: "pd.DataFrame", limits: DriftLimits) -> dict[str, ColumnDrift]:
    """Decide the columns that a distance cannot decide.

    Args:
        reference: the frame that a model learned from.
        current: the frame that it meets now; infinite values count as missing in both.
        limits: see :class:`DriftLimits`.

    Returns:
        A result for each such column; a column without one is ready for a distance.
    """
    found: dict[str, ColumnDrift] = {}
    for name in dict.fromkeys([*reference.columns, *current.columns]):
        result = _screen_column(str(name), reference, current, limits)
        if result is not None:
            found[str(name)] = result
    return found


def fold_categories(
    reference: "pd.Series[str]", current: "pd.Series[str]", keep: int
) -> "tuple[pd.Series[str], pd.Series[str]]":
    """Fold all but the reference's ``keep`` most frequent categories into one.

    On long tails the Jensen-Shannon distance of two samples of one distribution is large.
    """
    frequent = reference.value_counts().index[:keep]
    return reference.where(reference.isin(frequent), OTHER), current.where(current.isin(frequent), OTHER)


def _screen_column(
    name: str, reference: "pd.DataFrame", current: "pd.DataFrame", limits: DriftLimits
) -> ColumnDrift | None:
    for frame, which in ((reference, "reference"), (current, "current")):
        if name not in frame.columns:
            return ColumnDrift(column=name, check="absent", status="drifted", reason=f"the {which} frame lacks it")
    before, now = reference[name].dropna(), current[name].dropna()
    missing_before, missing_now = float(reference[name].isna().mean()), float(current[name].isna().mean())
    change = abs(missing_now - missing_before)
    if change > limits.missing_share:
        return ColumnDrift(
            column=name,
            check="missing_share",
            status="drifted",
            value=change,
            limit=limits.missing_share,
            reason=f"missing: {missing_before:.1%} before, {missing_now:.1%} now",
        )
    if min(len(before), len(now)) < _FEW:
        reason = f"{len(before)} values before, {len(now)} now; {_FEW} are needed"
        return ColumnDrift(column=name, check="few_values", status="unchecked", reason=reason)
    kinds_before, kinds_now = before.nunique(), now.nunique()
    if kinds_before == 1 or kinds_now == 1:
        same = kinds_before == kinds_now and before.iloc[0] == now.iloc[0]
        reason = "the same single value in both" if same else f"{kinds_before:,} values before, {kinds_now:,} now"
        if kinds_before == kinds_now and not same:
            reason = f"always {before.iloc[0]} before, always {now.iloc[0]} now"
        return ColumnDrift(column=name, check="constant", status="stable" if same else "drifted", reason=reason)
    if not _is_number(before):
        fresh = float((~now.isin(before.unique())).mean())
        if fresh > limits.new_category_share:
            return ColumnDrift(
                column=name,
                check="new_categories",
                status="drifted",
                value=fresh,
                limit=limits.new_category_share,
                reason=f"{fresh:.1%} of the rows have a category that was not there before",
            )
    return None


def _is_number(column: "pd.Series[float]") -> bool:
    return bool(column.dtype.kind in "iuf")
