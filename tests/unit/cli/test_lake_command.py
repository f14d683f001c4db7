"""``tastemaker lake``: what it shows, and what it asks before rows go."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from tastemaker import names
from tastemaker.cli.app import app
from tastemaker.cli.durations import parse_duration
from tastemaker.errors import DataError
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "220")
    return tmp_path / "home"


@pytest.fixture
def lake(home: Path) -> Lake:
    """Five events by as many commits: of now, and of 1, 2, 500 and 501 days ago."""
    made = Lake(Settings.from_env().lake_dir)
    made.create()
    now = datetime.now(UTC)
    for n, days in enumerate((0, 1, 2, 500, 501)):
        row = {names.EVENT_ID: f"e{n}", names.TYPE: "view", names.OCCURRED_AT: now - timedelta(days=days)}
        made.append(names.TABLE_EVENTS, pa.Table.from_pylist([row], SCHEMAS[names.TABLE_EVENTS]), {"x": n})
    return made


def run(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["lake", *words], input=answer)


def rows(lake: Lake) -> int:
    return lake.connect().execute("SELECT count(*) FROM events").fetchall()[0][0]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", ["status", "compact", "expire"])
def test_without_a_lake_each_says_how_to_get_one(command):
    with pytest.raises(DataError, match="tastemaker data import"):
        raise run(command).exception


@pytest.mark.usefixtures("lake")
def test_status_shows_every_table_for_people_and_machines():
    shown = run("status").output
    assert all(table in shown for table in SCHEMAS)
    assert re.search(r"events +5 +5 ", shown)
    (events,) = [state for state in json.loads(run("status", "--json").output) if state["table"] == "events"]
    assert (events["rows"], events["files"], events["version"]) == (5, 5, 5)
    assert datetime.fromisoformat(events["oldest"]) < datetime.fromisoformat(events["newest"])


def test_compact_says_what_became_of_the_files(lake):
    done = run("compact", "--table", "events")
    assert (done.exit_code, rows(lake)) == (0, 5)
    assert "5 files are 1 now" in done.output
    assert "nothing to compact" in run("compact", "--table", "events").output


def test_expire_dry_says_what_would_go_and_changes_nothing(lake):
    done = run("expire", "--dry-run")
    assert done.exit_code == 0
    assert re.search(r"events: 2 rows from before .* go, 3 stay", done.output)  # 500 and 501 days are beyond 400
    assert rows(lake) == 5


def test_expire_asks_and_no_leaves_everything(lake):
    assert run("expire", answer="n\n").exit_code == 1
    assert rows(lake) == 5
    assert run("expire", answer="y\n").exit_code == 0
    assert rows(lake) == 3


def test_expire_does_not_ask_where_nothing_goes_or_it_is_told_not_to(lake):
    assert run("expire", "--keep", "900d").exit_code == 0
    assert rows(lake) == 5
    assert run("expire", "--keep", "36h", "--yes").exit_code == 0
    assert rows(lake) == 2


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("expire", "--keep", "a year"), "no span of time"),
        (("expire", "--keep", "0d"), "no span of time"),
        (("expire", "--keep", "900000d"), "first year"),
        (("compact", "--keep-files", "10m"), "at least"),
        (("compact", "--table", "clicks"), "no lake table"),
    ],
)
def test_options_that_make_no_sense_are_refused(words, problem):
    with pytest.raises(DataError, match=problem):
        raise run(*words).exception


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("90m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        (" 400 d ", timedelta(days=400)),
        ("2w", timedelta(days=14)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text, span):
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", "d", "7", "-7d", "7 y", "7d7h", "1e3d", "9" * 30 + "w"])
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(DataError, match="400d"):
        parse_duration(text)
