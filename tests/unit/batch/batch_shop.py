"""A lake whose events name some users, and lists that need no release."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from tastemaker import names
from tastemaker.batch.run import Batch
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse, RecommendedItem
from tastemaker.serving.recipes import load_recipes

__all__ = ["NOW", "batch", "fill", "item_of", "made"]

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def fill(lake: Lake, users: Iterable[str | None]) -> Lake:
    """One purchase for each, in one append."""
    lake.create()
    rows = [
        {
            names.EVENT_ID: f"e{number}",
            names.TYPE: "purchase",
            names.USER_ID: user,
            names.SESSION_ID: "s",
            names.ITEM_ID: "i1",
            names.OCCURRED_AT: NOW,
            names.CONTEXT: "{}",
            names.SCHEMA_VERSION: 1,
            names.EXTRA: "{}",
            names.INGESTED_AT: NOW,
            names.PARTITION: -1,
            names.OFFSET: -1,
        }
        for number, user in enumerate(users)
    ]
    lake.append(names.TABLE_EVENTS, pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_EVENTS]), {"shop": 0})
    return lake


def item_of(user: str) -> str:
    """The first item of the user's list."""
    return f"for-{user}"


def made(request: RecommendationRequest) -> RecommendationResponse:
    """A list of ``k`` items; the first one says whose it is."""
    ids = [item_of(str(request.user)), *(f"i{place}" for place in range(2, request.k + 1))]
    items = tuple(
        RecommendedItem(item_id=item_id, title=item_id, score=1.0 / place, source="trending", reason="Popular")
        for place, item_id in enumerate(ids, 1)
    )
    return RecommendationResponse(request_id=f"r-{request.user}", release="r1", tier="full", items=items)


def batch(out: Path, **changes) -> Batch:
    """What is wanted, unless it is said otherwise: two items for each user, in parts of four."""
    wanted = {"recipe": load_recipes()["email"], "k": 2, "release": "r1", "rules_version": "v1", "part_users": 4}
    return Batch(out, **(wanted | changes))
