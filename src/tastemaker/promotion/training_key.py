"""The content key of a training run: the same key, the same release.

What a killed run had made is kept under its key, and the next run that would make the same picks it up. The stream
worker commits to the lake every second, so the key is of the rows that training reads, not of the tables' versions.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tastemaker import names
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.promotion.hashing import hash_bytes
from tastemaker.promotion.lineage import code_hash
from tastemaker.settings import Settings

__all__ = ["content_key", "rows_before"]

# What is read of each table, by the time that makes it readable.
_READ = {
    names.TABLE_EVENTS: (names.OCCURRED_AT, (names.EVENT_ID, names.TYPE, names.USER_ID, names.ITEM_ID, names.VALUE)),
    names.TABLE_ITEMS: (names.UPDATED_AT, (names.ITEM_ID, names.UPDATED_AT, names.DELETED, names.AVAILABLE)),
    names.TABLE_ITEM_CONTENT: (names.UPDATED_AT, (names.ITEM_ID, names.CONTENT_VERSION, names.UPDATED_AT)),
    names.TABLE_SERVED_LISTS: (names.SERVED_AT, (names.REQUEST_ID,)),
}


def rows_before(lake: Lake, moment: datetime) -> dict[str, str]:
    """A fingerprint of the rows of each table from before a moment; compaction does not change it.

    Args:
        lake: the data.
        moment: rows from it on do not count (UTC).

    Returns:
        Count and order-free hash, by table; one that does not exist is left out.
    """
    found = {}
    with lake.connect() as connection:
        for table, (time, columns) in _READ.items():
            if not (lake.path(table) / "_delta_log").is_dir():
                continue
            row = connection.execute(
                f"SELECT count(*), bit_xor(hash({', '.join((time, *columns))})) FROM {table} WHERE {time} < ?",
                [moment],
            ).fetchone()
            assert row is not None
            found[table] = f"{row[0]}-{row[1] or 0:x}"
    return found


def content_key(
    settings: Settings, moment: datetime, *, parameters: Mapping[str, Any], seed: int, earlier: Path | None = None
) -> str:
    """The key of what a step makes from the lake's rows before a moment.

    Args:
        settings: whose lake, code and feature plan.
        moment: what the step reads is from before it (UTC).
        parameters: all else that the step depends on; must convert to JSON.
        seed: of all that is random.
        earlier: a release that it starts from.

    Returns:
        24 hexadecimal digits.
    """
    told = {
        "rows": rows_before(Lake(settings.lake_dir), moment),
        "moment": moment.isoformat(),
        "code": code_hash(settings.repository),
        "plan": FeaturePlan.load(settings.plan_path).hash,
        "parameters": dict(parameters),
        "seed": seed,
        "earlier": earlier.name if earlier else "",
    }
    return hash_bytes(msgspec.json.encode(told, order="deterministic"))[:24]
