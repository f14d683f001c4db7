"""New features are declared while lists are served: built from history, through a kill, equal to the batch answer."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tastemaker import names
from tastemaker.broker.node import answers
from tastemaker.broker.topics import ensure_topics
from tastemaker.clock import from_us
from tastemaker.features.audit.recompute import values_as_of
from tastemaker.features.audit.verify import verify
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.lake.tables import Lake
from tastemaker.release.files import PLAN
from tastemaker.settings import Settings
from tastemaker.stack.rebuild import read_build
from tests.contract.served_release import copy_small_release
from tests.e2e.own_ports import own_ports
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

REPOSITORY = Path(__file__).parents[2]
# View, the file that declares it, a feature of it, and what stands beside that from now on.
NEW = (
    (names.VIEW_ITEM_ACTIVITY, "item_views.py", "item_purchases_1d", "item_purchases_3d"),
    (names.VIEW_USER_ITEM_ACTIVITY, "item_views.py", "user_item_purchases", "user_item_purchases_3d"),
    (names.VIEW_USER_ACTIVITY, "user_views.py", "user_purchases_7d", "user_purchases_3d"),
)
SERVE = """
import sys, uvicorn
from pathlib import Path
from tastemaker.serving.app import create_app, open_recommender
from tastemaker.settings import Settings
settings = Settings.from_env()
app = create_app(lambda settings: open_recommender(settings, Path(sys.argv[1])))
uvicorn.run(app, host=settings.host, port=settings.recommender_port, log_level="warning")
"""


class Platform:
    """Processes of a platform over a trained release, each started and killed by hand."""

    def __init__(self, settings: Settings, release: Path, logs: Path) -> None:
        self.settings = settings
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands = {
            "kafka": ["-m", "tastemaker.broker.node"],
            "worker": ["-m", "tastemaker.stream.worker"],
            "collector": ["-m", "tastemaker.stream.collector"],
            "recommender": ["-c", SERVE, str(release)],
        }

    @property
    def environ(self) -> dict[str, str]:
        return os.environ | self.settings.to_env()

    def start(self, *parts: str) -> None:
        for part in parts:
            # Kafka's own files are under the repository, not under the copy whose declarations are edited.
            env = self.environ | ({"TASTEMAKER_REPOSITORY": str(REPOSITORY)} if part == "kafka" else {})
            with (self._logs / f"{part}.log").open("ab") as log:
                self._running[part] = subprocess.Popen(
                    [sys.executable, *self._commands[part]], env=env, stdout=log, stderr=log
                )
        for part in parts:
            wait_for(f"{part} (see {self._logs})", lambda part=part: self._ready(part))

    def _ready(self, part: str) -> bool:
        assert self._running[part].poll() is None, (self._logs / f"{part}.log").read_text()[-2_000:]
        if part == "kafka":
            return answers(self.settings.host, self.settings.kafka_port)
        if part == "worker":
            ready = self.settings.run_dir / "worker.ready"
            return ready.exists() and ready.read_text() == str(self._running[part].pid)
        url, path = {
            "collector": (self.settings.collector_url, "/health/ready"),
            "recommender": (self.settings.recommender_url, "/v2/health/ready"),
        }[part]
        try:
            return httpx.get(url + path, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, part: str) -> None:
        process = self._running.pop(part)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of ``tastemaker``."""
        return subprocess.run(
            [sys.executable, "-m", "tastemaker.cli", *words],
            env=self.environ | {"COLUMNS": "150"},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def list_of(self, user: str, k: int = 10, surface: str = "home") -> dict[str, Any]:
        asked = {"surface": surface, "user": user, "k": k, "explain": True}
        answer = httpx.post(f"{self.settings.recommender_url}/v1/recommend", json=asked, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def buy(self, event_id: str, user: str, item: str) -> None:
        event = {"event_id": event_id, "type": "purchase", "user_id": user, "item_id": item, "value": 2.5}
        answer = httpx.post(f"{self.settings.collector_url}/v1/events", json=event, timeout=30)
        assert answer.status_code == 202, answer.text

    def close(self) -> None:
        for process in self._running.values():
            process.terminate()  # the broker's process ends the broker
        for process in self._running.values():
            process.wait(30)


class Shoppers(threading.Thread):
    """Ask for lists and buy, some times a second, until told to stop; what fails is kept."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(name="shoppers", daemon=True)
        self._platform = platform
        self.lists = 0
        self.bought = 0
        self.problems: list[BaseException] = []
        self.enough = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.enough.wait(0.15):  # lists are quick: without a pause the worker falls behind by thousands
            number += 1
            try:
                assert self._platform.list_of(f"u{number % 40}")["items"]
                self.lists += 1
                self._platform.buy(f"live-{number}", f"u{number % 40}", f"i{number % 24}")
                self.bought += 1
            except (AssertionError, httpx.HTTPError) as problem:
                self.problems.append(problem)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    repository = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "feature_repo", repository / "feature_repo")
    trained, release = copy_small_release(tmp_path / "home", repository)
    settings = own_ports(trained.model_copy(update={"repository": repository, "kafka_bootstrap_servers": ""}))
    made = Platform(settings, release, tmp_path)
    yield made
    made.close()


def _declare_new_features(repository: Path) -> None:
    for _, file, beside, name in NEW:
        path = repository / "feature_repo" / file
        text = path.read_text()
        aggregation = re.search(rf'^ *Aggregation\([^\n]*name="{beside}"\),\n', text, re.MULTILINE)
        assert aggregation is not None
        new = f'        Aggregation("event_id", "count", timedelta(days=3), timedelta(hours=1), name="{name}"),\n'
        text = text.replace(aggregation[0], new + aggregation[0])
        field = f'        Field(name="{beside}"'
        assert field in text
        text = text.replace(field, f'        Field(name="{name}", dtype=Int64, description="In 3 days."),\n{field}')
        path.write_text(text)


def _assert_equal_to_batch(platform: Platform, view: ViewPlan, at_us: int) -> dict[str, list[Any]]:
    """Every value of a view, of all shoppers and items; returns those by feature."""
    users, items = [f"u{n}" for n in range(40)], [f"i{n}" for n in range(24)]
    ids = {
        ("user",): [(user,) for user in users],
        ("item",): [(item,) for item in items],
        ("user", "item"): [(user, item) for user in users for item in items],
    }[view.entities]
    reader = FeatureReader(platform.settings.online_location, FeaturePlan.load(platform.settings.plan_path))
    online = reader.rows(view.name, [key if len(key) > 1 else key[0] for key in ids], at_us)
    reader.close()
    with Lake(platform.settings.lake_dir).connect() as duck:
        batch = values_as_of(duck, view, [(join_key(list(key)), at_us) for key in ids])
    for key, one, other in zip(ids, online, batch, strict=True):
        for feature in view.feature_names:
            same = one[feature] == other[feature] or (one[feature] != one[feature] and other[feature] != other[feature])
            assert same, (view.name, feature, key, one[feature], other[feature])
    return {feature: [row[feature] for row in online] for feature in view.feature_names}


def test_new_features_are_built_through_a_kill_while_lists_are_served(platform: Platform) -> None:
    settings = platform.settings
    platform.start("kafka")
    ensure_topics(settings)
    platform.start("worker", "collector", "recommender")
    shoppers = Shoppers(platform)
    shoppers.start()
    wait_for("first lists", lambda: shoppers.lists > 20)

    _declare_new_features(settings.repository)
    stale = platform.run("features", "status")
    assert "edited since: item_views.py, user_views.py" in stale.stdout
    before = shoppers.lists
    applied = platform.run("features", "apply")
    assert applied.returncode == 0, applied.stderr
    assert shoppers.lists > before  # Feast takes seconds

    views = {view for view, *_ in NEW}
    wait_for("one view to be built, and not all", lambda: 0 < len(read_build(settings).views) < len(views), 200.0, 0.0)
    platform.kill("worker")
    left = set(read_build(settings).views)
    assert left
    assert left < views  # what was built is kept, and the rest waits
    before = shoppers.lists
    wait_for("lists without a worker", lambda: shoppers.lists > before + 10)
    building = platform.run("features", "status")
    assert len(re.findall(r"building", building.stdout)) == len(left), building.stdout

    platform.start("worker")
    rebuilt = platform.run("features", "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert read_build(settings).done

    # The release reads the new rows from now on: what is bought shows in its features.
    # Asked of the shelf of what was bought before: from the others, what was bought just now disappears.
    item = platform.list_of("u1", k=24, surface="buy_again")["items"][0]["item_id"]

    def bought() -> float:
        items = platform.list_of("u1", k=24, surface="buy_again")["items"]
        (own,) = [each for each in items if each["item_id"] == item]
        return float(own["details"]["user_item_purchases"])

    count = bought()
    platform.buy("proof", "u1", item)
    wait_for("the purchase to be in a served feature", lambda: bought() >= count + 1)
    live_from = settings.clock.now()
    before = shoppers.lists
    wait_for("lists over the new rows", lambda: shoppers.lists > before + 20)
    shoppers.enough.set()
    shoppers.join(60)
    assert shoppers.problems == []

    def in_lake(table: str) -> int:
        with Lake(settings.lake_dir).connect() as duck:
            ((rows,),) = duck.execute(f"SELECT count(*) FROM {table} WHERE {names.OFFSET} >= 0").fetchall()
        return int(rows)

    wait_for("the lake to have all purchases", lambda: in_lake(names.TABLE_EVENTS) == shoppers.bought + 1)
    wait_for("the lake to have all lists", lambda: in_lake(names.TABLE_SERVED_LISTS) >= shoppers.lists)
    plan = FeaturePlan.load(settings.plan_path)
    at_us = settings.clock.now_us()
    for name, _, _, feature in NEW:
        values = _assert_equal_to_batch(platform, plan.view(name), at_us)
        assert np.sum(values[feature]) > 0

    trained = FeaturePlan.load(settings.home / "trained" / "small-1" / PLAN)
    checked = verify(Lake(settings.lake_dir), lambda _: trained, live_from, from_us(at_us), sample=100)
    assert checked.compared > 0
    assert checked.mismatched == 0, checked.examples
    assert "All" in platform.run("features", "rebuild").stdout  # nothing is left to do
