"""The shop's rules and the surfaces' policies on real lists: what is shown, on every tier, and what is logged of it."""

from pathlib import Path

import numpy as np
import pytest
from recommender_shop import CUT, OpenShop, Shop, StoppedClock, category_of

from tastemaker.clock import to_us
from tastemaker.events.item import Item
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.recommender import Recommender
from tastemaker.serving.rerank.rule import Rule, Where
from tastemaker.serving.rerank.rule_log import RuleLog
from tastemaker.serving.rerank.rule_watch import RuleWatch
from tastemaker.serving.shop_rules import ShopRules
from tastemaker.serving.shop_state import ShopState

ASKED = RecommendationRequest(user="user-3", k=8)


class Ruled:
    """A recommender that follows a file of rules."""

    def __init__(self, shop: Shop, opened: OpenShop, path: Path, **policies: dict[str, object]) -> None:
        self.log = RuleLog(path)
        recipes = dict(load_recipes())
        for surface, policy in policies.items():
            changed = recipes[surface].model_dump() | {"rerank": policy}
            recipes[surface] = type(recipes[surface]).model_validate(changed)
        plan = FeaturePlan.load(shop.settings.plan_path)
        self.recommender = Recommender(
            shop.trained.directory,
            FeatureReader(opened.state.store.reader(), plan),
            StoppedClock(to_us(CUT)),
            recipes=recipes,
            rules=RuleWatch(path),
        )

    def add(self, **fields) -> None:
        rule = Rule(id=f"rule-{fields['kind']}", owner="merchandising", note="a test", **fields)
        self.log.add([rule], who="merchandising", at=CUT, why="a test")
        self.recommender.refresh()

    def shown(self, request: RecommendationRequest = ASKED) -> list[str]:
        return [item.item_id for item in self.recommender.answer(request)[0].items]


@pytest.fixture
def ruled(shop: Shop, opened: OpenShop, tmp_path: Path) -> Ruled:
    return Ruled(shop, opened, tmp_path / "rules.jsonl")


def test_list_without_rules_is_the_rankings_and_says_nothing_of_rules(ruled, opened):
    served = ruled.recommender.recommend(ASKED)[1]
    assert ruled.shown() == [item.item_id for item in opened.recommender.answer(ASKED)[0].items]
    assert (served.rules_version, served.effects, set(served.propensities)) == ("", (), {1.0})


def test_excluded_item_is_gone_from_every_tier_after_the_next_look(ruled):
    first = ruled.shown()[0]
    assert ruled.recommender.shed(ASKED, "a test")[0].tier == "cached"
    ruled.add(kind="exclude", where=Where(item_ids=(first,)))
    assert first not in ruled.shown()
    assert len(ruled.shown()) == ASKED.k
    nobody = RecommendationRequest(k=40)
    for request in (ASKED, nobody):
        answer = ruled.recommender.shed(request, "a test")[0]
        assert answer.items
        assert first not in [item.item_id for item in answer.items]


def test_pin_holds_for_an_item_that_no_source_found(ruled):
    served = ruled.recommender.recommend(ASKED)[1]
    found = {candidate.item_id for candidate in served.candidates}
    other = next(f"{category}-0" for category in ("kitchen", "garden", "toys", "office") if category != category_of(3))
    far = next(each for each in (f"{other.split('-')[0]}-{n}" for n in range(12)) if each not in found)
    ruled.add(kind="pin", position=2, where=Where(item_ids=(far,)))
    response, record = ruled.recommender.answer(ASKED)
    assert response.items[1].item_id == far
    assert response.items[1].reason == "Chosen by the shop"
    assert record.build().items[1] == far


def test_effects_are_logged_with_the_version_of_the_rules(ruled):
    before = ruled.shown()
    ruled.add(kind="bury", strength=100.0, where=Where(item_ids=(before[0],)))
    served = ruled.recommender.recommend(ASKED)[1]
    assert served.rules_version == ruled.log.read().rules.version
    effect = next(each for each in served.effects if each.item_id == before[0])
    assert (effect.rule, effect.before) == ("rule-bury", 1)
    assert effect.after is None or effect.after > 1
    assert before[0] not in served.items[:1]


def test_rule_of_another_surface_or_another_time_does_nothing(ruled):
    before = ruled.shown()
    ruled.add(kind="exclude", where=Where(item_ids=tuple(before), surfaces=("cart",)))
    assert ruled.shown() == before


def test_compiled_rules_stay_until_file_or_catalogue_change(tmp_path):
    catalogue = Catalogue(("a",), (item("a"),), np.eye(1, 2, dtype=np.float32), 1)
    states = [ShopState(catalogue, None, np.zeros(1, np.float32), 1, 0, 0)]
    log = RuleLog(tmp_path / "rules.jsonl")
    rules = ShopRules(RuleWatch(log.path), lambda: states[-1])
    before = rules.at("home", 0)
    rules.refresh()
    assert rules.at("home", 0) is before
    pin = Rule(id="b-first", owner="merchandising", kind="pin", position=1, where=Where(item_ids=("b",)))
    log.add([pin], who="merchandising", at=CUT, why="a test")
    rules.refresh()
    assert (rules.at("home", 0).any, rules.at("home", 0).wanted_rows.tolist()) == (True, [])  # nobody has it yet
    added = catalogue.updated([("b", item("b"))], lambda items, rows: np.eye(1, 2, dtype=np.float32))
    states.append(ShopState(added, None, np.zeros(2, np.float32), 2, 0, 0))
    rules.refresh()
    assert rules.at("home", 0).wanted_rows.tolist() == [1]


def item(item_id: str) -> Item:
    return Item(item_id=item_id, title=item_id, created_at=CUT)


def test_policy_of_a_recipe_caps_categories(shop, opened, tmp_path):
    capped = Ruled(shop, opened, tmp_path / "rules.jsonl", home={"max_per_category": 3})
    categories = [item.rsplit("-", 1)[0] for item in capped.shown()]
    assert max(categories.count(each) for each in set(categories)) <= 3


def test_exploration_is_logged_with_its_propensity(shop, opened, tmp_path):
    slots = {"exploration": {"kind": "epsilon_slots", "places": [8], "epsilon": 0.5, "pool": 4}}
    exploring = Ruled(shop, opened, tmp_path / "rules.jsonl", home=slots)
    plain = Ruled(shop, opened, tmp_path / "others.jsonl").shown()
    explored = 0
    for _ in range(40):
        served = exploring.recommender.recommend(ASKED)[1]
        assert list(served.items[:7]) == plain[:7]
        assert served.propensities[:7] == (1.0,) * 7
        # The runner-up is one of four, each with .5 / 4; the item of the list stays with .5.
        assert served.propensities[7] == (0.5 if served.items[7] == plain[7] else 0.125)
        explored += served.items[7] != plain[7]
    assert 5 < explored < 35  # 20 expected, deviation 3.2
