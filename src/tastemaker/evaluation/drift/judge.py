"""From a column's figures and limits to what is said of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tastemaker.evaluation.drift.beside import BESIDE, MISSING_BESIDE, RANKS_BESIDE
from tastemaker.evaluation.drift.calibration import CheckKey
from tastemaker.evaluation.drift.coding import is_number
from tastemaker.evaluation.drift.figures import ColumnFigures
from tastemaker.evaluation.drift.summary import ColumnDrift

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FEW", "absent_column", "judge_column"]

FEW = 30  # values below which a distance says more about the sample than about the column


def absent_column(name: str, reference: "pd.DataFrame", current: "pd.DataFrame") -> ColumnDrift | None:
    """What is said of a column that one frame lacks, or has nothing in, or has in another kind; None of all others."""
    for frame, which in ((reference, "reference"), (current, "current")):
        if name not in frame.columns:
            return ColumnDrift(column=name, check="absent", status="drifted", reason=f"the {which} frame lacks it")
    before, now = reference[name], current[name]
    empty = bool(before.isna().all()), bool(now.isna().all())
    if all(empty):
        return ColumnDrift(column=name, check="empty", status="unchecked", reason="no value in either")
    if empty[0]:
        reason = "no value before: nothing to compare with"
        return ColumnDrift(column=name, check="empty", status="drifted", reason=reason)
    if empty[1]:
        return None  # a question of how often that happens by chance
    if is_number(before) != is_number(now):
        reason = "numbers in one frame, text in the other"
        return ColumnDrift(column=name, check="absent", status="drifted", reason=reason)
    return None


def judge_column(
    name: str, segment: str, figures: ColumnFigures, bounds: Mapping[CheckKey, float]
) -> list[ColumnDrift]:
    """Results of one column in one segment.

    A column that becomes constant or empty has drifted unless windows of reference days do so too: when none of ``n``
    resampled ones does, the chance that the next one does so without drift is at most ``1 / (e n)``.

    Args:
        name: of the column.
        segment: of the rows.
        figures: of the window and of the resampled ones.
        bounds: limit of each check with a figure.
    """

    def said(check: str, drifted: bool | None, reason: str = "") -> ColumnDrift:
        with_figure = (segment, name, check) in bounds
        return ColumnDrift(
            column=name,
            check=check,
            status="unchecked" if drifted is None else "drifted" if drifted else "stable",
            value=figures.observed[check] if with_figure else None,
            limit=bounds[segment, name, check] if with_figure else None,
            reason=reason,
            segment=segment,
        )

    def fires(check: str) -> bool:
        return figures.observed[check] > bounds[segment, name, check]

    words = f"missing: {figures.missing[0]:.1%} before, {figures.missing[1]:.1%} now"
    found = [said("missing_share", fires("missing_share"), words if fires("missing_share") else "")]
    if MISSING_BESIDE in figures.observed:
        found.append(
            said(
                MISSING_BESIDE,
                fires(MISSING_BESIDE),
                "missing where the other columns do not foretell it" if fires(MISSING_BESIDE) else "",
            )
        )
    if not figures.n_values[1]:
        chance = figures.null_empty > 0
        found.append(said("empty", not chance, "no value now" + (", as on some reference days" if chance else "")))
        return found
    if min(figures.n_values) < FEW:
        reason = f"{figures.n_values[0]} values before, {figures.n_values[1]} now; {FEW} are needed"
        return [*found, said("few_values", None, reason)]
    if figures.kinds == (1, 1):
        return [*found, said("constant", figures.always[0] != figures.always[1], _always(figures))]
    reason = f"{figures.kinds[0]:,} values before, {figures.kinds[1]:,} now"
    if figures.kinds[0] == 1:
        # There is no spread that a distance could be measured in; and nothing is broken, something has begun.
        return [*found, said("varies", True, reason)]
    if figures.kinds[1] == 1:
        found.append(said("constant", figures.null_constant == 0, reason))
    if figures.coding.keep is not None:
        fresh = fires("new_categories")
        reason = f"{figures.observed['new_categories']:.1%} of the rows have a category that was not there before"
        found.append(said("new_categories", fresh, reason if fresh else ""))
    found.append(said(figures.coding.check, fires(figures.coding.check)))
    for check in (BESIDE, RANKS_BESIDE):
        if check in figures.observed:
            found.append(
                said(check, fires(check), "moved from what the other columns foretell" if fires(check) else "")
            )
    return found


def _always(figures: ColumnFigures) -> str:
    if figures.always[0] == figures.always[1]:
        return "the same single value in both"
    if figures.coding.keep is not None:
        return "always one category before, always another now"
    before, now = (figures.coding.values[place] for place in figures.always)
    return f"always {before:g} before, always {now:g} now"
