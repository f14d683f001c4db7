"""The calibration on top of Evidently's page: what was asked, the limits, and what fired."""

from html import escape
from pathlib import Path

from tastemaker.evaluation.drift import ColumnDrift, DriftSummary, GroupDrift

__all__ = ["add_calibration"]

_STYLE = (
    "<style>#calibration{font:14px/1.5 system-ui,sans-serif;margin:24px;color:#222}"
    "#calibration table{border-collapse:collapse;margin:8px 0 20px}"
    "#calibration td,#calibration th{border-bottom:1px solid #ddd;padding:3px 12px 3px 0;text-align:left}"
    "#calibration .drifted{color:#b00020;font-weight:600}</style>"
)


def add_calibration(page: Path, summary: DriftSummary) -> None:
    """Write a section at the beginning of Evidently's page: every check with its limit and where that comes from."""
    text = page.read_text(encoding="utf-8")
    head, body, rest = text.partition("<body>")
    if not body:
        raise ValueError(f"{page.name} has no <body>")
    parts = [
        f"<h1>Drift: {escape(summary.current)}, compared with {escape(summary.reference)}</h1>",
        f"<p>{len(summary.drifted)} of {summary.checked} columns drifted. These checks look at all rows and decide; the"
        " distributions below are of samples.</p>",
        *(_group(one, summary) for one in summary.groups),
    ]
    page.write_text(f'{head}{body}{_STYLE}<section id="calibration">{"".join(parts)}</section>{rest}', encoding="utf-8")


def _group(group: GroupDrift, summary: DriftSummary) -> str:
    title = f"<h2>{escape(group.name)}</h2>"
    if group.error or group.calibration is None:
        return f"{title}<p>not compared: {escape(group.error)}</p>"
    made = group.calibration
    words = (
        f"<p>{group.reference_rows:,} rows of {group.reference_days} days, {group.current_rows:,} rows of"
        f" {group.current_days} days now. Limits: what {made.resamples:,} windows of {made.window_days} reference days"
        f" reach against the other days, all checks together at a false-alarm rate of {made.false_alarm_rate:.1%}, and"
        " the floor below which nothing matters."
    )
    if group.sampling_error is not None:
        words += f" Evidently's sample is at most {group.sampling_error:.4f} off these distances."
    nulls = {(one.segment, one.column, one.check): one for one in made.checks}
    rows = []
    for one in sorted(summary.columns, key=lambda one: one.status != "drifted"):
        if one.group != group.name:
            continue
        null = nulls.get((one.segment, one.column, one.check)) if one.value is not None else None
        cells = [one.label, one.check, one.status, _shown(one.value), _shown(one.limit)]
        cells += [_shown(null.floor), _shown(null.median), _shown(null.p95)] if null else ["", "", ""]
        rows.append(_row([*cells, one.reason], one))
    heads = ("column", "check", "outcome", "value", "limit", "floor", "median by chance", "95 % by chance", "")
    return f"{title}{words}</p><table><tr>{''.join(f'<th>{name}</th>' for name in heads)}</tr>{''.join(rows)}</table>"


def _row(cells: list[str], one: ColumnDrift) -> str:
    return f'<tr class="{one.status}">{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
