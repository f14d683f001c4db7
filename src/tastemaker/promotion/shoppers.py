"""Shoppers of the shop, for trial requests."""

from tastemaker import names
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings

__all__ = ["recent_shoppers"]


def recent_shoppers(settings: Settings, limit: int = 100) -> list[str]:
    """Ids of shoppers who did something most recently, in a fixed order."""
    with Lake(settings.lake_dir).connect() as connection:
        rows = connection.execute(
            f"""SELECT {names.USER_ID} FROM {names.TABLE_EVENTS} WHERE {names.USER_ID} IS NOT NULL
            GROUP BY 1 ORDER BY max({names.OCCURRED_AT}) DESC, 1 LIMIT ?""",
            [limit],
        ).fetchall()
    return [str(user) for (user,) in rows]
