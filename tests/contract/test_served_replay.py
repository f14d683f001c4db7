"""Logged lists of a real release are made again, whatever tier, surface, policy and rules they are of."""

import dataclasses
from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from replay_shop import ReplayShop

from tastemaker.events.contract import Context
from tastemaker.serving.contract import ServedList
from tastemaker.serving.replay import tracing
from tastemaker.serving.replay.compare import Replayed, replay
from tastemaker.serving.replay.contributions import contributions
from tastemaker.serving.replay.logged import logged_of
from tastemaker.serving.replay.model import ReplayModel, load_replay_model


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    shop = ReplayShop(tmp_path_factory.mktemp("replay-shop"))
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def lists(shop: ReplayShop) -> list[ServedList]:
    """Lists of a shop in which everything changes and breaks, one after the other."""
    found = shop.lists(33)
    shop.live()
    found += shop.lists(66)
    shop.add_rules()
    found += shop.lists(110)
    shop.switch_off("no-i5", "i7-third")
    found += shop.lists(44)
    for part in ("ranker", "index"):
        shop.parts.fail(part)
        found += shop.lists(33)
    shop.parts.fail()
    found += shop.lists(33, shop.shed)
    found += [
        shop.shed(surface="home", user=f"stranger-{number}", k=7, context=Context(country="FR")) for number in range(3)
    ]
    return found


@pytest.fixture(scope="module")
def model(shop: ReplayShop) -> ReplayModel:
    return load_replay_model(shop.release_dir, "small-1")


@pytest.fixture(scope="module")
def replays(shop: ReplayShop, lists: list[ServedList], model: ReplayModel) -> list[Replayed]:
    return [replay(served, model, shop.rules.at) for served in lists]


def test_lists_are_of_every_kind(lists: list[ServedList]) -> None:
    tiers = Counter(served.tier for served in lists)
    assert {"full", "cold_start", "fewer", "unranked", "cached", "popular"} <= set(tiers)
    assert len({served.request.surface for served in lists}) == 11
    rules = Counter(effect.rule for served in lists for effect in served.effects)
    assert {"mugs-up", "acme-down", "no-i5", "i7-third", "few-dear", "policy:exploration"} <= set(rules)
    assert {"policy:diversity", "policy:margin_weight", "policy:stock_weight"} <= set(rules)
    assert sum(served.trace.facts is not None and bool(served.trace.facts.changed) for served in lists) > 10
    assert sum(bool(logged_of(served).discount.any()) for served in lists) > 10
    assert sum(bool(logged_of(served).lift.any()) for served in lists) > 10
    assert len({served.rules_version for served in lists}) >= 4  # none, no rules, all, without two


def test_every_list_is_made_again_to_the_last_bit(lists: list[ServedList], replays: list[Replayed]) -> None:
    wrong = [
        (one.tier, one.request.surface, found) for one, found in zip(lists, replays, strict=True) if not found.identical
    ]
    assert wrong == []
    assert all(found.exact for found in replays)
    assert len(replays) > 300


def test_a_changed_ranker_shows_another_list_and_other_scores(
    shop: ReplayShop, lists: list[ServedList], model: ReplayModel
) -> None:
    other = dataclasses.replace(model, ranker=lambda features: -model.ranker(features))
    served = next(one for one in lists if one.tier == "full" and one.request.k > 5 and not one.effects)
    found = replay(served, other, shop.rules.at)
    assert not found.identical
    assert not found.exact
    assert {"list", "score"} <= {one.what for one in found.differences}
    assert found.gap > 0


def test_a_tampered_feature_or_list_is_shown(shop: ReplayShop, lists: list[ServedList], model: ReplayModel) -> None:
    served = next(one for one in lists if one.tier == "full" and len(one.items) > 3)
    swapped = (served.items[1], served.items[0], *served.items[2:])
    found = replay(msgspec.structs.replace(served, items=swapped), model, shop.rules.at)
    assert [(one.what, one.place) for one in found.differences] == [("list", 1), ("list", 2)]
    values = bytearray(served.trace.values)
    values[-400:] = np.full(100, 3.0, dtype="<f4").tobytes()
    tampered = msgspec.structs.replace(served, trace=msgspec.structs.replace(served.trace, values=bytes(values)))
    assert not replay(tampered, model, shop.rules.at).identical


def test_other_rules_than_those_of_the_list_are_shown(
    shop: ReplayShop, lists: list[ServedList], model: ReplayModel
) -> None:
    now = shop.rules.read().rules
    pinned = next(one for one in lists if any(effect.rule == "i7-third" for effect in one.effects))
    found = replay(pinned, model, lambda version: now)
    assert {"rules_version", "effects"} <= {one.what for one in found.differences}


def test_rules_that_never_were_are_said_to_be_missing(
    shop: ReplayShop, lists: list[ServedList], model: ReplayModel
) -> None:
    served = next(one for one in lists if one.rules_version)
    found = replay(msgspec.structs.replace(served, rules_version="0" * 16), model, shop.rules.at)
    assert "never had rules of version" in found.why_not
    assert not found.identical


def test_a_list_of_before_traces_cannot_be_made_again_and_says_so(
    shop: ReplayShop, lists: list[ServedList], model: ReplayModel
) -> None:
    old = msgspec.structs.replace(lists[0], trace=None, reasons=(), item_sources=())
    assert "did not keep the features" in replay(old, model, shop.rules.at).why_not


def test_contributions_are_the_scores_without_each_feature(lists: list[ServedList], model: ReplayModel) -> None:
    served = next(one for one in lists if one.tier == "full" and one.request.surface == "home")
    logged = logged_of(served)
    place = logged.item_ids.index(served.items[0])
    own = logged.features[place]
    whole = float(model.ranker(own[None])[0])
    found = {one.name: one for one in contributions(served, logged, model, served.items[0])}
    assert found
    for column, name in enumerate(model.names):
        without = own.copy()
        without[column] = np.nanmedian(logged.features[:, column])
        expected = whole - float(model.ranker(without[None])[0])
        assert found[name].added == pytest.approx(expected, abs=1e-5) if name in found else abs(expected) < 1e-5


def test_what_no_record_would_hold_is_left_out_and_said(
    shop: ReplayShop, model: ReplayModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_MOST_BYTES", 100)
    served = shop.ask(user="u3")
    assert served.trace.values == b""
    assert "more than a record holds" in replay(served, model, shop.rules.at).why_not
