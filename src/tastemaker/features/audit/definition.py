"""What a feature is, in words, from its declaration."""

from collections.abc import Sequence
from typing import Final

from tastemaker.features.plan import FeatureSpec, ViewPlan

__all__ = ["defined", "duration_text", "function_text", "window_text"]

_UNITS: Final = ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"))
_WHAT: Final = {
    "count": "number of {events}",
    "sum": "sum of {column} over {events}",
    "mean": "mean {column} of {events}",
    "min": "smallest {column} of {events}",
    "max": "largest {column} of {events}",
    "stddev": "standard deviation of {column} over {events}",
    "approx_distinct": "number of different {column} among {events}, estimated by a sketch of {n} cells",
    "top_k": "the {n} most frequent {column} among {events}",
    "time_since_last": "days since the newest of the {events}",
    "time_since_first": "days since the oldest of the {events}",
    "mean_interval": "mean days between two {events}",
    "decayed_count": "number of {events}, each counting half as much every {half_life}",
    "decayed_sum": "sum of {column} over {events}, each counting half as much every {half_life}",
    "last": "{column} of the newest of the {events}",
    "last_n": "{column} of the {n} newest {events}, newest first",
    "age": "days since {column} in the newest row {of} in table {table}",
    "": "column {column} of the newest row {of} in table {table}",
}
_BY_WEIGHT: Final = "the {n} {column} with the largest sum of {by} among {events}"


def duration_text(us: int) -> str:
    """A duration in the largest unit that divides it.

    >>> duration_text(3_600_000_000), duration_text(0)
    ('1h', '')
    """
    for size, unit in _UNITS:
        if us and us % size == 0:
            return f"{us // size}{unit}"
    return f"{us}µs" if us else ""


def function_text(feature: FeatureSpec) -> str:
    """The function as it is declared.

    >>> function_text(FeatureSpec(name="f", dtype="int64", function="last_n", column="item_id", n=5))
    'last_n(5) of item_id'
    """
    if feature.function == "ratio":
        return " / ".join(feature.operands)
    argument = duration_text(feature.half_life_us) or (str(feature.n) if feature.n else "")
    if feature.by:
        argument += f", {feature.by}"
    called = feature.function + (f"({argument})" if argument and feature.function != "last" else "")
    return " of ".join(part for part in (called, feature.column if feature.column != "event_id" else "") if part)


def window_text(view: ViewPlan, feature: FeatureSpec) -> str:
    """Over what it is computed: a span, the lifetime, or the newest row of a table.

    >>> from tastemaker.features.plan import ViewPlan
    >>> feature = FeatureSpec(name="f", dtype="int64", function="count", column="event_id", window_us=3_600_000_000)
    >>> view = ViewPlan(name="v", kind="aggregate", entities=(), join_keys=(), features=(feature,), table="events",
    ...                 timestamp_field="occurred_at")
    >>> window_text(view, feature)
    '1h'
    """
    if view.kind == "batch":
        return "newest row"
    return "" if feature.function == "ratio" else duration_text(feature.window_us) or "ever"


def defined(view: ViewPlan, feature: FeatureSpec) -> str:
    """One sentence: what is computed, of which events, over which window, and what stands for nothing."""
    of = f"of one {' and '.join(view.entities)}"
    if feature.function == "ratio":
        what = f"{feature.operands[0]} divided by {feature.operands[1]}, {of}"
    else:
        pattern = _BY_WEIGHT if feature.by else _WHAT[feature.function]
        what = pattern.format(
            of=of,
            column=feature.column,
            n=feature.n,
            by=feature.by,
            half_life=duration_text(feature.half_life_us),
            table=view.table,
            events=f"{_listed(feature.types)} events {of}",
        )
    parts = [what]
    if feature.window_us:
        parts.append(
            f" in the last {duration_text(feature.window_us)} (the window's beginning moves in steps of"
            f" {duration_text(feature.slide_us)})"
        )
    if view.ttl_us:
        parts.append(f"; forgotten {duration_text(view.ttl_us)} after the newest event")
    default = feature.default_value
    parts.append("; empty" if default in ([], "", None) else f"; {default}")
    return "".join([*parts, " where nothing is known"])


def _listed(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
