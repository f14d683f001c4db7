"""A feature's value out of its measures, with the operations on doubles in the order that the semantics state."""

from collections.abc import Sequence

from tastemaker.features.layout import Layout, distinct_estimates
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_CAP, DAY_US, DECAY_UNIT, LIMB, MICROS, SUM_DECAY_UNIT
from tastemaker.features.sql.decays import weights_of
from tastemaker.features.sql.expressions import default_sql, double_sql

__all__ = ["fresh_sql", "value_sql"]


def fresh_sql(view: ViewPlan, newest: str) -> str:
    """Whether an entity is known at the moment and not past its TTL."""
    alive = f" AND {newest} >= as_of_us - {view.ttl_us}" if view.ttl_us else ""
    return f"({newest} IS NOT NULL{alive})"


def value_sql(feature: FeatureSpec, layout: Layout, numbers: Sequence[int]) -> str:
    """The value of a feature whose entity is known, over the columns that the steps left.

    Args:
        feature: any but a ratio.
        layout: of its view.
        numbers: of its measures.
    """
    default = default_sql(feature)
    first = f"m{numbers[0]}"
    match feature.function:
        case "count":
            return first
        case "sum":
            return _amount(first)
        case "min" | "max":
            return f"coalesce({_amount(first)}, {default})"
        case "mean":
            return f"CASE WHEN {first} = 0 THEN {default} ELSE {_mean(numbers)} END"
        case "stddev":
            square = f"{_amount(f'm{numbers[2]}')} / {double_sql(first)} - {_mean(numbers)} * {_mean(numbers)}"
            return f"CASE WHEN {first} = 0 THEN {default} ELSE sqrt(greatest(CAST(0 AS DOUBLE), {square})) END"
        case "approx_distinct":
            return f"CAST({list(distinct_estimates(feature.n))} AS BIGINT[])[coalesce({first}, 0) + 1]"
        case "top_k":
            return f"coalesce({first}[1:{feature.n}], {default})"
        case "time_since_last":
            return f"coalesce({double_sql(f'as_of_us - {first}')} / {DAY_US}, {default})"
        case "time_since_first":
            return (
                f"CASE WHEN {first} < as_of_us THEN {double_sql(f'as_of_us - {first}')} / {DAY_US} ELSE {default} END"
            )
        case "mean_interval":
            span = double_sql(f"m{numbers[2]} - m{numbers[1]}")
            return f"CASE WHEN {first} > 1 THEN {span} / {double_sql(f'{first} - 1')} / {DAY_US} ELSE {default} END"
        case _:
            return _decayed(layout, numbers[0])


def _amount(micros: str) -> str:
    return f"{double_sql(micros)} / {MICROS}"


def _mean(numbers: Sequence[int]) -> str:
    return f"({_amount(f'm{numbers[1]}')} / {double_sql(f'm{numbers[0]}')})"


def _decayed(layout: Layout, number: int) -> str:
    """The days before, and the moment's own day, which weighs the most."""
    measure = layout.measures[number]
    slot = layout.slots[measure.slot]
    weight = f"CAST({weights_of(slot, measure)[0]} AS HUGEINT)"
    if slot.op == "count":
        return f"{double_sql(f'coalesce(d{number}, 0) + m{number} * {weight}')} / {DECAY_UNIT}"
    today = f"least(m{number}, {DAY_CAP})"
    high = double_sql(f"coalesce(h{number}, 0) + {today} // {LIMB} * {weight}")
    low = double_sql(f"coalesce(l{number}, 0) + {today} % {LIMB} * {weight}")
    return f"({high} * {LIMB} + {low}) / {SUM_DECAY_UNIT} / {MICROS}"
