"""A shop on Online Retail that serves, changes and breaks; its lists go through broker and worker into the lake."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker
from tastemaker.broker.topics import TOPICS
from tastemaker.events.contract import Event, encode_event
from tastemaker.events.item import Item, encode_item
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.lake.tables import Lake
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.source import Query, Retrieved
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.recipes import load_recipes, read_recipe
from tastemaker.serving.recommender import Recommender
from tastemaker.serving.release import load_release
from tastemaker.serving.rerank.rule import Rule, Where
from tastemaker.serving.rerank.rule_log import RuleLog, rules_path
from tastemaker.serving.rerank.rule_watch import RuleWatch
from tastemaker.serving.served_log import ServedListLog
from tastemaker.settings import Settings
from tastemaker.stream.consume import Worker
from tastemaker.stream.worker import open_state

__all__ = ["ReplayShop", "recipes"]

_POLICIES: Final = {
    "spread": """
order: {ranker: 1}
rerank:
  diversity: {method: dpp, relevance: 0.7}
  max_per_category: 0.5
  margin_weight: 0.3
  stock_weight: 0.5
  new_items: {share: 0.1, younger_than_days: 60}
  exploration: {kind: epsilon_slots, places: [3, 6], epsilon: 0.5}
""",
    "drawn": """
order: {ranker: 1, trending: 0.5}
rerank:
  diversity: {method: mmr}
  exploration: {kind: plackett_luce, temperature: 0.5}
""",
}


def recipes() -> dict[str, Recipe]:
    """The built-in surfaces, and two whose policies use all that the rerank stage can do."""
    found = dict(load_recipes())
    for name, rest in _POLICIES.items():
        text = f"surface: {name}\nabout: Of a benchmark.\nsources: as_trained\n{rest}"
        found[name] = read_recipe(f"{name}.yaml", text)
    return found


class ReplayShop:
    """A recommender and a stream worker on one home.

    Args:
        settings: of a home with a lake and an online state.
        plan: of the declarations.
        release_dir: of the release that serves.
        seed: of requests and changes.
    """

    def __init__(self, settings: Settings, plan: FeaturePlan, release_dir: Path, seed: int) -> None:
        self.settings, self.release_dir = settings, release_dir
        self.lake = Lake(settings.lake_dir)
        self.rules = RuleLog(rules_path(settings.home))
        self.failing: set[str] = set()
        self._random = np.random.default_rng(seed)
        self._now = self._sent = 0
        self._broker = MemoryBroker({name: topic.partitions for name, topic in TOPICS.items()})
        self._producer = self._broker.producer()
        self._plan = plan
        self.work()
        release = load_release(release_dir)
        self.items = [item for item in release.retrieval.catalogue.items if item is not None]
        failing = self.failing

        class Index(VectorIndex):
            def retrieve(self, query: Query, n: int) -> Retrieved:
                if "index" in failing:
                    raise RuntimeError("the index is broken")
                return super().retrieve(query, n)

        def ranker(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            if "ranker" in failing:
                raise RuntimeError("the ranker is broken")
            return release.ranker(features)

        self.recipes = recipes()
        self.recommender = Recommender(
            release_dir,
            FeatureReader(settings.online_location, plan),
            settings.clock,
            recipes=self.recipes,
            ranker=ranker,
            make_index=Index,
            rules=RuleWatch(self.rules.path),
            now_ns=self._tick,
        )

    def _tick(self) -> int:
        self._now += 10_000
        return self._now

    def work(self) -> None:
        """The stream worker, from its start until it has read everything."""
        broker = self._broker
        with (
            closing(open_state(self.settings, self._plan, self.lake)) as state,
            closing(broker.consumer("workers")) as consumer,
        ):
            worker = Worker(consumer, broker.producer(), state, self.lake, self.settings.clock)
            worker.start()
            while worker.step(0):
                pass
            worker.close()

    def fail(self, *parts: str) -> None:
        """From now on these fail, and no others; what had failed is asked again."""
        self.failing.clear()
        self.failing.update(parts)
        self._now += 60_000_000_000

    def serve(self, requests: list[dict[str, Any]], *, shed: bool = False) -> dict[str, list[str]]:
        """Answer, and log as the recommender's process does.

        Returns:
            The items of each answer by request id.
        """
        log = ServedListLog(self._broker.producer)
        log.start()
        shown = {}
        for fields in requests:
            request = RecommendationRequest(**fields)
            answer = self.recommender.shed(request, "overload") if shed else self.recommender.answer(request)
            log.offer_later(answer[1])
            shown[answer[0].request_id] = [item.item_id for item in answer[0].items]
        log.stop(60)
        self.work()
        return shown

    def requests(self, n: int, users: list[str]) -> Iterator[dict[str, Any]]:
        """Requests of all surfaces, by customers, visits and nobody."""
        random, surfaces = self._random, list(self.recipes)
        for number in range(n):
            recipe = self.recipes[surfaces[number % len(surfaces)]]
            fields: dict[str, Any] = {"surface": recipe.surface, "k": int(random.integers(5, 31))}
            who = random.random()
            if who < 0.9:
                fields |= {"user": str(random.choice(users))} if who < 0.75 else {"session": f"visit-{number % 9}"}
            some = [self.items[at] for at in random.choice(len(self.items), size=60, replace=False)]
            if "items" in recipe.requires:
                fields["items"] = tuple(item.item_id for item in (some if recipe.only_given else some[:2]))
            if "category" in recipe.requires:
                fields["category"] = next("/".join(item.category[:1]) for item in self.items if item.category)
            if recipe.surface == "search":
                fields["query"] = "red heart"
            yield fields

    def change(self, users: list[str]) -> None:
        """Some items are renamed, get stock, margin and brand; new ones come; shoppers look, buy and dislike."""
        random, now = self._random, self.settings.clock.now()
        for at in random.choice(len(self.items), size=400, replace=False).tolist():
            item = self.items[at]
            attributes = {"stock": str(at % 20), "margin": str(at % 7 / 7)}
            self._send_item(
                msgspec.structs.replace(
                    item,
                    title=f"{item.title} {'NEW' if at % 3 else ''}".strip(),
                    brand=f"brand {at % 5}",
                    attributes=attributes,
                )
            )
        for number in range(20):
            self._send_item(msgspec.structs.replace(self.items[number], item_id=f"new-{number}", created_at=now))
        for number in range(600):
            event = Event(
                event_id=f"bench-{self._sent}-{number}",
                type=("view", "cart_add", "impression", "impression", "purchase", "dislike")[number % 6],  # type: ignore[arg-type]
                occurred_at=now - timedelta(minutes=float(random.integers(0, 30))),
                user_id=str(random.choice(users[:40])) if number % 4 else None,
                session_id=f"visit-{number % 9}",
                item_id=self.items[int(random.integers(len(self.items) if number % 6 != 2 else 50))].item_id,
                value=1.0,
            )
            self._producer.send(names.TOPIC_EVENTS, event.event_id.encode(), encode_event(event))
        self._sent += 1
        self.work()
        self.recommender.refresh()

    def _send_item(self, item: Item) -> None:
        self._producer.send(names.TOPIC_ITEMS, item.item_id.encode(), encode_item(item))

    def add_rules(self) -> None:
        """One rule of each kind."""
        some = self.items[0]
        near = ("/".join(some.category),) if some.category else ()
        rules = [
            Rule(id="up", owner="b", kind="boost", where=Where(categories=near, price_from=1.0), strength=2.0),
            Rule(id="down", owner="b", kind="bury", where=Where(brands=("brand 1",)), strength=3.0),
            Rule(id="out", owner="b", kind="exclude", where=Where(brands=("brand 2",))),
            Rule(id="third", owner="b", kind="pin", where=Where(item_ids=(some.item_id,)), position=3),
            Rule(id="few", owner="b", kind="cap", where=Where(price_from=5.0), limit=2),
        ]
        self.rules.add(rules, who="a benchmark", at=self.settings.clock.now(), why="to replay them")
        self.recommender.refresh()

    def switch_off(self, *rule_ids: str) -> None:
        """Disable rules."""
        self.rules.switch(
            list(rule_ids), enabled=False, who="a benchmark", at=self.settings.clock.now(), why="the same"
        )
        self.recommender.refresh()
