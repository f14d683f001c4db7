"""Exponentially decayed counts and sums: what each day before the moment's own weighs in."""

from collections.abc import Mapping, Sequence

from tastemaker.features.layout import Measure, Slot
from tastemaker.features.semantics import DAY_CAP, DAY_US, LIMB, SUM_DECAY_UNIT, decay_weights
from tastemaker.features.sql.expressions import floor_sql
from tastemaker.features.sql.temporary_tables import Query, amount_of

__all__ = ["weigh_days", "weights_of"]


def weights_of(slot: Slot, measure: Measure) -> tuple[int, ...]:
    """The weights of a decaying measure by age in days."""
    return decay_weights(measure.half_life_us, *([] if slot.op == "count" else [SUM_DECAY_UNIT]))


def weigh_days(query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure]) -> None:
    """Compute what the days before each row's own add to decaying measures.

    A table with ``rn`` and per measure ``d<number>``, the weighed count, or ``h<number>`` and ``l<number>``, the
    weighed limbs of :func:`tastemaker.features.semantics.decayed_total`; null where there is nothing.

    Args:
        query: the question.
        slots: of the layout.
        measures: by number, the decaying ones.
    """
    day, today = (f"({floor_sql(column, DAY_US)} // {DAY_US})" for column in ("at_us", "as_of_us"))
    used = sorted({measure.slot for measure in measures.values()})
    per_day = ", ".join(f"{_of_day(query, slots[index])} AS a{index}" for index in used)
    weights = {number: weights_of(slots[measure.slot], measure) for number, measure in measures.items()}
    longest = max(map(len, weights.values()))
    table = ", ".join(
        f"unnest({[*values, *([0] * (longest - len(values)))]}) AS w{number}" for number, values in weights.items()
    )
    columns = []
    for number, measure in measures.items():
        amount, times = f"n.a{measure.slot}", f"CAST(w.w{number} AS HUGEINT)"
        if slots[measure.slot].op == "count":
            columns.append(f"sum({amount} * {times}) AS d{number}")
        else:
            columns.append(
                f"sum({amount} // {LIMB} * {times}) AS h{number}, sum({amount} % {LIMB} * {times}) AS l{number}"
            )
    seen = " OR ".join(f"({query.seen_by(slots[index])})" for index in used)
    duck = query.duck
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {query.name('days')} AS"
        f" SELECT id, {day} AS day, {per_day} FROM {query.name('events')} WHERE {seen} GROUP BY ALL"
    )
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {query.name('weights')} AS SELECT unnest(range({longest})) AS age, {table}"
    )
    # Rows of a key on one day share the days before it. What grows in memory are these moments.
    moments = f"SELECT DISTINCT id, {today} AS today FROM {query.name('rows')}"
    weight = f"SELECT id, 1 AS weight FROM ({moments})"
    query.fill(
        "decays",
        (
            f"SELECT r.rn, s.* EXCLUDE (id, today) FROM (SELECT rn, id, {today} AS today FROM {query.name('rows')}"
            f" WHERE {piece}) AS r JOIN (SELECT m.id, m.today, {', '.join(columns)} FROM"
            f" (SELECT * FROM ({moments}) WHERE {piece}) AS m"
            f" JOIN {query.name('days')} AS n ON m.id = n.id AND n.day < m.today"
            f" JOIN {query.name('weights')} AS w ON w.age = m.today - n.day GROUP BY m.id, m.today) AS s"
            " USING (id, today)"
            for piece in query.pieces(weight)
        ),
    )
    for name in ("days", "weights"):
        duck.execute(f"DROP TABLE {query.name(name)}")


def _of_day(query: Query, slot: Slot) -> str:
    seen = f"FILTER ({query.seen_by(slot)})"
    if slot.op == "count":
        return f"count(*) {seen}"
    return f"CAST(least(coalesce(sum({amount_of(slot)}) {seen}, 0), {DAY_CAP}) AS BIGINT)"
