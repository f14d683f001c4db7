"""Whether the lake knows an id, and which ids that it knows are almost the same."""

from tastemaker import names
from tastemaker.lake.tables import Lake

__all__ = ["near_ids"]

_DISTANCE = 2


def near_ids(lake: Lake, column: str, value: str, limit: int = 3) -> tuple[bool, list[str]]:
    """Look an id up in the events.

    Args:
        lake: with the events.
        column: ``user_id``, ``item_id``, ``session_id`` or ``category``.
        value: the id.
        limit: at most so many others.

    Returns:
        Whether an event has it; if not, ids that differ in one or two characters (Levenshtein), the closest first.
    """
    with lake.connect() as duck:
        where = f"FROM {names.TABLE_EVENTS} WHERE {column}"
        if duck.execute(f"SELECT 1 {where} = ? LIMIT 1", [value]).fetchall():
            return True, []
        found = duck.execute(
            f"SELECT DISTINCT {column}, levenshtein({column}, $value) AS distance {where} IS NOT NULL"
            f" AND abs(length({column}) - length($value)) <= {_DISTANCE} AND distance <= {_DISTANCE}"
            f" ORDER BY distance, {column} LIMIT {limit}",
            {"value": value},
        ).fetchall()
    return False, [each for each, _ in found]
