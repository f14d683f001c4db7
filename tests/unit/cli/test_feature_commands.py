"""``tastemaker features``: what each command shows, and how it ends."""

import json
import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from tastemaker import names
from tastemaker.cli.app import app
from tastemaker.clock import Clock
from tastemaker.errors import DataError, StackError, TastemakerError
from tastemaker.features.audit import status
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.view_ages import Progress, ViewAges
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tests.unit.features.audit_lake import NOW, PLAN, append, event, lake_with, price, served

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENTS = [event("three", 3 * DAY, 10.0), event("one", DAY, 5.5, item_id="i2")]
ITEMS = [price("i1", 20 * DAY, 4.0), price("i2", 20 * DAY, 3.0)]
RIGHT = {"i1": {"bought_7d": 2.0, "spent_7d": 15.5, "pair_bought": 1.0, "price": 4.0}}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with a lake, applied declarations and no online store; its clock runs on from an hour after NOW."""
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TASTEMAKER_REPOSITORY", str(tmp_path))
    monkeypatch.setenv("TASTEMAKER_CLOCK_OFFSET_US", str(Clock.starting_at(NOW + HOUR).offset_us))
    monkeypatch.setenv("TASTEMAKER_WORKER_METRICS_PORT", "1")  # nobody answers there
    monkeypatch.setenv("COLUMNS", "150")
    (tmp_path / "feature_repo").mkdir()
    (tmp_path / "feature_repo" / "views.py").write_text("# declarations\n")
    made = Settings.from_env()
    lake_with(made.lake_dir, EVENTS, ITEMS, [served("q1", RIGHT)])
    PLAN.save(made.plan_path)
    return made


@pytest.fixture
def store(settings: Settings) -> Settings:
    """The same with an online store."""
    state = FeatureState.open(settings.online_location, PLAN)
    state.bootstrap(Lake(settings.lake_dir))
    state.close()
    return settings


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["features", *words])


def refused(*words: str) -> TastemakerError:
    error = run(*words).exception
    assert isinstance(error, TastemakerError)
    return error


# list


@pytest.mark.usefixtures("settings")
def test_list_shows_every_feature_with_how_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = run("list").output
    assert all(len(line) <= 100 for line in shown.splitlines())
    for view in (*PLAN.views, *PLAN.on_demand):
        assert f"{view.name}  of " in shown
        assert all(f"  {feature.name} " in shown for feature in view.features)
    assert re.search(r"bought_7d +count, 7d +Bought in a week\.", shown)
    assert re.search(r"spent_each_7d +spent_7d / bought_7d", shown)
    assert "by_pair  of user × item" in shown
    assert "9 features in 6 views" in shown  # 4 of a shopper, 1 each of 4 stored views, 1 derived


@pytest.mark.usefixtures("settings")
def test_list_for_machines_has_everything() -> None:
    rows = json.loads(run("list", "--json").output)
    (bought,) = [row for row in rows if row["name"] == "bought_7d"]
    assert (bought["function"], bought["window"], bought["events"]) == ("count", "7d", ["purchase"])
    (derived,) = [row for row in rows if row["name"] == "unused"]
    assert (derived["entities"], derived["function"]) == (["user", "request"], "from bought_7d, requested_us")


@pytest.mark.usefixtures("settings")
def test_list_narrows_down_and_names_a_view_that_is_close() -> None:
    assert "1 features in 1 view" in run("list", "--search", "a week").output
    assert "by_pair" not in run("list", "--view", "by_user").output
    assert "'by_users'; is it by_user? there are by_pair" in str(refused("list", "--view", "by_users"))


def test_before_apply_each_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path))
    for words in (["list"], ["status"], ["rebuild"], ["explain", "--feature", "f"]):
        assert "tastemaker features apply" in str(refused(*words)), words


# explain


@pytest.mark.usefixtures("store")
def test_explain_shows_value_definition_events_and_the_online_value() -> None:
    shown = run("explain", "--user", "u1", "--feature", "spent_7d")
    assert shown.exit_code == 0
    assert "spent_7d of user u1: 15.5" in shown.output
    assert "sum of value over purchase events of one user in the last 7d" in shown.output
    assert re.search(r"online +15\.5 *$", shown.output, re.MULTILINE)
    assert "evidence: 2 count" in shown.output
    assert re.search(r"2026-03-09 12:00:00 │ one +│ purchase │ i2 +│ 5\.5", shown.output)


def test_explain_of_a_past_moment_leaves_the_online_store_alone(settings: Settings) -> None:
    append(Lake(settings.lake_dir), names.TABLE_EVENTS, [event("fix", DAY, 7.5, item_id="i2", corrects="one")])
    shown = run("explain", "--user", "u1", "--feature", "spent_7d", "--at", "2026-03-08T00:00").output
    assert "spent_7d of user u1: 10" in shown
    assert "online" not in shown
    found = json.loads(run("explain", "--user", "u1", "--feature", "spent_7d", "--at", "1s", "--json").output)
    assert (found["value"], found["left_out"]) == (17.5, {"corrected": 1})


@pytest.mark.usefixtures("settings")
def test_explain_without_a_store_or_of_an_unknown_shopper_says_so() -> None:
    shown = run("explain", "--user", "u2", "--feature", "bought_7d").output
    assert "not readable: no online store" in shown
    assert "evidence: none counts" in shown
    assert "No event in the lake has user u2; close are u1." in shown


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--user", "u1", "--feature", "bought"], "is it bought_7d"),
        (["--feature", "pair_bought", "--user", "u1"], "say which one with --item"),
        (
            ["--feature", "bought_7d", "--user", "u1", "--at", "yesterday"],
            "'yesterday' is no moment; write how",
        ),
        (["--feature", "bought_7d", "--user", "u1", "--at", "2026-03-11"], "later than the platform's clock"),
        (["--feature", "unused", "--user", "u1", "--request", "noon"], "write NAME=VALUE"),
    ],
)
def test_explain_refuses_with_the_remedy(words: list[str], said: str) -> None:
    assert said in str(refused("explain", *words))


# verify


@pytest.fixture
def known_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.cli.features_verify._plans", lambda settings: {"r1": PLAN}.get)


@pytest.mark.usefixtures("settings", "known_release")
def test_verify_ends_well_when_all_is_as_the_lake_says() -> None:
    done = run("verify", "--since", "1d")
    assert done.exit_code == 0
    assert "4 values of 1 lists" in done.output
    assert re.search(r"spent_7d +│ +1 │ +0 │ +0 │ +- │ +0 │", done.output)
    assert "every value is what the lake says" in done.output


@pytest.mark.usefixtures("known_release")
def test_verify_fails_and_shows_what_was_tampered_with(settings: Settings) -> None:
    wrong = {"i1": RIGHT["i1"] | {"spent_7d": 99.0}}
    append(Lake(settings.lake_dir), names.TABLE_SERVED_LISTS, [served("q2", wrong)])
    done = run("verify", "--since", "1d")
    assert done.exit_code == 1
    assert "1 of 8 values differ" in done.output
    assert re.search(r"spent_7d │ u1 +│ 2026-03-10 12:00:00\.000000 │ 99 +│ 15\.5 +│ q2", done.output)
    found = json.loads(run("verify", "--since", "1d", "--json").output)
    assert (found["mismatched"], found["examples"][0]["request_id"]) == (1, "q2")
    assert run("verify", "--since", "1d", "--view", "profile").exit_code == 0


@pytest.mark.usefixtures("settings")
def test_verify_says_why_there_is_nothing_to_compare() -> None:
    nothing = run("verify", "--since", "10m")
    assert nothing.exit_code == 0
    assert "no lists were logged in this time" in nothing.output
    gone = run("verify", "--since", "1d")  # of a release that was never registered here
    assert "1 lists are of releases that are not there any more" in gone.output


@pytest.mark.usefixtures("settings")
def test_verify_refuses_a_time_that_is_none() -> None:
    assert "is not before the end" in str(refused("verify", "--since", "2s"))
    assert "is no moment" in str(refused("verify", "--since", "long ago"))
    assert "has no view 'nope'" in str(refused("verify", "--since", "1d", "--view", "nope"))


# status


def test_status_without_a_store_calls_everything_missing(settings: Settings) -> None:
    shown = run("status").output
    assert len(re.findall("missing", shown)) == len(PLAN.views)
    assert "none runs" in shown
    assert str(settings.online_location) in shown.replace("\n", "")


def test_status_shows_rows_age_progress_and_edited_declarations(store: Settings) -> None:
    pair, user, listed, visit, profile = (view.signature for view in PLAN.views)
    opened = open_online_store(store.online_location)
    with opened.transaction() as tx:
        ViewAges((user, visit, profile), (listed, "by_user@old"), {listed: Progress(1, 4), pair: Progress()}).write(tx)
    opened.close()
    shown = run("status").output
    assert re.search(r"by_user +│ user +│ +1 │ +1 d │ +- │ complete", shown)  # the newest of 25 hours ago
    assert re.search(r"listed +│ user +│ +1 │ +1 d │ +- │ building 1/4", shown)
    assert re.search(r"by_pair .*│ building", shown)
    assert "for older releases: by_user" in shown
    (store.repository / "feature_repo" / "views.py").write_text("# other declarations\n")
    machine = json.loads(run("status", "--json").output)
    assert machine["edited_since_apply"] == ["views.py"]
    (one,) = [view for view in machine["views"] if view["view"] == "listed"]
    assert (one["state"], one["progress"], one["readable"], one["rows"]) == ("building", [1, 4], True, 1)


def test_view_status_tells_what_can_be_read() -> None:
    states = status.view_status(PLAN, None)
    assert {(view.state, view.readable, view.rows, view.newest) for view in states} == {("missing", False, 0, None)}


# rebuild


def test_rebuild_of_a_complete_store_does_nothing(store: Settings) -> None:
    done = run("rebuild")
    assert done.exit_code == 0
    assert "All 5 views are complete" in done.output
    assert store.online_location.exists()


def test_rebuild_makes_a_store_that_is_not_there(settings: Settings) -> None:
    done = run("rebuild")
    assert done.exit_code == 0
    assert "building the whole online store" in done.output
    assert all(view.state == "complete" for view in status.view_status(PLAN, open_reader(settings)))


def test_rebuild_of_a_view_makes_its_rows_anew(store: Settings) -> None:
    user = PLAN.view("by_user").signature
    opened = open_online_store(store.online_location)
    with opened.transaction() as tx:
        tx.put(user, ["gone"], [0], [b""])
    opened.close()
    done = run("rebuild", "by_user")
    assert done.exit_code == 0
    assert "building by_user from the lake" in done.output
    reader = open_reader(store)
    assert [key for key, _ in reader.all_rows(user)] == ["u1"]
    assert run("rebuild", "--all").exit_code == 0


def test_rebuild_goes_on_with_what_was_interrupted(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    step = FeatureState.build_step

    def interrupted(self: FeatureState, lake: Lake) -> float:
        share = step(self, lake)
        raise KeyboardInterrupt if share < 1 else AssertionError

    monkeypatch.setattr(FeatureState, "build_step", interrupted)
    stopped = run("rebuild", "by_user", "by_pair")
    assert stopped.exit_code == 130
    assert "what is built is kept" in stopped.output
    assert [view.state for view in status.view_status(PLAN, open_reader(store))].count("building") == 1
    monkeypatch.setattr(FeatureState, "build_step", step)
    again = run("rebuild")
    assert again.exit_code == 0
    assert "by_pair" not in again.output or "by_user" not in again.output  # one of them was built


def test_rebuild_builds_what_an_apply_made_new(store: Settings) -> None:
    wider = msgspec.structs.replace(PLAN.view("by_user"), ttl_us=5)
    newer = FeaturePlan(views=tuple(wider if view.name == "by_user" else view for view in PLAN.views))
    newer.save(store.plan_path)
    assert run("rebuild").exit_code == 0
    assert {view.state for view in status.view_status(newer, open_reader(store))} == {"complete"}


@pytest.mark.usefixtures("store")
def test_rebuild_refuses_an_unknown_view_and_two_wishes_at_once() -> None:
    assert "no view 'nope'; it has by_pair" in str(refused("rebuild", "nope"))
    assert "not both" in str(refused("rebuild", "by_user", "--all"))


def test_rebuild_without_a_lake_says_where_data_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path))
    PLAN.save(Settings.from_env().plan_path)
    assert isinstance(refused("rebuild"), DataError)
    assert "tastemaker data import" in str(refused("rebuild"))


def test_rebuild_waits_for_no_import(store: Settings) -> None:
    from tastemaker.stream.lock import writer_lock

    with writer_lock(store.home, "a data import"):
        error = refused("rebuild", "by_user")
    assert isinstance(error, StackError)
    assert "a data import" in str(error)


# ui


def test_ui_says_what_to_install_and_what_to_do_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "tastemaker features apply" in str(refused("ui"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'tastemaker[feast-ui]'" in str(refused("ui"))
    assert not settings.feast_dir.exists()


def open_reader(settings: Settings):
    from tastemaker.features.stores.opening import open_online_reader

    return open_online_reader(settings.online_location)
