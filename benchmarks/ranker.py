"""The ranker: 500 candidates × 40 features on one core, in numpy and in TensorFlow; training speed and memory.

Both parts run in processes of their own. The first is pinned to one core, TensorFlow and BLAS with one thread each;
the ranker as serving runs it, in numpy, and its SavedModel take turns on the same candidates. The second trains on
lists whose features take 240 MB, and says how much memory training takes besides them.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.goal import Goal
from tastemaker.errors import DataError

__all__ = ["run"]

_CANDIDATES: Final = 500
_FEATURES: Final = 40
_ROUNDS: Final = 3_000
_LISTS: Final = 5_000
_LIST: Final = 300
_SEED: Final = 7
_NAMES: Final = tuple(f"f{at}" for at in range(_FEATURES))


def run() -> list[Goal]:
    """500 candidates × 40 features scored on one core: p50 at most 1 ms; training without a copy of the features."""
    console = Console()
    one, other = _child("score"), _child("train")
    console.print(
        f"as served p50 {one['served_p50']:.3f} ms, p99 {one['served_p99']:.3f} ms; its SavedModel in TensorFlow"
        f" p50 {one['tensorflow_p50']:.3f} ms, p99 {one['tensorflow_p99']:.3f} ms; ratio of the p50"
        f" {one['served_p50'] / one['tensorflow_p50']:.2f}; 100,000 candidates in one call {one['many_s']:.2f} s",
        highlight=False,
    )
    console.print(
        f"training: {other['candidates_per_s']:,.0f} candidates/s on {os.cpu_count()} cores, {other['more_mb']:.0f} MB"
        f" besides the {other['features_mb']:.0f} MB of features; the machine's load was {os.getloadavg()[0]:.1f}",
        highlight=False,
    )
    return [
        Goal("500 candidates × 40 features on one core, p50", one["served_p50"], "<=", 1, " ms"),
        Goal("memory of training besides the features", other["more_mb"], "<=", other["features_mb"], " MB"),
    ]


def _child(part: str) -> dict[str, float]:
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if part == "score" else {}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ranker", part],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **single},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = msgspec.json.decode(done.stdout.splitlines()[-1])
    return found


def _features(random: np.random.Generator, lists: int, candidates: int) -> npt.NDArray[np.float32]:
    """Skewed, as counts and prices are; one value in fifty is missing."""
    features = random.lognormal(size=(lists, candidates, _FEATURES)).astype(np.float32)
    features[random.random(features.shape) < 0.02] = np.nan
    return features


def _score() -> dict[str, float]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from tastemaker.keras import tensorflow

    tensorflow(threads=1).zeros(1)  # an operation makes the pools, which then stay as they are

    from tastemaker.models.ranker.export import export_ranker
    from tastemaker.models.ranker.lists import RankingLists
    from tastemaker.models.ranker.parameters import RankerParameters
    from tastemaker.models.ranker.train import train_ranker
    from tastemaker.serving.ranking import Ranker

    random = np.random.default_rng(_SEED)
    features = _features(random, 64, 100)
    labels = (random.random((64, 100, 1)) < 0.05).astype(np.float32)
    ranker = train_ranker(RankingLists(features, labels, _NAMES), RankerParameters(epochs=2), seed=_SEED)
    asked = _features(random, 20, _CANDIDATES)
    with tempfile.TemporaryDirectory() as scratch:
        export_ranker(ranker, _CANDIDATES, Path(scratch) / "ranker")
        served = Ranker(Path(scratch) / "ranker")
        exported = tensorflow().saved_model.load(str(Path(scratch) / "ranker"))
        gap = max(float(np.abs(served(one) - exported.score(one).numpy()).max()) for one in asked)
        if gap > 1e-5:
            raise DataError(f"the scores as served are {gap:.2g} away from the SavedModel's")
        taken: dict[str, list[float]] = {"served": [], "tensorflow": []}
        for number in range(_ROUNDS):
            one = asked[number % len(asked)]
            for name, function in (("served", served), ("tensorflow", lambda block: exported.score(block).numpy())):
                begun = time.perf_counter_ns()
                function(one)
                taken[name].append((time.perf_counter_ns() - begun) / 1e6)
    many = np.tile(asked[0], (200, 1))
    ranker.score(many)
    begun = time.perf_counter()
    ranker.score(many)
    found = {"many_s": time.perf_counter() - begun}
    for name, times in taken.items():
        found[f"{name}_p50"], found[f"{name}_p99"] = map(float, np.percentile(times, [50, 99]))
    return found


def _train() -> dict[str, float]:
    from tastemaker.models.ranker.lists import RankingLists
    from tastemaker.models.ranker.parameters import RankerParameters
    from tastemaker.models.ranker.train import train_ranker

    random = np.random.default_rng(_SEED)
    block = _features(random, 100, _LIST)
    features = np.empty((_LISTS, _LIST, _FEATURES), dtype=np.float32)
    for start in range(0, _LISTS, len(block)):
        features[start : start + len(block)] = block
    labels = (random.random((_LISTS, _LIST, 1)) < 0.02).astype(np.float32)
    parameters = RankerParameters(epochs=1)
    train_ranker(RankingLists(features[:64], labels[:64], _NAMES), parameters, seed=_SEED)  # loads what is needed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    train_ranker(RankingLists(features, labels, _NAMES), parameters, seed=_SEED)
    seconds = time.perf_counter() - begun
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "candidates_per_s": _LISTS * _LIST / seconds,
        "more_mb": more / 1024,
        "features_mb": features.nbytes / 2**20,
    }


if __name__ == "__main__":
    print(msgspec.json.encode(_score() if sys.argv[1] == "score" else _train()).decode())
