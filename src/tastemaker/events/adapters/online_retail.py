"""Online Retail: invoice lines of a UK gift shop as purchases and returns.

Daqing Chen, *Online Retail*, UCI Machine Learning Repository, 2015, doi 10.24432/C5BW33 (CC BY 4.0). Columns as in
``data/README.md``. Local minutes become UTC; a customer is a user, each invoice a session, so that guests are
sessions without a user. Baselines on this data keep every purchase line of a known customer; so does this adapter,
but for what is no purchase of a product. Wholesale quantities stay: most customers are shops.
"""

from pathlib import Path

import duckdb
import pyarrow as pa

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.adapters.dataset import Dataset, conform
from tastemaker.events.adapters.report import CleaningReport
from tastemaker.events.adapters.source import connect, dropped_counts, read_source, require_columns
from tastemaker.events.adapters.stamp import stamp
from tastemaker.events.adapters.taxonomy import FALLBACK, categorise
from tastemaker.events.adapters.titles import readable

__all__ = ["NAME", "TIMEZONE", "load"]

NAME = "online-retail"
TIMEZONE = "Europe/London"

_COLUMNS = (
    "invoice_no",
    "stock_code",
    "description",
    "quantity",
    "invoice_date",
    "unit_price",
    "customer_id",
    "country",
)
_WORDS = {
    "ASS": "Assorted",
    "ASST": "Assorted",
    "ASSTD": "Assorted",
    "B'FLY": "Butterfly",
    "C/COVER": "Cushion Cover",
    "COL": "Colour",
    "HLDR": "Holder",
    "NECKL": "Necklace",
    "TURQ": "Turquoise",
    "W": "with",
}
# Products are five digits with at most two letters (a variant), or DCGS… for the sister shop's own lines. The rest
# are postage, fees, manual entries, samples and vouchers; four such services hide behind ordinary numbers.
_PRODUCT = "^([0-9]{5}[A-Z]{0,2}|DCGS[0-9A-Z]+)$"
_SERVICES = {
    "22016": "gift voucher",
    "23444": "next day carriage",
    "23574": "packing charge",
    "23702": "high resolution image",
}
# Far above every quantity that was really delivered (4,800) and below the two slips of the finger (74,215 and 80,995).
_ABSURD_QUANTITY = 10_000

_LINES = f"""
CREATE TABLE lines AS
WITH typed AS (
    SELECT source_row, trim(invoice_no) AS invoice, upper(trim(stock_code)) AS code, trim(stock_code) AS spelling,
        nullif(trim(description), '') AS description, quantity, unit_price AS price, invoice_date,
        customer_id::BIGINT::VARCHAR AS user_id, country,
        trim(invoice_no) LIKE 'C%' AS cancels,
        row_number() OVER (PARTITION BY invoice_no ORDER BY source_row) AS line,
        row_number() OVER (PARTITION BY {", ".join(_COLUMNS)} ORDER BY source_row) AS copy
    FROM source
),
slips AS (
    SELECT bought.source_row AS bought, cancelled.source_row AS cancelled
    FROM typed AS bought JOIN typed AS cancelled
        ON cancelled.cancels AND cancelled.code = bought.code AND cancelled.user_id = bought.user_id
        AND cancelled.quantity = -bought.quantity
        AND cancelled.invoice_date BETWEEN bought.invoice_date AND bought.invoice_date + INTERVAL 1 DAY
    WHERE bought.quantity >= {_ABSURD_QUANTITY} AND bought.price > 0
),
sold AS (SELECT DISTINCT description FROM typed WHERE price > 0 AND description IS NOT NULL)
SELECT *, CASE
    WHEN invoice IS NULL OR code IS NULL OR quantity IS NULL OR price IS NULL OR invoice_date IS NULL
        THEN 'no invoice, stock code, quantity, price or date'
    WHEN copy > 1 THEN 'exact duplicate of another line'
    WHEN NOT regexp_matches(code, '{_PRODUCT}') OR code IN ({", ".join(map(repr, _SERVICES))})
        THEN 'no product (postage, fees, manual entries, samples, vouchers)'
    WHEN source_row IN (SELECT bought FROM slips UNION ALL SELECT cancelled FROM slips)
        THEN 'slip of {_ABSURD_QUANTITY:,} pieces or more, cancelled within a day (both lines)'
    WHEN price <= 0 AND description NOT IN (SELECT description FROM sold)
        THEN 'stock note instead of a description ("damaged", "?", "lost")'
    WHEN quantity < 0 AND NOT cancels THEN 'stock correction (negative quantity, no cancellation)'
    WHEN price <= 0 THEN 'zero or negative price'
    WHEN quantity = 0 THEN 'zero quantity'
    END AS dropped
FROM typed
"""

_EVENTS = f"""
SELECT format('{{}}-{{:04d}}-{{}}', invoice, line, code) AS {names.EVENT_ID},
    CASE WHEN cancels OR quantity < 0 THEN 'return' ELSE 'purchase' END AS {names.TYPE},
    user_id AS {names.USER_ID}, 'invoice-' || invoice AS {names.SESSION_ID}, code AS {names.ITEM_ID},
    timezone('{TIMEZONE}', invoice_date::TIMESTAMP) AS {names.OCCURRED_AT},
    round(price * abs(quantity), 4) AS {names.VALUE}, price AS {names.PRICE},
    CASE WHEN country IS NULL OR country = 'Unspecified' THEN '{{}}'
        ELSE '{{"country":' || to_json(country)::VARCHAR || '}}' END AS {names.CONTEXT}
FROM lines WHERE dropped IS NULL
"""

# The title is the description that most lines bear; among equals the first by the alphabet, to be deterministic.
_ITEMS = f"""
WITH counted AS (
    SELECT code, description, count(*) AS uses FROM lines
    WHERE dropped IS NULL AND regexp_matches(description, '[A-Za-z]') GROUP BY ALL
),
titled AS (SELECT code, first(description ORDER BY uses DESC, description) AS description FROM counted GROUP BY code),
sales AS (
    SELECT code, price, invoice_date, min(invoice_date) OVER (PARTITION BY code) AS first_sold
    FROM lines WHERE dropped IS NULL
),
sold AS (
    SELECT code, timezone('{TIMEZONE}', any_value(first_sold)::TIMESTAMP) AS first_sold,
        median(price) FILTER (invoice_date::DATE = first_sold::DATE) AS price
    FROM sales GROUP BY code
)
SELECT code AS {names.ITEM_ID}, coalesce(description, code) AS {names.TITLE}, round(price, 2) AS {names.PRICE},
    first_sold AS {names.CREATED_AT}, first_sold AS {names.UPDATED_AT}
FROM sold LEFT JOIN titled USING (code)
"""


def load(path: Path) -> Dataset:
    """Read the shipped file, or one of its shape.

    Event ids are ``<invoice>-<line of the invoice>-<stock code>``, so they do not depend on what is cleaned. Stock
    codes that differ in case only (85123A, 85123a) are one item. An item is known from its first sale on, at the
    median price of that day: a median over the whole file would tell training about the test window. Its title is
    the description that most of its lines bear. An event's price is the unit price of its own line.

    Args:
        path: a Parquet file, such as ``data/online_retail.parquet``.

    Raises:
        DataError: the file is missing, empty, lacks a column, or has a column of the wrong type.
    """
    connection = connect()
    columns, _ = read_source(connection, path, "source")
    require_columns(path, columns, _COLUMNS)
    try:
        connection.execute(_LINES)
        events = conform(names.TABLE_EVENTS, connection.sql(_EVENTS).to_arrow_table())
        items = _items(connection)
    except duckdb.Error as error:
        raise DataError(f"{path} is not of the shape of Online Retail: {str(error).splitlines()[0]}") from error
    if not events.num_rows:
        raise DataError(f"{path} has no line that is a purchase or a return of a product")
    report = _report(connection, path, events, items)
    return Dataset(NAME, stamp(events, items), items, report, simulated=False, timezone=TIMEZONE)


def _items(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    rows = connection.sql(_ITEMS).to_arrow_table()
    titles = [readable(description, _WORDS) for description in rows[names.TITLE].to_pylist()]
    rows = rows.set_column(rows.column_names.index(names.TITLE), names.TITLE, pa.array(titles, pa.string()))
    categories = pa.array([list(categorise(title)) for title in titles], pa.list_(pa.string()))
    return conform(names.TABLE_ITEMS, rows.append_column(names.CATEGORY, categories))


def _report(connection: duckdb.DuckDBPyConnection, path: Path, events: pa.Table, items: pa.Table) -> CleaningReport:
    ((spellings, guests, returns),) = connection.execute(
        """SELECT count(DISTINCT spelling) - count(DISTINCT code), count(*) FILTER (user_id IS NULL),
        count(*) FILTER (cancels OR quantity < 0) FROM lines WHERE dropped IS NULL"""
    ).fetchall()
    fallback = sum(tuple(category) == FALLBACK for category in items[names.CATEGORY].to_pylist())
    return CleaningReport(
        source=path.name,
        kept=events.num_rows,
        dropped=dropped_counts(connection, "lines"),
        items_kept=items.num_rows,
        notes=(
            f"{returns:,} events are returns; {guests:,} are of guests, known by their session only.",
            f"{spellings:,} spellings of stock codes that differ in case were merged.",
            f"{1 - fallback / items.num_rows:.1%} of the items have a category; the rest are {' / '.join(FALLBACK)}.",
        ),
    )
