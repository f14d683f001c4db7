"""1,000 logged requests of a release of Online Retail, made again from the lake: every list must be the same.

Lists of all surfaces and tiers, under rules and policies that change between them, with items that change after the
release was trained. They go through the recommender's log, a broker in this process and the stream worker into the
lake, where each is found by its request, as ``tastemaker why`` finds it.
"""

import dataclasses
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.goal import Goal
from benchmarks.ndcg import CUT
from benchmarks.replay_shop import ReplayShop
from tastemaker import names
from tastemaker.cli.data import load_source
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.release.tower_parameters import ReleaseTowerParameters
from tastemaker.serving.contract import ServedList
from tastemaker.serving.replay.compare import Replayed, replay
from tastemaker.serving.replay.model import load_replay_model
from tastemaker.settings import Settings
from tastemaker.stack.workspace import import_history, prepare
from tastemaker.training.pipeline import train_release

__all__ = ["run"]

_SEED: Final = 20_111_209
_LISTS: Final = 1_000
# A release is trained in a minute or two: what is judged is not how good its lists are.
_PARAMETERS: Final = TrainingParameters(
    towers=ReleaseTowerParameters(
        chosen={"dimension": 64, "window": 64, "basket": 8, "temperature": 0.1, "learning_rate": 0.006, "epochs": 1}
    ),
    ranker=ReleaseRankerParameters(epochs=3, cuts_days=(28,), max_lists=1_000),
)


def run() -> list[Goal]:
    """1,000 logged requests replayed: 100 % identical, to the last bit; with another ranker they are not."""
    console, repository = Console(), Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), repository=repository)
        dataset = load_source("online-retail", None, repository)
        import_history(settings, dataset)
        settings = settings.with_clock_at(CUT)
        plan = prepare(settings)
        release = Path(home) / "replay-release"
        train_release(settings, plan, CUT, release, seed=1, parameters=_PARAMETERS, progress=console.print)
        shop = ReplayShop(settings, plan, release, _SEED)
        users = dataset.events[names.USER_ID].drop_null().unique().to_pylist()[:800]
        shown = _serve(shop, users)
        return _judged(shop, shown, console)


def _serve(shop: ReplayShop, users: list[str]) -> dict[str, list[str]]:
    """Lists while the shop changes and parts of it break."""
    shown = shop.serve(list(shop.requests(150, users)))
    shop.change(users)
    shown |= shop.serve(list(shop.requests(200, users)))
    shop.add_rules()
    shown |= shop.serve(list(shop.requests(250, users)))
    shop.change(users)
    shop.switch_off("out", "third")
    shown |= shop.serve(list(shop.requests(150, users)))
    for part in ("ranker", "index"):
        shop.fail(part)
        shown |= shop.serve(list(shop.requests(75, users)))
    shop.fail()
    return shown | shop.serve(list(shop.requests(_LISTS - len(shown), users)), shed=True)


def _judged(shop: ReplayShop, shown: dict[str, list[str]], console: Console) -> list[Goal]:
    with shop.lake.connect() as duck:
        rows = duck.execute(f"SELECT served_list FROM {names.TABLE_SERVED_LISTS}").fetchall()
    lists = [msgspec.json.decode(raw, type=ServedList) for (raw,) in rows]
    wrongly_logged = sum(list(served.items) != shown.get(served.request_id) for served in lists)
    model = load_replay_model(shop.release_dir, shop.release_dir.name)
    began = time.perf_counter()
    found = [replay(served, model, shop.rules.at) for served in lists]
    seconds = time.perf_counter() - began
    noise = np.random.default_rng(_SEED)

    def other(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return model.ranker(features) + noise.normal(0.0, 0.5, len(features)).astype(np.float32)

    ranked = [served for served in lists if served.feature_names and len(served.candidates) > 1]
    changed = dataclasses.replace(model, ranker=other)
    unnoticed = sum(replay(served, changed, shop.rules.at).identical for served in ranked)
    _tell(lists, found, seconds, console)
    return [
        Goal("lists in the lake that were served", len({served.request_id for served in lists}), ">", _LISTS - 1),
        Goal("lists whose log is not the answer", wrongly_logged, "<=", 0),
        Goal("lists that are not identical when made again", sum(not one.identical for one in found), "<=", 0),
        Goal("lists with a score that is not equal to the last bit", sum(not one.exact for one in found), "<=", 0),
        Goal("of ranked lists, those where another ranker goes unnoticed", unnoticed, "<=", 0),
    ]


def _tell(lists: list[ServedList], found: list[Replayed], seconds: float, console: Console) -> None:
    tiers = Counter(served.tier for served in lists)
    rules = Counter(effect.rule for served in lists for effect in served.effects)
    traces = [msgspec.json.encode(served.trace) for served in lists]
    texts = [msgspec.json.encode(served) for served in lists]
    console.print(
        f"tiers: {dict(tiers)}; surfaces: {len({served.request.surface for served in lists})}", highlight=False
    )
    console.print(f"versions of rules: {len({served.rules_version for served in lists})}; effects: {dict(rules)}")
    console.print(
        f"candidates: {np.mean([len(served.candidates) for served in lists]):.0f} a list; text"
        f" {np.mean([len(one) for one in texts]) / 1e3:.1f} kB, of which the trace is"
        f" {np.mean([len(one) for one in traces]) / 1e3:.1f} kB; {seconds / len(lists) * 1e3:.1f} ms a replay",
        highlight=False,
    )
    for served, one in zip(lists, found, strict=True):
        if not one.identical:
            console.print(f"{served.request_id} {served.tier} {served.request.surface}: {one}"[:500], highlight=False)
