"""The installed command on a cut of the shipped data: figures, an interrupt, and going on."""

import json
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.e2e

DATA = Path(__file__).parents[2] / "data" / "online_retail.parquet"
CUT, END = datetime(2011, 3, 1), datetime(2011, 3, 29)  # noqa: DTZ001  (local time, as the file has it)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three months of purchases of known customers to learn from, and the four weeks after them."""
    directory = tmp_path_factory.mktemp("retail")
    rows = pq.read_table(DATA)
    good = pc.and_(
        pc.is_valid(rows["customer_id"]), pc.and_(pc.greater(rows["quantity"], 0), pc.greater(rows["unit_price"], 0))
    )
    rows = rows.filter(good)
    bought = pa.table(
        {
            "user_id": rows["customer_id"].cast(pa.int64()),
            "item_id": rows["stock_code"].cast(pa.string()),
            "timestamp": rows["invoice_date"],
        }
    )
    moment = bought["timestamp"]
    kind = moment.type
    cut, end = pa.scalar(CUT, kind), pa.scalar(END, kind)
    pq.write_table(bought.filter(pc.less(moment, cut)), directory / "train.parquet")
    window = pc.and_(pc.greater_equal(moment, cut), pc.less(moment, end))
    pq.write_table(bought.filter(window), directory / "test.parquet")
    return directory


def command(tables: Path, models: str) -> list[str]:
    words = ["--train", str(tables / "train.parquet"), "--test", str(tables / "test.parquet"), "--k", "10,20"]
    words += ["--models", models, "--budget-minutes", "2", "--out", str(tables / "report.json")]
    return [sys.executable, "-m", "tastemaker.cli", "evaluate", *words, "--html", str(tables / "page.html")]


def test_known_facts_of_the_data_come_out_and_a_stopped_run_goes_on(tables: Path) -> None:
    # Interrupted while the second model runs, which takes its time: the first one's lists are kept.
    running = subprocess.Popen(
        command(tables, "own-frequency,ials"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "✓ own-frequency" in line:
            running.send_signal(signal.SIGINT)
            break
    rest = running.stdout.read()
    assert running.wait() == 130, rest
    assert "goes on after the 1 models that are finished" in rest
    assert not (tables / "report.json").exists()

    done = subprocess.run(command(tables, "own-frequency,popularity"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "own-frequency" in done.stdout.split("an earlier run")[0]
    report = json.loads((tables / "report.json").read_text())
    assert report["data"]["protocol"] == "temporal"
    assert report["data"]["exclude_seen"] is False
    frequency, popularity = (report["models"][name] for name in ("own-frequency", "popularity"))
    # Customers of this shop buy again what they bought: far ahead on all items, by far more than chance.
    gap = report["comparisons"]["popularity"]["metrics"]["ndcg@10"]
    assert gap["low"] > 0.05
    assert frequency["slices"]["repeat"]["ndcg@10"]["value"] > frequency["metrics"]["ndcg@10"]["value"]
    # Popularity knows nothing of the user: lists without seen items are where it is not beaten by much.
    assert popularity["slices"]["novel-only"]["ndcg@10"]["value"] > 0
    assert frequency["metrics"]["coverage@20"]["value"] > popularity["metrics"]["coverage@20"]["value"]
    for found in (frequency, popularity):
        assert found["peak_memory_mib"] > 50
        for estimate in found["metrics"].values():
            assert estimate["low"] <= estimate["value"] <= estimate["high"]
    assert "own-frequency is better than every other model" in (tables / "page.html").read_text()
