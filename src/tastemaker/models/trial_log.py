"""Trials of a search, kept in a file as they end: a search that was killed goes on where it was."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Trial", "TrialLog"]


@dataclass(frozen=True)
class Trial:
    """One configuration, fitted and measured.

    Attributes:
        source: the model's name.
        hyperparameters: of the search space.
        ndcg: of its lists for the validation users; NaN when the fit failed.
        fit_s: seconds of the fit.
        score_s: seconds to rank for the validation users.
        error: why it failed; empty when it did not.
    """

    source: str
    hyperparameters: Mapping[str, Any]
    ndcg: float = float("nan")
    fit_s: float = 0.0
    score_s: float = 0.0
    error: str = ""

    @property
    def key(self) -> str:
        """The same for the same configuration."""
        return json.dumps([self.source, self.hyperparameters], sort_keys=True, default=str)


class TrialLog:
    """What was tried, one JSON object per line. A line that a kill cut short is tried again.

    Args:
        path: of the file, which belongs to one set of data and code; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    kept = json.loads(line)
                except json.JSONDecodeError:
                    continue
                self._known[Trial(kept.pop("source"), kept.pop("hyperparameters")).key] = kept

    def find(self, trial: Trial) -> Trial | None:
        """The trial as it was measured by an earlier search; None when it was not."""
        kept = self._known.get(trial.key)
        return None if kept is None else replace(trial, **kept)

    def add(self, trial: Trial) -> None:
        """Keep one."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(trial), default=str) + "\n")
