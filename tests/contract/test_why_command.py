"""``tastemaker why`` on a home with a lake, as an operator runs it."""

import json
from collections.abc import Iterator
from types import SimpleNamespace

import msgspec
import pytest
from replay_shop import ReplayShop
from typer.testing import CliRunner, Result

from tastemaker import names
from tastemaker.cli.app import app
from tastemaker.errors import DataError
from tastemaker.lake.tables import Lake
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.serving.contract import ServedList
from tastemaker.serving.replay.model import load_replay_model
from tastemaker.stream.decode import ConsumedList
from tastemaker.stream.rows import served_list_rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    shop = ReplayShop(tmp_path_factory.mktemp("why-shop"))
    shop.add_rules()
    yield shop
    shop.close()


@pytest.fixture
def logged(shop: ReplayShop, tmp_path, monkeypatch: pytest.MonkeyPatch) -> ServedList:
    """A list in the lake of a home, whose registry has its release."""
    home = shop.rules.path.parents[1]
    monkeypatch.setenv("TASTEMAKER_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(ReleaseRegistry, "get", lambda registry, release: SimpleNamespace(path=shop.release_dir))
    served = shop.ask(user="u3", k=6)
    lake = Lake(home / "lake")
    lake.create()
    source = Lake(shop.settings.lake_dir)
    with source.connect() as duck:
        items = duck.execute(f"SELECT * FROM {names.TABLE_ITEMS}").to_arrow_table()
    lake.append(names.TABLE_ITEMS, items, {"items": 0})
    put(lake, served, 0)
    return served


def put(lake: Lake, served: ServedList, offset: int) -> None:
    rows = served_list_rows([ConsumedList(served, msgspec.json.encode(served), 0, offset)])
    lake.append(names.TABLE_SERVED_LISTS, rows, {served.request_id: offset})


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["why", *words])


def test_a_list_is_explained_and_identical(logged: ServedList) -> None:
    found = run("--request", logged.request_id)
    assert found.exit_code == 0, found.output
    assert "identical, all scores to the last bit" in found.output
    for item_id, reason in zip(logged.items, logged.reasons, strict=True):
        assert item_id in found.output
        assert reason.split()[0] in found.output
    assert "i7-third: " in found.output
    assert f"release {logged.release}, rules {logged.rules_version}" in found.output


def test_json_has_the_same_for_machines(logged: ServedList) -> None:
    found = json.loads(run("--request", logged.request_id, "--json").output)
    assert [one["item_id"] for one in found["items"]] == list(logged.items)
    assert found["replay"]["identical"] is True
    assert found["items"][0]["contributions"]
    assert found["items"][0]["title"]


def test_one_item_that_a_rule_takes_out(logged: ServedList) -> None:
    found = run("--request", logged.request_id, "--item", "i5")
    assert found.exit_code == 0, found.output
    assert "no-i5" in found.output or "no source named it" in found.output


def test_an_item_that_nobody_knows(logged: ServedList) -> None:
    assert "no such item" in run("--request", logged.request_id, "--item", "nothing").output


def test_another_list_than_the_log_says_exits_1_and_shows_it(logged: ServedList, shop: ReplayShop) -> None:
    items = (logged.items[1], logged.items[0], *logged.items[2:])
    put(
        Lake(shop.rules.path.parents[1] / "lake"), msgspec.structs.replace(logged, request_id="swapped", items=items), 1
    )
    found = run("--request", "swapped")
    assert found.exit_code == 1
    assert "differences" in found.output


def test_a_release_of_a_directory_can_be_tried(logged: ServedList, shop: ReplayShop) -> None:
    found = run("--request", logged.request_id, "--release", str(shop.release_dir))
    assert found.exit_code == 0
    assert load_replay_model(shop.release_dir, "small-1").release_id in found.output


def test_a_release_that_is_gone_still_explains(logged: ServedList, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(registry: object, release: str) -> None:
        raise DataError(f"there is no release {release!r}")

    monkeypatch.setattr(ReleaseRegistry, "get", gone)
    found = run("--request", logged.request_id)
    assert found.exit_code == 0
    assert "cannot be made again" in found.output
    assert logged.items[0] in found.output


@pytest.mark.parametrize(("rate", "said"), [("1", "within about 5 s"), ("0", "is not among the lists that are kept")])
def test_a_request_that_is_not_there_says_why(
    logged: ServedList, monkeypatch: pytest.MonkeyPatch, rate: str, said: str
) -> None:
    monkeypatch.setenv("TASTEMAKER_SERVE_LOG_RATE", rate)
    found = run("--request", "unknown")
    assert isinstance(found.exception, DataError)
    assert said in str(found.exception)
