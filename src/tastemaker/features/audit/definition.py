"""What a feature is, in words, from its declaration."""

from typing import Final

from tastemaker.features.plan import FeatureSpec, ViewPlan

__all__ = ["defined", "duration_text", "function_text"]

_UNITS: Final = ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"))
_WHAT: Final = {
    "count": "number of events",
    "sum": "sum of {column}",
    "mean": "mean {column}",
    "min": "smallest {column}",
    "max": "largest {column}",
    "stddev": "standard deviation of {column}",
    "approx_distinct": "number of different {column}, by a sketch of {n} cells",
    "top_k": "the {n} most frequent {column}",
    "time_since_last": "days since the newest event",
    "time_since_first": "days since the oldest event",
    "mean_interval": "mean days between two events",
    "decayed_count": "number of events, each half as much every {half_life}",
    "decayed_sum": "sum of {column}, each half as much every {half_life}",
    "last": "{column} of the newest event",
    "last_n": "{column} of the {n} newest events",
    "age": "days since {column}",
    "": "column {column}",
}


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


def defined(view: ViewPlan, feature: FeatureSpec) -> str:
    """One sentence: what is computed, of which events, over which window, and what stands for nothing."""
    if feature.function == "ratio":
        what = f"{feature.operands[0]} divided by {feature.operands[1]}"
    else:
        what = _WHAT[feature.function].format(
            column=feature.column, n=feature.n, half_life=duration_text(feature.half_life_us)
        )
        if feature.by:
            what = f"the {feature.n} {feature.column} of the largest sum of {feature.by}"
    parts = [f"{what} of a {' and '.join(view.entities)}"]
    if feature.types and feature.function != "ratio":
        parts.append(f"over events of type {', '.join(feature.types)}")
    if feature.window_us:
        parts.append(
            f"of the last {duration_text(feature.window_us)}, whose beginning moves every"
            f" {duration_text(feature.slide_us)}"
        )
    default = feature.default_value
    parts.append("empty where nothing is known" if default in ([], "") else f"{default} where nothing is known")
    return ", ".join(parts)
