"""A shop that serves lists of every tier and surface under changing rules, and what it logs of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from served_release import CUT, ITEMS, small_release

from tastemaker.clock import Clock, to_us
from tastemaker.events.contract import Event
from tastemaker.events.item import Item
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.streaming.state import ConsumedEvent, ConsumedItem, FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.retrieval.index import VectorIndex
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.recipes import load_recipes, read_recipe
from tastemaker.serving.recommender import Recommender
from tastemaker.serving.release import load_release
from tastemaker.serving.rerank.rule import Rule, Where
from tastemaker.serving.rerank.rule_log import RuleLog
from tastemaker.serving.rerank.rule_watch import RuleWatch

# Surfaces whose policies use everything that the rerank stage can do.
SPREAD = """
surface: spread
about: Spread by determinants, with places left to chance.
sources: as_trained
order: {ranker: 1}
rerank:
  diversity: {method: dpp, relevance: 0.6}
  max_per_category: 0.7
  margin_weight: 0.3
  stock_weight: 0.5
  new_items: {share: 0.1, younger_than_days: 30}
  exploration: {kind: epsilon_slots, places: [2, 4], epsilon: 0.5, pool: 5}
"""
DRAWN = """
surface: drawn
about: Every place is drawn.
sources: as_trained
order: {ranker: 1, trending: 0.5}
rerank:
  diversity: {method: mmr}
  max_per_brand: 3
  exploration: {kind: plackett_luce, temperature: 0.7}
"""


def recipes() -> dict[str, Recipe]:
    """The built-in surfaces and two more."""
    more = [read_recipe(f"{name}.yaml", text) for name, text in (("spread", SPREAD), ("drawn", DRAWN))]
    return dict(load_recipes()) | {recipe.surface: recipe for recipe in more}


@dataclass
class Breakable:
    """What fails, by name; and a clock that only grows."""

    failing: set[str] = field(default_factory=set)
    now: int = 0

    def check(self, part: str) -> None:
        """Fail if that part is to fail."""
        if part in self.failing:
            raise RuntimeError(f"the {part} is broken")

    def fail(self, *parts: str) -> None:
        """From now on these fail and no others; what failed before is asked again."""
        self.failing = set(parts)
        self.now += 60_000_000_000

    def now_ns(self) -> int:
        """The time."""
        self.now += 10_000
        return self.now


@dataclass(frozen=True)
class StoppedClock(Clock):
    """Says the same moment all the time."""

    def now_us(self) -> int:
        """The moment, in microseconds."""
        return self.offset_us


class ReplayShop:
    """A recommender on a store of its own, with rules, changed items and fresh events.

    Args:
        home: an empty directory.
    """

    def __init__(self, home: Path) -> None:
        self.settings, self.release_dir = small_release()
        plan = FeaturePlan.load(self.settings.plan_path)
        self.state = FeatureState.open(home / "online.sqlite", plan)
        self.state.bootstrap(Lake(self.settings.lake_dir))
        self.rules = RuleLog(home / "rules" / "log.jsonl")
        self.parts = Breakable()
        self.recipes = recipes()
        release = load_release(self.release_dir)
        self._offset = 0

        def ranker(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            self.parts.check("ranker")
            return release.ranker(features)

        class Index(VectorIndex):
            def retrieve(index, query: Any, n: int) -> Any:  # noqa: N805 - self is the shop
                self.parts.check("index")
                return super().retrieve(query, n)

        self.recommender = Recommender(
            self.release_dir,
            FeatureReader(home / "online.sqlite", plan),
            StoppedClock(to_us(CUT)),
            recipes=self.recipes,
            ranker=ranker,
            make_index=Index,
            rules=RuleWatch(self.rules.path),
            now_ns=self.parts.now_ns,
        )

    def close(self) -> None:
        """Close the store."""
        self.state.close()

    def send(self, kind: str, item_id: str, user: str | None, session: str | None = None, minutes: float = 1.0) -> None:
        """One event, some minutes ago."""
        event = Event(
            event_id=f"live-{self._offset}",
            type=kind,
            occurred_at=CUT - timedelta(minutes=minutes),
            user_id=user,
            session_id=session,
            item_id=item_id,
        )
        self.state.apply([ConsumedEvent(event, 0, self._offset, to_us(CUT))], {0: self._offset + 1})
        self._offset += 1

    def change(self, number: int, **fields: Any) -> None:
        """Another state of an item, or a new one."""
        made = Item(
            item_id=f"i{number}",
            title=f"NEW NAME OF {number}",
            category=("kitchen", ("tea", "mugs", "pots")[number % 3]),
            price=2.0 + number,
            created_at=CUT - timedelta(days=3),
        )
        made = msgspec.structs.replace(made, **fields)
        changed = ConsumedItem(made.item_id, made, to_us(CUT), 0, self._offset)
        self.state.apply_items([changed], {0: self._offset + 1})
        self._offset += 1

    def live(self) -> None:
        """A morning of a shop: stock, margins and brands of some items, new items, and what visitors do."""
        for number in range(0, ITEMS, 3):
            attributes = {"stock": str(number), "margin": str(number % 5 / 4)}
            self.change(number, brand=("Acme", "Best")[number % 2], attributes=attributes)
        self.change(ITEMS)
        self.change(ITEMS + 1, brand="Third", available=True)
        for user in range(0, 40, 2):
            self.send("view", f"i{user % ITEMS}", f"u{user}")
            for times in range(user % 7):
                self.send("impression", f"i{(user + 4) % ITEMS}", f"u{user}", minutes=2 + times)
        for visit in range(5):
            self.send("cart_add", f"i{visit}", None, f"visit-{visit}")
            self.send("dislike", f"i{visit + 6}", None, f"visit-{visit}")
        self.recommender.refresh()

    def add_rules(self) -> None:
        """One rule of each kind."""
        rules = [
            Rule(id="mugs-up", owner="m", kind="boost", where=Where(categories=("kitchen/mugs",)), strength=2.5),
            Rule(id="acme-down", owner="m", kind="bury", where=Where(brands=("Acme",)), strength=4.0),
            Rule(id="no-i5", owner="m", kind="exclude", where=Where(item_ids=("i5",))),
            Rule(id="i7-third", owner="m", kind="pin", where=Where(item_ids=("i7",)), position=3),
            Rule(id="few-dear", owner="m", kind="cap", where=Where(price_from=15.0), limit=2),
        ]
        self.rules.add(rules, who="a test", at=CUT, why="to see them")
        self.recommender.refresh()

    def switch_off(self, *rule_ids: str) -> None:
        """Disable some rules."""
        self.rules.switch(list(rule_ids), enabled=False, who="a test", at=CUT, why="to see it")
        self.recommender.refresh()

    def ask(self, **fields: Any) -> ServedList:
        """A list as it is in the log: through JSON and back."""
        served = self.recommender.recommend(RecommendationRequest(**fields))[1]
        return msgspec.json.decode(msgspec.json.encode(served), type=ServedList)

    def asks(self, n: int) -> Iterator[dict[str, Any]]:
        """Requests of all surfaces, by known shoppers, visits and nobody."""
        random = np.random.default_rng(n)
        surfaces = list(self.recipes)
        for number in range(n):
            recipe = self.recipes[surfaces[number % len(surfaces)]]
            fields: dict[str, Any] = {"surface": recipe.surface, "k": int(random.integers(1, 15))}
            who = random.random()
            fields |= (
                {"user": f"u{number % 45}"} if who < 0.7 else {"session": f"visit-{number % 8}"} if who < 0.9 else {}
            )
            items = tuple(f"i{one}" for one in random.choice(ITEMS, size=6, replace=False))
            if "items" in recipe.requires:
                fields["items"] = items if recipe.only_given else items[:2]
            if "category" in recipe.requires:
                fields["category"] = "kitchen/tea"
            if recipe.surface == "search":
                fields["query"] = "tea number"
            yield fields

    def lists(self, n: int, ask: Callable[..., ServedList] | None = None) -> list[ServedList]:
        """The lists of so many requests."""
        return [(ask or self.ask)(**fields) for fields in self.asks(n)]

    def shed(self, **fields: Any) -> ServedList:
        """A list of a lower tier, from what is at hand."""
        served = self.recommender.shed(RecommendationRequest(**fields), "too busy")[1].build()
        return msgspec.json.decode(msgspec.json.encode(served), type=ServedList)
