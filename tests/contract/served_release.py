"""A small shop with a real release, made by the training pipeline's own steps within seconds."""

import atexit
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa

from tastemaker import names
from tastemaker.clock import Clock
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.repository import apply
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.release.ranking_features import RankingLayout
from tastemaker.release.tower_parameters import ReleaseTowerParameters
from tastemaker.retrieval.parameters import RetrievalParameters
from tastemaker.settings import Settings
from tastemaker.training.pipeline import TrainingRun, fit_ranker, fit_retrieval_for_serving, write_release
from tastemaker.training.ranking_set import RankingSet

CUT = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 60
ITEMS = 24
SMALL = TrainingParameters(
    towers=ReleaseTowerParameters(
        encoder="weighted-mean", chosen={"dimension": 8, "epochs": 2, "batch": 64, "window": 11, "compiled": False}
    ),
    ranker=ReleaseRankerParameters(hidden=(8,), epochs=2, outcomes=("view", "purchase"), outcome_weights=(0.1, 1.0)),
    retrieval=RetrievalParameters(limit=32),
)


@cache
def small_release() -> tuple[Settings, Path]:
    """The release that the suites of one run share, in a temporary directory that goes with the run."""
    home = Path(tempfile.mkdtemp(prefix="tastemaker-small-release-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return train_small_release(home, Path(__file__).parents[2])


def copy_small_release(home: Path, repository: Path) -> tuple[Settings, Path]:
    """The shared release and its platform home once more, for a test that changes them.

    Returns:
        Settings of the copy, and its release's directory.
    """
    settings, release = small_release()
    shutil.copytree(settings.home, home)
    copied = settings.model_copy(update={"home": home, "repository": repository})
    return copied, home / release.relative_to(settings.home)


def train_small_release(home: Path, repository: Path) -> tuple[Settings, Path]:
    """A platform home with lake, plan, online store and a release.

    Returns:
        Its settings, whose clock begins at the cut, and the release's directory.
    """
    settings = Settings(home=home, repository=repository, clock_offset_us=Clock.starting_at(CUT).offset_us)
    lake = Lake(settings.lake_dir)
    lake.create()
    lake.append(names.TABLE_ITEMS, _items(), {"small-shop": 0})
    lake.append(names.TABLE_EVENTS, _purchases(), {"small-shop": 0})
    plan = apply(settings)
    state = FeatureState.open(settings.online_location, plan)
    state.bootstrap(lake)
    state.close()
    release = home / "trained" / "small-1"
    run = TrainingRun(settings, plan, CUT, release, seed=1, parameters=SMALL)
    retrieval = fit_retrieval_for_serving(run)
    write_release(run, retrieval, fit_ranker(run, _lists(plan)), {})
    return settings, release


def _lists(plan: FeaturePlan) -> RankingSet:
    """What the ranker learns from: lists whose features are random, which spares the point-in-time join."""
    random = np.random.default_rng(1)
    shape = (16, SMALL.retrieval.limit)
    features = random.random((*shape, len(RankingLayout.of(plan).names)), dtype=np.float32)
    labels = (random.random((*shape, len(SMALL.ranker.outcomes))) < 0.2).astype(np.float32)
    positions = random.integers(0, 10, shape).astype(np.int32)
    nothing = np.zeros((0, 0), dtype=np.float32)
    return RankingSet(features, labels, positions, trained=nothing, served=nothing, recall=1.0)


def _items() -> pa.Table:
    created = CUT - timedelta(days=DAYS)
    rows = [
        {
            names.ITEM_ID: f"i{number}",
            names.TITLE: f"{('TEA', 'MUG')[number % 2]} NUMBER {number}",
            names.CATEGORY: ["kitchen", ("tea", "mugs")[number % 2]],
            names.PRICE: 1.0 + number,
            names.BRAND: None,
            names.ATTRIBUTES: "{}",
            names.AVAILABLE: True,
            names.CREATED_AT: created,
            names.UPDATED_AT: created,
            names.DELETED: False,
            names.PARTITION: -1,
            names.OFFSET: -1,
        }
        for number in range(ITEMS)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_ITEMS])


def _purchases() -> pa.Table:
    """Forty users, each of whom buys either the even items or the odd ones, every few days."""
    random = Random(7)
    rows = []
    for user in range(40):
        liked = [number for number in range(ITEMS) if number % 2 == user % 2]
        for day in range(user % 4, DAYS, 4):
            at = CUT - timedelta(days=DAYS - day) + timedelta(hours=9, minutes=user)
            for place, number in enumerate(random.sample(liked, 3)):
                rows.append(
                    {
                        names.EVENT_ID: f"u{user}-{day}-{place}",
                        names.TYPE: "purchase",
                        names.USER_ID: f"u{user}",
                        names.ITEM_ID: f"i{number}",
                        names.OCCURRED_AT: at + timedelta(seconds=place),
                        names.VALUE: 1.0 + number,
                        names.CONTEXT: "{}",
                        names.SCHEMA_VERSION: 1,
                        names.EXTRA: "{}",
                        names.INGESTED_AT: at,
                        names.PARTITION: -1,
                        names.OFFSET: -1,
                    }
                )
    rows.sort(key=lambda row: (row[names.OCCURRED_AT], row[names.EVENT_ID]))
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_EVENTS])
