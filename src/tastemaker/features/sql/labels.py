"""The labels of most weight in a window: events joined to the rows that see them, counted by label.

Work grows with rows times events of their keys, because an exact list needs the weight of every label.
"""

from collections.abc import Mapping, Sequence

from tastemaker.features.layout import Measure, Slot
from tastemaker.features.semantics import SUM_CAP
from tastemaker.features.sql.expressions import floor_sql
from tastemaker.features.sql.temporary_tables import Query

__all__ = ["rank_labels"]


def rank_labels(
    query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure], longest: Mapping[int, int]
) -> None:
    """Compute lists of labels: per measure a table with ``rn`` and ``m<number>``, a list, most weight first.

    Args:
        query: the question.
        slots: of the layout.
        measures: by number, those with a slot of op ``labels``.
        longest: by number, how many labels are wanted.
    """
    for number, measure in measures.items():
        slot = slots[measure.slot]
        events = f"(SELECT * FROM {query.name('events')} WHERE {query.seen_by(slot)})"
        window = "e.at_us < r.as_of_us"
        if measure.window_us:
            window += f" AND e.at_us >= {floor_sql(f'(r.as_of_us - {measure.window_us})', measure.slide_us)}"
        weighed = f"least(sum(e.micros_{slot.by}), {SUM_CAP})" if slot.by else "count(*)"
        query.fill(
            f"top{number}",
            (
                f"SELECT rn, list(label ORDER BY weight DESC, label)[1:{longest[number]}] AS m{number} FROM ("
                f"SELECT r.rn, e.text_{slot.column} AS label, {weighed} AS weight FROM {query.name('rows')} AS r"
                f" JOIN {events} AS e"
                f" ON r.id = e.id AND {window} WHERE {piece} GROUP BY ALL"
                ") WHERE weight > 0 GROUP BY rn"
                for piece in query.pieces(query.pairs(events), "r.id")
            ),
        )
