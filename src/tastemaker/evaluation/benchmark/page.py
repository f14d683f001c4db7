"""The report as one HTML file: charts, tables and what the models tell of themselves, with nothing to load."""

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources

from tastemaker.evaluation.benchmark.charts import Point, Row, interval_chart, scatter_chart
from tastemaker.evaluation.benchmark.details import details
from tastemaker.evaluation.benchmark.report import BenchmarkReport
from tastemaker.evaluation.benchmark.table import duration, fact_lines
from tastemaker.evaluation.intervals import Estimate

__all__ = ["report_page"]

_ACCURACY = ("ndcg", "recall", "precision", "hit_rate", "mrr", "map")
_BEYOND = (
    "coverage",
    "gini",
    "novelty",
    "diversity",
    "serendipity",
    "popularity",
    "popularity_percentile",
    "calibration",
)
_LOWER_IS_BETTER = {"gini", "calibration"}
_NEITHER_IS_BETTER = {"popularity", "popularity_percentile"}


def report_page(report: BenchmarkReport) -> str:
    """The page.

    Args:
        report: of any number of models, also of none.
    """
    style = resources.files("tastemaker.evaluation.benchmark").joinpath("page.css").read_text()
    names = ", ".join(report.models) or "no model"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation: {escape(names)}</title><style>{style}</style></head><body><main>"
        f"{''.join(_sections(report))}</main></body></html>\n"
    )


def _sections(report: BenchmarkReport) -> Iterator[str]:
    files = ", ".join(f"{role} {escape(path)}" for role, path in report.inputs.items())
    yield "<h1>Evaluation</h1>"
    yield f'<p class="soft">{escape(report.created_at)} · tastemaker {escape(report.version)} · {files}</p>'
    if report.models:
        yield f'<p class="lead">{escape(_verdict(report))}</p>'
    for name, failure in report.failed.items():
        told = f"<b>{escape(name)}</b> has no figures: {escape(failure.error)}"
        yield f'<div class="card failed">{told}<br><small>{escape(failure.log)}</small></div>'
    facts = "".join(f"<li>{escape(line)}</li>" for line in fact_lines(report.data))
    budget = "no limit" if report.budget_minutes is None else f"{report.budget_minutes:g} minutes"
    yield f"<h2>Data</h2><ul>{facts}<li>time for each model: {budget}; seed {report.seed}</li></ul>"
    if not report.models:
        return
    k = max(report.cutoffs)
    yield "<h2>Accuracy</h2>"
    yield f'<p class="soft">Means over test users with {report.level:.0%} intervals by the bootstrap over users.</p>'
    yield f'<div class="card"><h3>NDCG@{k}</h3>{_ranking(report, f"ndcg@{k}")}</div>'
    yield from (f'<div class="card">{_table(report, _ACCURACY, cutoff)}</div>' for cutoff in report.cutoffs)
    if report.comparisons:
        yield f"<h2>{escape(str(report.reference))} against the others</h2>"
        yield '<p class="soft">Paired by user. Where an interval holds 0, the data does not tell the two apart.</p>'
        yield f'<div class="card"><h3>Difference of NDCG@{k}</h3>{_differences(report, f"ndcg@{k}")}</div>'
    if report.data.get("slices"):
        yield "<h2>Slices</h2>"
        yield '<p class="soft">For whom and for which items is a model good? novel-only: lists without seen items.</p>'
        yield f'<div class="card">{_slices(report, f"ndcg@{k}")}</div>'
    yield "<h2>Beyond accuracy</h2>"
    yield f'<div class="card"><h3>NDCG@{k} and coverage@{k} of the catalogue</h3>{_trade_off(report, k)}</div>'
    yield from (f'<div class="card">{_table(report, _BEYOND, cutoff)}</div>' for cutoff in report.cutoffs)
    yield f'<h2>Cost</h2><div class="card">{_cost(report)}</div>'
    if any(found.report for found in report.models.values()):
        yield "<h2>What the models tell of themselves</h2>"
        yield from (
            f'<details class="card"><summary><b>{escape(name)}</b></summary>{details(found.report)}</details>'
            for name, found in report.models.items()
            if found.report
        )


def _verdict(report: BenchmarkReport) -> str:
    """The outcome in a sentence that claims no more than the intervals do."""
    metric = f"ndcg@{max(report.cutoffs)}"
    first = str(report.reference)
    others = [name for name in report.best_first(metric) if name != first]
    if not others:
        return f"{first} reaches NDCG@{max(report.cutoffs)} {report.models[first].metrics[metric].value:.4f}."
    best = others[0]
    gap = report.comparisons[best].metrics[metric]
    told = f"({gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}] NDCG@{max(report.cutoffs)})"
    if gap.low > 0:
        return f"{first} is better than every other model; the best of them is {best} {told}."
    if gap.high < 0:
        return f"{best} is better than {first} {told}."
    return f"The data does not tell {first} from {best} {told}."


def _ranking(report: BenchmarkReport, metric: str) -> str:
    rows = [
        _row(name, report.models[name].metrics[metric], strong=name == report.reference)
        for name in report.best_first(metric)
    ]
    return interval_chart(rows, title=f"{metric} by model")


def _differences(report: BenchmarkReport, metric: str) -> str:
    names = [name for name in report.best_first(metric) if name in report.comparisons]
    rows = [_row(name, report.comparisons[name].metrics[metric]) for name in names]
    return interval_chart(rows, title=f"{report.reference} minus each other model, {metric}", from_zero=False, sign="+")


def _row(name: str, estimate: Estimate, *, strong: bool = False) -> Row:
    return Row(name, estimate.value, estimate.low, estimate.high, strong)


def _trade_off(report: BenchmarkReport, k: int) -> str:
    points = [
        Point(
            name,
            found.metrics[f"coverage@{k}"].value,
            found.metrics[f"ndcg@{k}"].value,
            strong=name == report.reference,
        )
        for name, found in report.models.items()
    ]
    return scatter_chart(points, title="accuracy and coverage", x_name=f"coverage@{k}", y_name=f"NDCG@{k}")


def _table(report: BenchmarkReport, metrics: Sequence[str], k: int) -> str:
    """Metrics by model, the best value of each marked."""
    present = [name for name in metrics if any(f"{name}@{k}" in found.metrics for found in report.models.values())]
    names = report.best_first(f"ndcg@{k}")
    columns = [[report.models[name].metrics.get(f"{metric}@{k}") for name in names] for metric in present]
    best = [_best(column, metric) for column, metric in zip(columns, present, strict=True)]
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in present)
    body = []
    for place, name in enumerate(names):
        cells = "".join(_cell(column[place], top) for column, top in zip(columns, best, strict=True))
        mark = ' class="strong"' if name == report.reference else ""
        body.append(f"<tr{mark}><td>{escape(name)}</td>{cells}</tr>")
    return f"<h3>At {k}</h3><table><thead><tr><th>model</th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _slices(report: BenchmarkReport, metric: str) -> str:
    """A metric by slice and model, the best value of each slice marked."""
    names = report.best_first(metric)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = []
    for part, size in report.data["slices"].items():
        found = [report.models[name].slices.get(part, {}).get(metric) for name in names]
        cells = "".join(_cell(estimate, _best(found, metric)) for estimate in found)
        body.append(f"<tr><td>{escape(part)}</td><td>{size:,}</td>{cells}</tr>")
    return (
        f"<h3>{escape(metric)}</h3><table><thead><tr><th>slice</th><th>users</th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _best(found: Sequence[Estimate | None], metric: str) -> float | None:
    values = [estimate.value for estimate in found if estimate is not None]
    if metric in _NEITHER_IS_BETTER or len(set(values)) < 2:
        return None
    return min(values) if metric in _LOWER_IS_BETTER else max(values)


def _cell(estimate: Estimate | None, best: float | None) -> str:
    if estimate is None:
        return "<td>–</td>"
    text = f"{estimate.value:.4f}" if abs(estimate.value) < 10 else f"{estimate.value:,.1f}"
    mark = ' class="best"' if estimate.value == best else ""
    return f'<td{mark} title="{estimate.low:.5f} to {estimate.high:.5f}">{text}</td>'


def _cost(report: BenchmarkReport) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{duration(found.training_minutes * 60)}</td>"
        f"<td>{duration(found.scoring_seconds)}</td><td>{found.peak_memory_mib:,.0f} MiB</td></tr>"
        for name, found in report.models.items()
    )
    head = "<th>model</th><th>training</th><th>scoring and ranking</th><th>peak memory, data included</th>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
