"""Retention on a small lake: files become few, old rows and leftovers go, and nothing else does."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tastemaker import names
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.settings import Settings

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> Settings:
    made = Settings.from_env({}, home=tmp_path)
    for name, value in made.to_env().items():
        monkeypatch.setenv(name, value)
    lake = Lake(made.lake_dir)
    lake.create()
    schema = SCHEMAS[names.TABLE_EVENTS]
    for age in range(10):
        columns: dict[str, list[object]] = {name: [None] for name in schema.names}
        columns[names.EVENT_ID], columns[names.TYPE] = [f"e{age}"], ["view"]
        columns[names.OCCURRED_AT] = [datetime.now(UTC) - timedelta(days=age, hours=1)]
        lake.append(names.TABLE_EVENTS, pa.table(columns, schema=schema), {"test": age + 1})
    return made


def _ids(settings: Settings) -> set[str]:
    with Lake(settings.lake_dir).connect() as duck:
        return {row[0] for row in duck.execute(f"SELECT {names.EVENT_ID} FROM {names.TABLE_EVENTS}").fetchall()}


def test_retain_compacts_and_keeps_every_row_by_default(settings: Settings) -> None:
    from flows.retain import retain_flow

    state = retain_flow(return_state=True)
    assert state.is_completed()
    assert state.message.startswith(f"{len(SCHEMAS)} tables; 0 releases retired")
    assert len(_ids(settings)) == 10
    assert len(Lake(settings.lake_dir).open(names.TABLE_EVENTS).file_uris()) == 1


def test_retain_removes_rows_and_leftovers_that_are_older_than_was_said(settings: Settings) -> None:
    from flows.retain import retain_flow

    old, new = settings.home / "training" / "old", settings.home / "training" / "new"
    for path in (old, new):
        path.mkdir(parents=True)
        (path / "file").write_text("x")
    long_ago = time.time() - 15 * 86_400
    for path in (old / "file", old):
        os.utime(path, (long_ago, long_ago))
    state = retain_flow(keep_rows_days=3, return_state=True)
    assert "1 leftovers" in state.message
    assert (old.exists(), new.exists()) == (False, True)
    # Ages of 0 to 9 days and an hour each: those of 0, 1 and 2 days are younger than three days.
    assert _ids(settings) == {"e0", "e1", "e2"}
