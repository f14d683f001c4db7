"""What is fitted again, in which time, and what stays as it was validated."""

import time

import pytest

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.pipeline import refit as refitting
from tastemaker.models.pipeline.refit import refit, refit_or_keep, refit_s
from tastemaker.models.protocol import FitContext
from tastemaker.models.trial_log import Trial
from tastemaker.models.tuning import Tuned

_TRAIN = Histories.of([0, 0, 1], [0, 1, 1], n_users=2, n_items=2)


class _Source:
    """A model that remembers how long it was allowed to learn."""

    allowed_s = 0.0
    failing = False

    def fit(self, train: Histories, context: FitContext) -> "_Source":
        if self.failing:
            raise DataError("singular")
        self.allowed_s = context.remaining_s
        return self


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """Names of the sources that were made again, in order."""
    names: list[str] = []

    def create(name: str, **hyperparameters: object) -> _Source:
        names.append(name)
        source = _Source()
        source.failing = bool(hyperparameters.get("failing"))
        return source

    monkeypatch.setattr(refitting, "create", create)
    return names


def _tuned(name: str, fit_s: float, allowed_s: float = 60.0, **hyperparameters: object) -> Tuned:
    return Tuned(Trial(name, hyperparameters, ndcg=0.1, fit_s=fit_s), _Source(), (), allowed_s)


def test_refit_is_allowed_what_the_trial_was_allowed_however_little_is_left(made) -> None:
    context = FitContext(seed=1, deadline=time.monotonic() + 1.0)
    model = refit(_tuned("ease", 20.0, allowed_s=500.0), _TRAIN, context)
    assert model.allowed_s == pytest.approx(500.0, abs=5.0)


def test_refit_or_keep_fits_the_quickest_first_and_gives_the_order_of_the_sources(made) -> None:
    tuned = [_tuned("two-tower", 30.0), _tuned("popularity", 0.1), _tuned("ease", 10.0)]
    models, stayed = refit_or_keep(tuned, _TRAIN, FitContext(seed=1), time.monotonic() + 100.0)
    assert made == ["popularity", "ease", "two-tower"]
    assert stayed == []
    assert all(model is not one.model for model, one in zip(models, tuned, strict=True))


def test_refit_or_keep_keeps_the_validated_model_of_what_does_not_fit_into_the_time(made) -> None:
    tuned = [_tuned("two-tower", 30.0), _tuned("ease", 10.0)]
    models, stayed = refit_or_keep(tuned, _TRAIN, FitContext(seed=1), time.monotonic() + 20.0)
    assert (made, stayed) == (["ease"], ["two-tower"])
    assert models[0] is tuned[0].model
    assert models[1] is not tuned[1].model


def test_refit_or_keep_after_the_end_still_fits_what_takes_no_time(made) -> None:
    tuned = [_tuned("own-frequency", 0.1), _tuned("ease", 10.0)]
    models, stayed = refit_or_keep(tuned, _TRAIN, FitContext(seed=1), time.monotonic() - 5.0)
    assert (made, stayed) == (["own-frequency"], ["ease"])
    assert models[1] is tuned[1].model


def test_refit_or_keep_keeps_the_validated_model_of_a_source_that_fails_on_everything(made) -> None:
    told: list[str] = []
    tuned = [_tuned("ease", 0.1, failing=True)]
    models, stayed = refit_or_keep(tuned, _TRAIN, FitContext(seed=1, progress=told.append), time.monotonic() + 20.0)
    assert (models, stayed) == ([tuned[0].model], ["ease"])
    assert "singular" in told[0]


def test_refit_s_is_a_fifth_above_what_the_trials_took() -> None:
    # 1.2 x (10 + 5)
    assert refit_s([_tuned("ease", 10.0), _tuned("ials", 5.0)]) == pytest.approx(18.0)
