"""The Online Retail adapter on the shipped file: its counts, and the numbers that others have published on it."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tastemaker.events.adapters import online_retail
from tastemaker.events.adapters.dataset import Dataset, events_of, items_of
from tastemaker.events.contract import decode_event, encode_event
from tastemaker.events.item import decode_item, encode_item

SHIPPED = Path(__file__).parents[4] / "data" / "online_retail.parquet"


@pytest.fixture(scope="module")
def shipped() -> Dataset:
    return online_retail.load(SHIPPED)


def test_the_shipped_file_accounts_for_every_line(shipped):
    # 541,909 lines by data/README.md; 5,268 lines repeat another one in all eight columns.
    assert shipped.report.rows == 541_909
    assert dict(shipped.report.dropped)["exact duplicate of another line"] == 5_268
    assert shipped.report.kept == shipped.events.num_rows > 0.98 * 541_909
    assert shipped.last_event == datetime(2011, 12, 9, 12, 50, tzinfo=UTC)
    assert not shipped.simulated


def test_the_shipped_file_gives_unique_event_ids_and_an_item_for_every_event(shipped):
    ids = shipped.events["event_id"]
    assert len(ids.unique()) == len(ids)
    assert set(shipped.events["item_id"].unique().to_pylist()) == set(shipped.items["item_id"].to_pylist())


def test_the_shipped_events_and_items_keep_the_contract(shipped):
    _, live = shipped.split(datetime(2011, 12, 8, tzinfo=UTC))

    assert all(decode_event(encode_event(event)) == event for event in events_of(live.events))
    assert all(decode_item(encode_item(item)) == item for item in items_of(shipped.items))


def test_nearly_every_shipped_item_has_a_category(shipped):
    fallback = sum(item.category == ("Gifts", "Other gifts") for item in items_of(shipped.items))

    assert fallback / shipped.items.num_rows < 0.02


def test_the_published_test_set_and_popularity_baselines_are_reproduced(shipped):
    """The protocol: known customers, train before 2011-11-12, test the last 28 days, items known in training.

    Published: 1,300 customers with 32 items each on average, 45 % of them bought before; at cut-off 10, popularity
    has precision .069, recall .032, NDCG .078, and popularity of the last 28 days .123, .060, .144.
    """
    history, live = shipped.split(datetime(2011, 11, 12, tzinfo=UTC))
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("history", history.events)
    connection.register("live", live.events)
    connection.execute(
        """CREATE TABLE train AS SELECT user_id, item_id, max(occurred_at) AS last_at FROM history
        WHERE type = 'purchase' AND user_id IS NOT NULL GROUP BY ALL"""
    )
    connection.execute(
        """CREATE TABLE test AS SELECT DISTINCT user_id, item_id FROM live WHERE type = 'purchase'
        AND user_id IN (SELECT user_id FROM train) AND item_id IN (SELECT item_id FROM train)"""
    )

    customers, items_each, bought_before = connection.execute(
        """SELECT count(*), avg(items), avg(known) FROM (
            SELECT user_id, count(*) AS items, avg((last_at IS NOT NULL)::INTEGER) AS known
            FROM test LEFT JOIN train USING (user_id, item_id) GROUP BY user_id)"""
    ).fetchone()
    popular = _metrics(connection, "SELECT item_id FROM train GROUP BY item_id ORDER BY count(*) DESC LIMIT 10")
    recent = _metrics(
        connection,
        """SELECT item_id FROM train WHERE last_at >= TIMESTAMPTZ '2011-10-15 00:00:00+00'
        GROUP BY item_id ORDER BY count(*) DESC LIMIT 10""",
    )

    assert customers == 1_300
    assert items_each == pytest.approx(32, abs=0.5)
    assert bought_before == pytest.approx(0.45, abs=0.005)
    assert popular == pytest.approx((0.069, 0.032, 0.078), abs=0.001)
    assert recent == pytest.approx((0.123, 0.060, 0.144), abs=0.001)


def _metrics(connection: duckdb.DuckDBPyConnection, top: str) -> tuple[float, float, float]:
    """Precision, recall and NDCG at 10 of one list for everybody."""
    row = connection.execute(
        f"""WITH top AS (SELECT item_id, row_number() OVER () AS rank FROM ({top})),
        hits AS (
            SELECT user_id, count(*) AS relevant, count(rank) AS hits, coalesce(sum(1 / log2(rank + 1)), 0) AS dcg
            FROM test LEFT JOIN top USING (item_id) GROUP BY user_id)
        SELECT avg(hits / 10), avg(hits / relevant),
            avg(dcg / list_sum([1 / log2(rank + 1) FOR rank IN range(1, 1 + least(relevant, 10))]))
        FROM hits"""
    ).fetchone()
    assert row is not None
    return row
