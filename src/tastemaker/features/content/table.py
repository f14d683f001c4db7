"""The lake's table of content vectors: one row per version of a product, brought up to date by each materialisation."""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.features.content.vectors import ContentProjection, fit_projection
from tastemaker.lake.tables import SCHEMAS, Lake

__all__ = ["ContentUpdate", "update_content"]

_APP: Final = "item-content"


class ContentUpdate(NamedTuple):
    """What an update did.

    Attributes:
        version: of the projection.
        written: rows added.
        fitted: whether the projection is new.
    """

    version: str
    written: int
    fitted: bool


def update_content(lake: Lake, projection_path: Path, now: datetime, *, refit: bool = False) -> ContentUpdate | None:
    """Give every version of every product a vector under the projection in force.

    A vector's time is that of the product's version, because it follows from the title alone; its created time is
    ``now``. After a refit all versions get a new row, which wins because it was created later.

    Args:
        lake: with the catalogue; its ``item_content`` is written to.
        projection_path: where the projection is kept.
        now: the platform's time; later versions stay out.
        refit: learn a new projection although there is one.

    Returns:
        What it did; None where there is no product with a title yet.
    """
    import pyarrow as pa

    lake.create()
    projection = None if refit else ContentProjection.load(projection_path)
    fitted = projection is None
    with lake.connect() as duck:
        if projection is None:
            titles = duck.execute(
                f"SELECT arg_max({names.TITLE}, {names.UPDATED_AT}) FROM {names.TABLE_ITEMS}"
                f" WHERE {names.UPDATED_AT} <= ? AND NOT {names.DELETED} GROUP BY {names.ITEM_ID}",
                [now],
            ).fetchall()
            try:
                projection = fit_projection([title for (title,) in titles if title])
            except DataError:
                return None
        rows = duck.execute(
            f"SELECT DISTINCT {names.ITEM_ID}, coalesce({names.TITLE}, ''), {names.UPDATED_AT} FROM {names.TABLE_ITEMS}"
            f" AS i WHERE {names.UPDATED_AT} <= $now AND NOT {names.DELETED} AND NOT EXISTS"
            f" (SELECT 1 FROM {names.TABLE_ITEM_CONTENT} AS c WHERE c.{names.ITEM_ID} = i.{names.ITEM_ID}"
            f" AND c.{names.UPDATED_AT} = i.{names.UPDATED_AT} AND c.{names.CONTENT_VERSION} = $version)"
            f" ORDER BY {names.UPDATED_AT}, {names.ITEM_ID}",
            {"now": now, "version": projection.version},
        ).fetchall()
    if fitted:
        projection.save(projection_path)
    if rows:
        vectors = projection.vectors([title for _, title, _ in rows])
        known = (vectors != 0).any(axis=1)
        table = pa.table(
            {
                names.ITEM_ID: [item_id for item_id, _, _ in rows],
                names.VECTOR: [vector if any_part else [] for vector, any_part in zip(vectors, known, strict=True)],
                names.CONTENT_VERSION: [projection.version] * len(rows),
                names.UPDATED_AT: [at for _, _, at in rows],
                names.CREATED_AT: [now] * len(rows),
            },
            schema=SCHEMAS[names.TABLE_ITEM_CONTENT],
        )
        lake.append(names.TABLE_ITEM_CONTENT, table, {_APP: to_us(now)})
    return ContentUpdate(projection.version, len(rows), fitted)
