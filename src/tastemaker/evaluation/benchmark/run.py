"""The whole benchmark: read, run each model or take up what an earlier run finished, judge."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import tastemaker
from tastemaker import models as models_package
from tastemaker.errors import DataError
from tastemaker.evaluation.benchmark.child import Settings, trials_path
from tastemaker.evaluation.benchmark.isolation import Failure, Outcome, finished, run_model
from tastemaker.evaluation.benchmark.judge import Figures, judge
from tastemaker.evaluation.benchmark.report import BenchmarkReport, Comparison, ModelFailure, ModelResult
from tastemaker.evaluation.benchmark.storage import save_task
from tastemaker.evaluation.benchmark.task import Task
from tastemaker.evaluation.intervals import LEVEL, RESAMPLES
from tastemaker.models.registry import MODELS, create

__all__ = ["Inputs", "check", "evaluate_models", "parts_directory"]

_LONGEST = 1_000  # of a list
_CHUNK = 1 << 22
_KEY = 16  # hexadecimal digits


@dataclass(frozen=True)
class Inputs:
    """The files.

    Attributes:
        train: interactions to learn from.
        test: interactions to be judged by.
        history: what is known of the test users; None: their rows in train.
        items: descriptions of items.
    """

    train: Path
    test: Path
    history: Path | None = None
    items: Path | None = None

    def named(self) -> dict[str, Path]:
        """Those that were given, by role."""
        return {role: path for role, path in asdict(self).items() if path is not None}


def check(models: Sequence[str], settings: Settings, out: Path) -> None:
    """Look for what would only be noticed after long work.

    Raises:
        DataError: an unknown model or hyperparameter, a model named twice, a cut-off out of range, no time, or nowhere
            to write to.
    """
    unknown = [name for name in models if name not in MODELS]
    if unknown:
        raise DataError(f"--models: no model is called {', '.join(unknown)}; there are {', '.join(MODELS)}")
    if not models or len(set(models)) < len(models):
        raise DataError("--models: name each model once, such as --models tastemaker,popularity")
    strange = set(settings.hyperparameters) - set(models)
    if strange:
        raise DataError(f"--set: {', '.join(sorted(strange))} is not among --models")
    for name, chosen in settings.hyperparameters.items():
        create(name, **chosen)
    if not settings.cutoffs or min(settings.cutoffs) < 1 or max(settings.cutoffs) > _LONGEST:
        raise DataError(f"--k: list lengths lie between 1 and {_LONGEST}, such as --k 10,20")
    if settings.budget_s is not None and not 0 < settings.budget_s < float("inf"):
        raise DataError("--budget-minutes: above 0; leave it out for no limit")
    if out.is_dir():
        raise DataError(f"{out} is a directory; give the name of a file in it")
    try:
        parts_directory(out).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=parts_directory(out)):
            pass
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another place") from error


def parts_directory(out: Path) -> Path:
    """Where finished models are kept beside the report."""
    return out.with_name(out.name + ".parts")


def evaluate_models(
    task: Task,
    inputs: Inputs,
    names: Sequence[str],
    settings: Settings,
    out: Path,
    *,
    created_at: str,
    fresh: bool = False,
    started: Callable[[str], None] = lambda name: None,
    progress: Callable[[str], None] = lambda text: None,
    ended: Callable[[str, Outcome | Failure, bool], None] = lambda name, outcome, kept: None,
) -> BenchmarkReport:
    """Run the models one after the other, each in its own process, and judge them together.

    Args:
        task: built of the inputs.
        inputs: the files; their contents are part of what finished models are kept by.
        names: of the models.
        settings: for all models alike.
        out: where the report will be; finished models are kept beside it.
        created_at: ISO 8601, UTC, for the report.
        fresh: run models that an earlier run finished again.
        started: told of each model that is run.
        progress: told what happens in it.
        ended: told of each model, how it ended and whether an earlier run did the work.

    Returns:
        The report; models that failed are in ``failed``.
    """
    kept = parts_directory(out)
    kept.mkdir(parents=True, exist_ok=True)
    state = _state(inputs, task, settings)
    outcomes: dict[str, Outcome | Failure] = {}
    with tempfile.TemporaryDirectory(dir=kept, prefix="task-") as directory:
        saved = False
        for name in names:
            path = kept / f"{name}-{hashlib.sha256(f'{state} {name}'.encode()).hexdigest()[:_KEY]}"
            if fresh:
                _forget(kept, name, but=None)
            found: Outcome | Failure | None = finished(path)
            was_kept = found is not None
            if found is None:
                if not saved:
                    save_task(task, Path(directory))
                    saved = True
                _forget(kept, name, but=path)
                started(name)
                found = run_model(Path(directory), name, path, settings, partial(_of_model, progress, name))
            outcomes[name] = found
            ended(name, found, was_kept)
    return _report(task, inputs, settings, outcomes, created_at=created_at, progress=progress)


def _of_model(progress: Callable[[str], None], name: str, text: str) -> None:
    progress(f"{name}: {text}")


def _forget(kept: Path, name: str, but: Path | None) -> None:
    """Remove what earlier runs left of a model, except what one with the same inputs was trying."""
    for suffix in (".json", ".npz", ".log", ".trials"):
        for path in kept.glob(f"{name}-{'[0-9a-f]' * _KEY}{suffix}"):
            if but is None or path != trials_path(but):
                path.unlink(missing_ok=True)


def _report(
    task: Task,
    inputs: Inputs,
    settings: Settings,
    outcomes: dict[str, Outcome | Failure],
    *,
    created_at: str,
    progress: Callable[[str], None],
) -> BenchmarkReport:
    done = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Outcome)}
    failed = {
        name: ModelFailure(outcome.error, str(outcome.log))
        for name, outcome in outcomes.items()
        if isinstance(outcome, Failure)
    }
    figures: dict[str, Figures] = {}
    differences: dict[str, Figures] = {}
    sizes: dict[str, int] = {}
    if done:
        lists = {name: outcome.lists for name, outcome in done.items()}
        figures, differences, sizes = judge(task, lists, settings.cutoffs, seed=settings.seed, progress=progress)
    return BenchmarkReport(
        version=tastemaker.__version__,
        created_at=created_at,
        inputs={role: str(path) for role, path in inputs.named().items()},
        cutoffs=settings.cutoffs,
        seed=settings.seed,
        level=LEVEL,
        resamples=RESAMPLES,
        budget_minutes=None if settings.budget_s is None else settings.budget_s / 60,
        data={**task.facts, "slices": sizes},
        models={
            name: ModelResult(metrics=figures[name].metrics, slices=figures[name].slices, **outcome.measured)
            for name, outcome in done.items()
        },
        failed=failed,
        reference=next(iter(done), None),
        comparisons={name: Comparison(found.metrics, found.slices) for name, found in differences.items()},
    )


def _state(inputs: Inputs, task: Task, settings: Settings) -> str:
    """A hash of all that a model's lists depend on: the files, the settings, the code of models."""
    digest = hashlib.sha256(f"{settings} {task.exclude_seen}".encode())
    for role, path in inputs.named().items():
        digest.update(role.encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    for path in sorted(Path(models_package.__path__[0]).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
