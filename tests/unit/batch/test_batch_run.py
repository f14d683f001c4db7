"""A batch: every user once, whatever stops it, and nothing mixed."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from tastemaker import names
from tastemaker.batch.manifest import MANIFEST, read_manifest
from tastemaker.batch.parts import LISTS
from tastemaker.batch.run import run_batch
from tastemaker.errors import DataError, ServingError
from tastemaker.lake.tables import Lake
from tastemaker.serving.recipes import load_recipes
from tests.unit.batch.batch_shop import NOW, batch, fill, item_of, made

USERS = [f"u{number:02}" for number in range(10)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return fill(Lake(tmp_path / "lake"), [*USERS, None, "u03", "u03"])


def run(wanted, lake, make=made, now=NOW, progress=lambda done, users: None):
    return run_batch(wanted, lake, now, lambda as_of: make, progress)


def lists(out: Path) -> dict[str, list[str]]:
    """Items by user, as any reader of Parquet sees them; fails where a place is there twice."""
    files = [out] if out.is_file() else sorted(out.glob("part-*.parquet"))
    found: dict[str, list[str]] = {}
    for file in files:
        table = pq.read_table(file)
        assert table.schema.remove_metadata() == LISTS
        for row in table.to_pylist():
            own = found.setdefault(row[names.USER_ID], [])
            own.append(row[names.ITEM_ID])
            assert row["rank"] == len(own)
    return found


WHOLE = {user: [item_of(user), "i2"] for user in USERS}


def stopping(after: int, error: BaseException):
    """Makes so many lists, and then fails."""
    left = [after]

    def make(request):
        if not left[0]:
            raise error
        left[0] -= 1
        return made(request)

    return make


def test_every_user_has_a_list_once_in_parts(tmp_path, lake):
    told = []
    result = run(batch(tmp_path / "out"), lake, progress=lambda done, users: told.append((done, users)))
    assert lists(tmp_path / "out") == WHOLE
    # Ten users in parts of four.
    assert [path.name for path in sorted((tmp_path / "out").glob("part*"))] == [
        f"part-00000{number}.parquet" for number in range(3)
    ]
    assert (result.kept, result.manifest.finished) == (0, {"full": 10})
    assert told[-1] == (10, 10)
    row = pq.read_table(tmp_path / "out" / "part-000000.parquet").to_pylist()[0]
    assert row == {
        "user_id": "u00", "rank": 1, "item_id": "for-u00", "score": 1.0, "source": "trending", "reason": "Popular",
        "request_id": "r-u00", "release": "r1", "tier": "full", "served_at": NOW,
    }  # fmt: skip


def test_one_file_holds_all_parts_and_nothing_stays_beside_it(tmp_path, lake):
    out = tmp_path / "made" / "lists.parquet"
    run(batch(out), lake)
    assert lists(out) == WHOLE
    assert pq.ParquetFile(out).num_row_groups == 3
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("out", ["out", "lists.parquet"])
def test_a_run_that_was_interrupted_goes_on_after_its_last_part(tmp_path, lake, out):
    with pytest.raises(KeyboardInterrupt):
        run(batch(tmp_path / out), lake, stopping(9, KeyboardInterrupt()))
    result = run(batch(tmp_path / out, resume=True), lake, now=NOW + timedelta(days=1))
    assert lists(tmp_path / out) == WHOLE
    assert result.kept == 8  # the ninth list was of a part that was not finished
    assert result.manifest.as_of == NOW


def test_users_who_came_meanwhile_do_not_shift_the_parts(tmp_path, lake):
    with pytest.raises(KeyboardInterrupt):
        run(batch(tmp_path / "out"), lake, stopping(6, KeyboardInterrupt()))
    fill(other := Lake(tmp_path / "grown"), ["a-new-first", *USERS, "z-new-last"])
    run(batch(tmp_path / "out", resume=True), other)
    assert lists(tmp_path / "out") == WHOLE


def test_resuming_a_finished_batch_makes_no_list(tmp_path, lake):
    for out in (tmp_path / "out", tmp_path / "lists.parquet"):
        run(batch(out), lake)
        result = run(batch(out, resume=True), lake, stopping(0, AssertionError("a list is made")))
        assert (result.kept, result.manifest.finished) == (10, {"full": 10})
        assert lists(out) == WHOLE


@pytest.mark.parametrize("killed_after", ["joining", "removing"])
def test_a_run_killed_between_file_and_clearing_up_is_finished_by_the_next(tmp_path, lake, monkeypatch, killed_after):
    out = tmp_path / "lists.parquet"
    target = {"joining": "tastemaker.batch.run.join_parts", "removing": "tastemaker.batch.run.shutil.rmtree"}
    monkeypatch.setattr(target[killed_after], lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(batch(out), lake)
    monkeypatch.undo()
    assert run(batch(out, resume=True), lake, stopping(0, AssertionError("a list is made"))).kept == 10
    assert lists(out) == WHOLE
    assert not out.with_name("lists.parquet.parts").exists()


CHANGES = [
    ({"release": "r2"}, "the release was 'r1' and is 'r2'"),
    ({"k": 3}, "the length of a list was 2 and is 3"),
    ({"rules_version": "v2"}, "the version of the shop's rules was 'v1' and is 'v2'"),
    ({"limit": 5}, "the limit of users was None and is 5"),
    ({"recipe": load_recipes()["home"]}, "the surface was 'email' and is 'home'"),
]


@pytest.mark.parametrize(("changes", "said"), CHANGES, ids=[next(iter(changes)) for changes, _ in CHANGES])
@pytest.mark.parametrize("out", ["out", "lists.parquet"])
def test_lists_of_another_kind_are_not_mixed_in(tmp_path, lake, changes, said, out):
    if out == "out":
        with pytest.raises(KeyboardInterrupt):
            run(batch(tmp_path / out), lake, stopping(5, KeyboardInterrupt()))
    else:
        run(batch(tmp_path / out), lake)
    with pytest.raises(DataError, match=r"cannot be resumed: .*another --out") as refused:
        run(batch(tmp_path / out, resume=True, **changes), lake)
    assert said in str(refused.value)


def test_a_changed_recipe_of_the_same_surface_is_another_kind(tmp_path, lake):
    run(batch(tmp_path / "out"), lake)
    other = load_recipes()["email"].model_copy(update={"limit": 7})
    with pytest.raises(DataError, match="recipe"):
        run(batch(tmp_path / "out", resume=True, recipe=other), lake)


def test_what_is_there_is_not_overwritten(tmp_path, lake):
    run(batch(tmp_path / "out"), lake)
    with pytest.raises(DataError, match="a finished batch; go on with it by --resume, or give another"):
        run(batch(tmp_path / "out"), lake)
    (tmp_path / "lists.parquet").write_bytes(b"mine")
    for resume, said in ((False, "is there already"), (True, "is no file of a batch")):
        with pytest.raises(DataError, match=said):
            run(batch(tmp_path / "lists.parquet", resume=resume), lake)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(DataError, match=r"diary\.txt"):
        run(batch(tmp_path / "notes"), lake)
    assert (tmp_path / "notes" / "diary.txt").read_text() == "mine"


def test_a_part_of_another_run_is_refused(tmp_path, lake):
    with pytest.raises(KeyboardInterrupt):
        run(batch(tmp_path / "out"), lake, stopping(5, KeyboardInterrupt()))
    run(batch(tmp_path / "other"), lake)
    (tmp_path / "other" / "part-000001.parquet").rename(tmp_path / "out" / "part-000001.parquet")
    with pytest.raises(DataError, match="is of another run"):
        run(batch(tmp_path / "out", resume=True), lake)


def test_a_damaged_manifest_is_told(tmp_path, lake):
    run(batch(tmp_path / "out"), lake)
    (tmp_path / "out" / MANIFEST).write_text("{")
    with pytest.raises(DataError, match="is no manifest of a batch"):
        run(batch(tmp_path / "out", resume=True), lake)


def test_a_lower_tier_ends_the_batch_and_is_not_written(tmp_path, lake):
    def make(request):
        response = made(request)
        if request.user != "u05":
            return response
        return msgspec.structs.replace(response, tier="popular", tier_reason="the online store does not answer")

    with pytest.raises(ServingError, match=r"u05.*popular.*the online store does not answer.*--resume"):
        run(batch(tmp_path / "out"), lake, make)
    assert list(lists(tmp_path / "out")) == USERS[:4]
    run(batch(tmp_path / "out", resume=True), lake)
    assert lists(tmp_path / "out") == WHOLE


def test_a_surface_that_needs_a_page_is_refused_before_anything_is_written(tmp_path, lake):
    with pytest.raises(DataError, match="'similar' need the items of a page"):
        run(batch(tmp_path / "out", recipe=load_recipes()["similar"]), lake)
    assert not (tmp_path / "out").exists()


def test_two_processes_do_not_make_the_same_batch(tmp_path, lake):
    def make(request):
        with pytest.raises(DataError, match="another process makes the batch"):
            run(batch(tmp_path / "out", resume=True), lake)
        return made(request)

    run(batch(tmp_path / "out", limit=1), lake, make)
    assert lists(tmp_path / "out") == {"u00": WHOLE["u00"]}


def test_a_release_that_does_not_open_leaves_nothing_to_resume(tmp_path, lake):
    def fails(as_of):
        raise ServingError("no release")

    with pytest.raises(ServingError, match="no release"):
        run_batch(batch(tmp_path / "out"), lake, NOW, fails)
    run(batch(tmp_path / "out"), lake)  # without --resume
    assert lists(tmp_path / "out") == WHOLE


KILLED = """
import sys, time
from pathlib import Path
from tastemaker.batch.run import run_batch
from tastemaker.lake.tables import Lake
from tests.unit.batch.batch_shop import NOW, batch, made

def slow(request):
    time.sleep(0.02)
    return made(request)

run_batch(batch(Path(sys.argv[1])), Lake(Path(sys.argv[2])), NOW, lambda as_of: slow)
"""


def test_a_killed_process_leaves_whole_parts_alone_and_the_next_one_finishes(tmp_path):
    users = [f"u{number:03}" for number in range(100)]
    lake, out = fill(Lake(tmp_path / "lake"), users), tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out), str(lake.root)], cwd=Path(__file__).parents[3], env=os.environ
    )
    try:
        deadline = time.monotonic() + 60
        while not (out / "part-000002.parquet").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    finished = lists(out)
    assert 12 <= len(finished) < 100
    assert len(finished) % 4 == 0
    assert read_manifest(out).finished is None
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*.parquet")}

    result = run(batch(out, resume=True), lake)
    assert lists(out) == {user: [item_of(user), "i2"] for user in users}
    assert result.kept == len(finished)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(out.glob(".*.tmp"))
