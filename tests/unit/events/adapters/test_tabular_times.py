"""Times in mapped tables: units, zones, patterns, and what does not parse."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.events.adapters import tabular
from tastemaker.events.adapters.dataset import Dataset, events_of
from tastemaker.events.adapters.tabular import TableMapping

COLUMNS = {"user_id": "customer", "item_id": "sku", "occurred_at": "time", "type": "=purchase"}
NOON = datetime(2011, 7, 1, 12, 0, tzinfo=UTC)


def load_csv(tmp_path: Path, text: str, **mapping: Any) -> Dataset:
    path = tmp_path / "shop.csv"
    path.write_text(text)
    return tabular.load(path, TableMapping(columns=COLUMNS, **mapping))


def load_time(tmp_path: Path, value: str, **mapping: Any) -> datetime:
    (event,) = events_of(load_csv(tmp_path, f'customer,sku,time\nu,i,"{value}"\n', **mapping).events)
    return event.occurred_at


@pytest.mark.parametrize(
    "value",
    [
        "2011-07-01T12:00:00Z",
        "2011-07-01 12:00:00",
        "2011-07-01T14:00:00+02:00",
        "1309521600",  # date -u -d '2011-07-01 12:00' +%s
        "1309521600000",
        "1309521600000000",
        "1309521600.0",
    ],
)
def test_times_are_recognised(tmp_path, value):
    assert load_time(tmp_path, value) == NOON


def test_fractions_of_a_second_are_exact(tmp_path):
    assert load_time(tmp_path, "1309521600.000007") == NOON.replace(microsecond=7)
    assert load_time(tmp_path, "2011-07-01T12:00:00.000007Z") == NOON.replace(microsecond=7)


def test_a_time_without_an_offset_is_in_the_mappings_zone_and_one_with_an_offset_is_not(tmp_path):
    assert load_time(tmp_path, "2011-07-01 13:00:00", timezone="Europe/London") == NOON  # British Summer Time
    assert load_time(tmp_path, "2011-07-01T12:00:00Z", timezone="Europe/London") == NOON


@pytest.mark.parametrize(("unit", "value"), [("s", "1000"), ("ms", "1000000"), ("us", "1000000000")])
def test_a_given_unit_is_taken_at_its_word(tmp_path, unit, value):
    assert load_time(tmp_path, value, timestamp=unit) == datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)  # 1,000 s


def test_a_pattern_reads_times_that_are_not_iso(tmp_path):
    assert load_time(tmp_path, "1/7/2011 13:00", timestamp="%d/%m/%Y %H:%M", timezone="Europe/London") == NOON


@pytest.mark.parametrize(
    "value", ["", "yesterday", "20110701", "infinity", "-5", "2011-02-30", "1e400", "9" * 40, "1969-07-20T20:17:00Z"]
)
def test_a_time_that_does_not_parse_drops_its_row(tmp_path, value):
    text = f'customer,sku,time\nu,i,2011-07-01T12:00:00Z\nu,i,"{value}"\n'

    report = load_csv(tmp_path, text).report

    assert (report.kept, sum(rows for _, rows in report.dropped)) == (1, 1)
    assert report.dropped[0][0].startswith("occurred_at")


@pytest.mark.parametrize(
    "times",
    [
        pa.array([NOON], pa.timestamp("us", "UTC")),
        pa.array([NOON], pa.timestamp("ms", "Asia/Tokyo")),
        pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ns")),
        pa.array([1_309_521_600], pa.int64()),
        pa.array([1_309_521_600.0], pa.float64()),
        pa.array(["2011-07-01T12:00:00Z"]),
    ],
    ids=str,
)
def test_parquet_times_of_any_type_are_read(tmp_path, times):
    path = tmp_path / "shop.parquet"
    pq.write_table(pa.table({"customer": [17850], "sku": ["i"], "time": times}), path)

    (event,) = events_of(tabular.load(path, COLUMNS).events)

    assert (event.user_id, event.occurred_at) == ("17850", NOON)
