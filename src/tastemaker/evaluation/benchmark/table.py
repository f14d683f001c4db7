"""The report on a terminal."""

import re
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tastemaker.evaluation.benchmark.report import BenchmarkReport
from tastemaker.evaluation.intervals import Estimate

__all__ = ["duration", "fact_lines", "report_table", "with_interval"]

NARROW = ("recall",)
WIDE = ("recall", "precision", "hit_rate", "mrr", "coverage", "diversity", "novelty")
_WIDE_FROM = 150  # columns of the terminal


def report_table(report: BenchmarkReport, k: int, width: int) -> Table:
    """One row per model at a cut-off, best NDCG first: the mean, for NDCG its interval, and the lift of the reference.

    Args:
        report: with at least one model.
        k: one of its cut-offs.
        width: of the terminal, in columns; a wide one gets more metrics.
    """
    shown = WIDE if width >= _WIDE_FROM else NARROW
    table = Table(
        title=f"Top {k} · {report.data['test_users']:,} test users · {report.level:.0%} intervals",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("model", no_wrap=True)
    for name in ("NDCG", *(name.replace("_", " ") for name in shown)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(f"lift of {report.reference}", justify="right", no_wrap=True)
    table.add_column("train", justify="right", no_wrap=True)
    if width >= _WIDE_FROM:
        table.add_column("memory", justify="right", no_wrap=True)
    for name in report.best_first(f"ndcg@{k}"):
        found = report.models[name]
        lift = report.comparisons[name].metrics[f"ndcg@{k}"] if name in report.comparisons else None
        table.add_row(
            name,
            with_interval(found.metrics[f"ndcg@{k}"]),
            *(_value(found.metrics.get(f"{column}@{k}")) for column in shown),
            with_interval(lift, sign="+") if lift else "–",
            duration(found.training_minutes * 60),
            *([f"{found.peak_memory_mib:,.0f} MiB"] if width >= _WIDE_FROM else []),
            style="bold" if name == report.reference else None,
        )
    return table


def _value(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.4f}"


def with_interval(estimate: Estimate, sign: str = "") -> str:
    """A value and its interval."""
    value, low, high = (
        re.sub(r"^([+-]?)0\.", r"\1.", f"{number:{sign}.4f}")
        for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def duration(seconds: float) -> str:
    """Seconds in the unit that people use for them."""
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def fact_lines(facts: dict[str, object]) -> Iterator[str]:
    """What was read, dropped and chosen, a sentence each."""
    f = facts
    yield f"{f['train_rows']:,} train rows of {f['train_users']:,} users and {f['items']:,} items"
    yield f"{f['test_users']:,} test users, {f['relevant_per_user']:.2f} relevant items each"
    for name, words in (
        ("dropped_test_rows_of_unknown_items", "test rows dropped: train has no such item"),
        ("test_users_without_known_item", "test users dropped: train has none of their items"),
        ("dropped_test_rows_repeated", "test rows repeat a pair of user and item: counted once"),
        ("dropped_history_rows_of_unknown_items", "history rows dropped: train has no such item"),
        ("test_users_without_history", "test users without any history"),
    ):
        if f[name]:
            yield f"{f[name]:,} {words}"
    how = {
        "random": "random items of each user",
        "last-one": "the last items of each user",
        "temporal": "all that followed one moment",
        "session": "what followed in sessions that train has not",
    }
    yield f"test part looks like: {how[str(f['protocol'])]} ({f['protocol']})"
    seen = "left out of the lists" if f["exclude_seen"] else "may be listed again"
    yield (
        f"seen items {seen}, {f['exclude_seen_chosen']} "
        f"({f['repeated_train_rows']:.1%} of the train rows repeat a pair; {f['relevant_seen_before']:.1%} of the "
        "relevant items were seen before)"
    )
