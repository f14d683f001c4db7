"""How the towers of a release were fitted, as its card tells it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.progress import Curve

__all__ = ["TowerReport", "TowerTrial"]


class TowerTrial(BaseModel):
    """One configuration of a search.

    Attributes:
        values: that were tried, by name; empty for the given ones.
        ndcg: of lists for the last days before the ranker's first moment; None when the fit failed.
        seconds: of the fit.
        error: why it failed; empty when it did not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: dict[str, Any]
    ndcg: float | None
    seconds: float
    error: str = ""


class TowerReport(BaseModel):
    """A fit.

    Attributes:
        configuration: all parameters, with what the data decided.
        steps: taken at each evaluation.
        loss: mean since the evaluation before; None where no step was taken.
        ndcg: of the validation users' last baskets, after each of ``steps``; None where there were too few users to
            hold out.
        stopped: why training ended: "patience", "epochs" or "deadline".
        warm: whether it started from an earlier release's weights.
        trials: of the search for the configuration; empty without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    configuration: dict[str, Any]
    steps: tuple[int, ...]
    loss: tuple[float | None, ...]
    ndcg: tuple[float | None, ...]
    stopped: str
    warm: bool
    trials: tuple[TowerTrial, ...] = ()

    @classmethod
    def of(cls, parameters: TowerParameters, curve: Curve, *, warm: bool, trials: tuple[TowerTrial, ...] = ()) -> Self:
        """From what a model knows of its training."""
        return cls(
            configuration=parameters.to_json(),
            steps=tuple(curve.steps),
            loss=_rounded(curve.loss),
            ndcg=_rounded(curve.ndcg),
            stopped=curve.stopped,
            warm=warm,
            trials=trials,
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The best validation NDCG, where there is one."""
        judged = [value for value in self.ndcg if value is not None]
        return {"two_tower_ndcg": max(judged)} if judged else {}

    def lines(self) -> list[str]:
        """For people, one line each."""
        shown = ("encoder", "dimension", "window", "basket", "loss", "temperature", "batch", "learning_rate", "epochs")
        settings = ", ".join(f"{name} {_short(self.configuration[name])}" for name in shown)
        found = [f"towers: {settings}{'; started from an earlier release' if self.warm else ''}"]
        judged = [(value, steps) for steps, value in zip(self.steps, self.ndcg, strict=True) if value is not None]
        curve = ", ".join(f"{value:.4f} after {steps} steps" for value, steps in judged)
        found.append(f"validation NDCG: {curve or 'too few users to hold out'}; ended by {self.stopped}")
        for trial in self.trials:
            values = _values(trial.values)
            figure = trial.error if trial.ndcg is None else f"NDCG {trial.ndcg:.4f}"
            found.append(f"tried {values}: {figure}, {trial.seconds:.0f} s")
        return found


def _rounded(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else round(value, 5) for value in values)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in values.items()) or "the given values"
