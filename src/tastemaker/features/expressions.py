"""SQL expressions that state, for DuckDB, what :mod:`tastemaker.features.semantics` and the layout say."""

from collections.abc import Iterable

from tastemaker import names
from tastemaker.features.layout import Slot
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import MICROS, NEVER, SUM_CAP

__all__ = ["events_of_view", "floor_sql", "key_sql", "literals", "micros_sql", "slot_sql"]


def literals(values: Iterable[str]) -> str:
    """A list of SQL string literals."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def key_sql(columns: Iterable[str]) -> str:
    """The key of some id columns, as :func:`tastemaker.features.keys.join_key` joins them."""
    parts = (
        f"replace(replace(replace({column}, chr(27), chr(27) || '0'), chr(31), chr(27) || '1'), chr(0), chr(27) || '2')"
        for column in columns
    )
    return " || chr(31) || ".join(parts)


def floor_sql(value: str, step_us: int) -> str:
    """Rounded down to a multiple of the step, also before 1970, where ``%`` has the sign of the value."""
    return f"({value} - ((({value}) % {step_us} + {step_us}) % {step_us}))"


def micros_sql() -> str:
    """The value in micro-units, half to even."""
    return f"CAST(round_even({names.VALUE} * {MICROS}, 0) AS BIGINT)"


def events_of_view(view: ViewPlan, until_us: int | None = None, source: str = names.TABLE_EVENTS) -> str:
    """The events that a view sees: key, at_us, type, micros, event_id, item_id."""
    conditions = [f"{names.TYPE} IN ({literals(sorted(view.types))})"]
    conditions += [f"{column} IS NOT NULL" for column in view.join_keys]
    if view.kind == "history":
        conditions.append(f"{names.ITEM_ID} IS NOT NULL")
    if until_us is not None:
        conditions.append(f"epoch_us({view.timestamp_field}) < {until_us}")
    return (
        f"SELECT {key_sql(view.join_keys)} AS key, epoch_us({view.timestamp_field}) AS at_us, {names.TYPE} AS type,"
        f" {micros_sql()} AS micros, {names.EVENT_ID} AS event_id, {names.ITEM_ID} AS item_id"
        f" FROM {source} WHERE {' AND '.join(conditions)}"
    )


def slot_sql(slot: Slot) -> str:
    """A slot as an aggregate over the rows of :func:`events_of_view`."""
    only = f"FILTER (type IN ({literals(slot.types)}))"
    if slot.op == "count":
        return f"count(*) {only}"
    if slot.op == "sum":
        return f"CAST(least(coalesce(sum(micros) {only}, 0), {SUM_CAP}) AS BIGINT)"
    return f"coalesce(max(at_us) {only}, CAST({NEVER} AS BIGINT))"
