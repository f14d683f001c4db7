"""One model in a process of its own: fit, rank, measure. ``python -m tastemaker.evaluation.benchmark.child``.

Arguments: the directory of the task, the name of the model, where to write the results (without suffix), the settings
as JSON. What happens is told on standard output, one JSON object per line; whatever else prints goes to standard error.
"""

import json
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tastemaker.errors import TastemakerError
from tastemaker.evaluation.benchmark.lists import make_lists
from tastemaker.evaluation.benchmark.storage import load_task
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext, Model
from tastemaker.models.registry import create, load_class

__all__ = ["FAILED", "Settings", "main", "run", "trials_path"]

FAILED = 3  # exit status of a model that failed and said why


@dataclass(frozen=True)
class Settings:
    """How to run a model.

    Attributes:
        seed: of all that is random.
        cutoffs: list lengths that are judged.
        budget_s: seconds that fitting and ranking may take together; None: no limit.
        hyperparameters: by model, those that differ from its defaults.
        tune: search for the others on a validation part of train, within the budget.
    """

    seed: int
    cutoffs: tuple[int, ...]
    budget_s: float | None
    hyperparameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tune: bool = False


def run(directory: Path, name: str, out: Path, settings: Settings, tell: Callable[[str], None]) -> None:
    """Fit a model, rank for all test users, write ``<out>.npz`` (the lists) and last ``<out>.json`` (the measurements).

    Args:
        directory: of the task.
        name: of the model.
        out: path without suffix.
        settings: see there.
        tell: told what happens.

    Raises:
        DataError: the model cannot be fitted to this data, or its scores are no order.
    """
    task = load_task(directory)
    begun = time.monotonic()
    deadline = (
        None if settings.budget_s is None else begun + settings.budget_s - _scoring_margin(settings, task.history)
    )
    context = FitContext(
        seed=settings.seed,
        items=task.items,
        protocol=task.protocol,
        horizon=task.horizon,
        relevant_per_user=task.relevant_per_user,
        exclude_seen=task.exclude_seen,
        cutoffs=settings.cutoffs,
        trials=trials_path(out),
        deadline=deadline,
        progress=tell,
    )
    tell("fitting")
    model, report = _fit(name, task.train, context, settings)
    fitted = time.monotonic()
    users = task.history.n_users
    lists = make_lists(
        model,
        task.history,
        max(settings.cutoffs),
        exclude_seen=task.exclude_seen,
        progress=lambda done: tell(f"ranking: {done:,} of {users:,} users"),
    )
    ranked = time.monotonic()
    arrays: dict[str, Any] = {"shown": lists.shown} | ({} if task.exclude_seen else {"novel": lists.novel})
    np.savez(out.with_name(out.name + ".npz"), **arrays)
    measured = {
        "training_minutes": (fitted - begun) / 60,
        "scoring_seconds": ranked - fitted,
        "peak_memory_mib": peak_memory_mib(),
        "seed": settings.seed,
        "report": _jsonable(report),
    }
    partial = out.with_name(out.name + ".json.partial")
    partial.write_text(json.dumps(measured))
    partial.replace(out.with_name(out.name + ".json"))
    trials_path(out).unlink(missing_ok=True)


def trials_path(out: Path) -> Path:
    """What a run that does not end leaves for the next one: the trials of its search."""
    return out.with_name(out.name + ".trials")


def _fit(name: str, train: Histories, context: FitContext, settings: Settings) -> tuple[Model, Mapping[str, Any]]:
    """The fitted model, and what it reports."""
    chosen = settings.hyperparameters.get(name, {})
    if settings.tune and load_class(name).space(train):
        from tastemaker.models.tuning import fit_tuned

        return fit_tuned(name, train, context, chosen)
    model = create(name, **chosen).fit(train, context)
    return model, getattr(model, "report", {})


def peak_memory_mib() -> float:
    """The most memory that this program held, in MiB.

    On Linux from the kernel's account of the address space: ``getrusage`` of a process that was started by a larger
    one also counts what that one held before the start.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / unit


def _scoring_margin(settings: Settings, history: Histories) -> float:
    """Seconds of the budget that are kept for ranking: what a plain model needs, at most a fifth."""
    assert settings.budget_s is not None
    return min(0.2 * settings.budget_s, 5.0 + 1.5e-8 * history.n_users * history.n_items)


def _jsonable(value: Any) -> Any:
    """What JSON can hold of a model's own report: arrays become lists, other things their text, NaN nothing."""
    if isinstance(value, dict):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _end_with_parent() -> None:
    """Wait until standard input closes, which the parent holds open: nobody is left who wants the results."""
    os.read(0, 1)
    os._exit(130)


def main(arguments: list[str]) -> int:
    """Run with the command line's arguments; returns the exit status."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Libraries print what they like: only lines of this module reach the parent.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**fields: str) -> None:
        channel.write(json.dumps(fields) + "\n")

    directory, name, out, given = arguments
    settings = msgspec.json.decode(given, type=Settings)
    try:
        run(Path(directory), name, Path(out), settings, lambda message: say(progress=message))
    except KeyboardInterrupt:
        return 130
    except TastemakerError as error:
        say(error=str(error))
        return FAILED
    except MemoryError as error:
        say(error=f"out of memory: {error}")
        return FAILED
    except Exception as error:  # a model may raise anything; the others go on
        traceback.print_exc()
        say(error=f"{type(error).__name__}: {error}")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
