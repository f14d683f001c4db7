"""From lists to figures: every metric at every cut-off, for all users and for slices, with intervals, paired."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation import beyond_accuracy, metrics
from tastemaker.evaluation.benchmark.lists import Lists
from tastemaker.evaluation.benchmark.slices import slices
from tastemaker.evaluation.benchmark.task import Task
from tastemaker.evaluation.benchmark.traits import Traits, traits
from tastemaker.evaluation.intervals import LEVEL, Estimate, bootstrap_known_means, interval_of
from tastemaker.evaluation.similarity import diversity
from tastemaker.models.histories import Histories

__all__ = ["BEYOND", "WHOLE", "Figures", "judge"]

WHOLE = ("coverage", "gini")
"""Metrics of all lists together: no mean over users, hence no interval; low and high equal the value."""

BEYOND = ("novelty", "popularity", "popularity_percentile", "serendipity", "diversity", "calibration")
"""Metrics beyond accuracy that are means over users; calibration only where items have categories."""

Estimates = dict[str, Estimate]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Estimates by ``metric@k``.

    Attributes:
        metrics: over all test users.
        slices: by slice.
    """

    metrics: Estimates = field(default_factory=dict)
    slices: dict[str, Estimates] = field(default_factory=dict)


def judge(
    task: Task,
    lists: Mapping[str, Lists],
    cutoffs: tuple[int, ...],
    *,
    seed: int,
    level: float = LEVEL,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, Figures], dict[str, Figures], dict[str, int]]:
    """Judge the lists of several models on the same users.

    Args:
        task: whom the lists are for and what followed.
        lists: by model.
        cutoffs: at which to judge.
        seed: of the bootstrap, and of the users whose lists are compared item by item.
        level: of the intervals.
        progress: told what is being worked out.

    Returns:
        The figures of each model; those of the first model minus each other one, paired by user; users per slice.
    """
    known = traits(task, seed)
    models = {name: Figures() for name in lists}
    differences = {name: Figures() for name in list(lists)[1:]}
    values = {}
    for name, found in lists.items():
        progress(f"metrics of {name}")
        values[name] = _accuracy(found.shown, task.relevant, cutoffs) | _beyond(found.shown, task, known, cutoffs)
    progress(f"intervals over {task.relevant.n_users:,} users")
    _estimate(values, models, differences, seed=seed, level=level, part=None)
    for name, found in lists.items():
        for k in cutoffs:
            cut = found.shown[:, :k].astype(np.int64)
            whole = {
                "coverage": metrics.coverage(cut, task.train.n_items),
                "gini": metrics.gini(cut, task.train.n_items),
            }
            models[name].metrics.update({f"{key}@{k}": Estimate(value, value, value) for key, value in whole.items()})
    sizes = {}
    for part in slices(task.train, task.history, task.relevant):
        progress(f"slice {part.name}")
        users = np.flatnonzero(part.relevant.lengths > 0)
        relevant = part.relevant.take(users)
        sizes[part.name] = len(users)
        if len(part.relevant.items) == len(task.relevant.items) and (task.exclude_seen or not part.novel_lists):
            _repeat(part.name, models, differences)  # the slice is the whole
            continue
        chosen = {name: (found.novel if part.novel_lists else found.shown)[users] for name, found in lists.items()}
        values = {name: _accuracy(ranked, relevant, cutoffs) for name, ranked in chosen.items()}
        _estimate(values, models, differences, seed=seed, level=level, part=part.name)
    return models, differences, sizes


def _accuracy(ranked: npt.NDArray[np.int32], relevant: Histories, cutoffs: tuple[int, ...]) -> dict[str, Floats]:
    hit = metrics.hits_among(ranked.astype(np.int64), relevant.rows, relevant.items.astype(np.int64))
    found: dict[str, Floats] = {}
    for k in cutoffs:
        found |= {f"{name}@{k}": value for name, value in metrics.of_hits(hit[:, :k], relevant.lengths).items()}
    return found


def _beyond(ranked: npt.NDArray[np.int32], task: Task, known: Traits, cutoffs: tuple[int, ...]) -> dict[str, Floats]:
    lists = ranked.astype(np.int64)
    hit = metrics.hits_among(lists, task.relevant.rows, task.relevant.items.astype(np.int64))
    n_train = int((task.train.lengths > 0).sum())
    percentile = beyond_accuracy.percentiles(known.popularity)
    varied = diversity(lists[known.paired], known.similarity, cutoffs)
    found: dict[str, Floats] = {}
    for k in cutoffs:
        cut = lists[:, :k]
        pairs = np.full(len(lists), np.nan)
        pairs[known.paired] = varied[k]
        found |= {
            f"novelty@{k}": beyond_accuracy.novelty(cut, known.popularity, n_train),
            f"popularity@{k}": beyond_accuracy.list_mean(cut, known.popularity.astype(np.float64)),
            f"popularity_percentile@{k}": beyond_accuracy.list_mean(cut, percentile),
            f"serendipity@{k}": beyond_accuracy.serendipity(cut, hit[:, :k], known.popularity),
            f"diversity@{k}": pairs,
        }
        if known.categories is not None:
            found[f"calibration@{k}"] = beyond_accuracy.calibration(cut, known.taken, known.categories)
    return {name: value for name, value in found.items() if not np.isnan(value).all()}


def _repeat(part: str, models: Mapping[str, Figures], differences: Mapping[str, Figures]) -> None:
    """Give a slice that holds everything the figures of all users."""
    for figures in (*models.values(), *differences.values()):
        figures.slices[part] = {
            name: found for name, found in figures.metrics.items() if name.split("@")[0] in metrics.RANKING_METRICS
        }


def _estimate(
    values: Mapping[str, Mapping[str, Floats]],
    models: Mapping[str, Figures],
    differences: Mapping[str, Figures],
    *,
    seed: int,
    level: float,
    part: str | None,
) -> None:
    """Add the estimates of one slice (None: of all users) to the figures; all models see the same resamples."""
    columns = [(name, metric) for name, found in values.items() for metric in found]
    stacked = np.column_stack([values[name][metric] for name, metric in columns])
    means = bootstrap_known_means(stacked, seed=seed)
    centre = dict(zip(columns, np.nanmean(stacked, axis=0).tolist(), strict=True))
    drawn = dict(zip(columns, means.T, strict=True))
    first = next(iter(values))
    for name, metric in columns:
        target = models[name].metrics if part is None else models[name].slices.setdefault(part, {})
        target[metric] = interval_of(centre[name, metric], drawn[name, metric], level=level)
        if name != first and (first, metric) in drawn:
            gap = centre[first, metric] - centre[name, metric]
            other = differences[name].metrics if part is None else differences[name].slices.setdefault(part, {})
            other[metric] = interval_of(gap, drawn[first, metric] - drawn[name, metric], level=level)
