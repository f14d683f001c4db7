"""The search for hyperparameters: what it tries, keeps and takes up again."""

import json
import math
import time

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models import tuning
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext
from tastemaker.models.trial_log import Trial, TrialLog
from tastemaker.models.tuning import fit_tuned, tune
from tastemaker.models.validation import validation_part


@pytest.fixture(scope="module")
def train() -> Histories:
    """60 users who each take ten of the 30 items of their half of the catalogue, at moments 0, 1, 2, ..."""
    random = np.random.default_rng(0)
    items = np.concatenate([random.choice(30, 10, replace=False) + 30 * (user % 2) for user in range(60)])
    times = np.tile(np.arange(10.0), 60)
    return Histories.of(np.repeat(np.arange(60), 10), items, times=times, n_users=60, n_items=60)


@pytest.fixture
def tries(monkeypatch) -> list[str]:
    """The configurations that were fitted."""
    made: list[str] = []
    real = tuning._try

    def counted(trial, *rest, **options):
        made.append(trial.key)
        return real(trial, *rest, **options)

    monkeypatch.setattr(tuning, "_try", counted)
    return made


def search(train, context, **options):
    part = validation_part(train, seed=1, protocol="last-one")
    return tune("item-knn", part, context, k=5, exclude_seen=True, until=time.monotonic() + 60, patience=3, **options)


def test_defaults_come_first_and_no_configuration_twice(train, tries):
    found = search(train, FitContext(seed=1))
    assert json.loads(tries[0]) == ["item-knn", {}]
    assert len(set(tries)) == len(tries) == len(found.trials)
    assert found.trial.ndcg == max(trial.ndcg for trial in found.trials)


def test_search_that_was_stopped_goes_on_without_fitting_anything_again(train, tries, tmp_path):
    whole = search(train, FitContext(seed=1, trials=tmp_path / "whole"))
    lines = (tmp_path / "whole").read_text().splitlines()
    assert len(lines) == len(whole.trials) > 3
    (tmp_path / "cut").write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])  # killed while it wrote the fourth
    tries.clear()
    resumed = search(train, FitContext(seed=1, trials=tmp_path / "cut"))
    assert len(tries) == len(whole.trials) - 3
    assert [trial.key for trial in resumed.trials] == [trial.key for trial in whole.trials]
    assert resumed.trial.key == whole.trial.key
    history = train.take(np.arange(5))
    assert np.array_equal(resumed.model.score(history), whole.model.score(history))


def test_fixed_hyperparameters_are_in_every_trial(train):
    found = search(train, FitContext(seed=1), fixed={"neighbours": 7})
    assert {trial.hyperparameters["neighbours"] for trial in found.trials} == {7}


def test_base_hyperparameters_come_first_and_are_searched_for(train):
    found = search(train, FitContext(seed=1), base={"neighbours": 7})
    assert found.trials[0].hyperparameters == {"neighbours": 7}
    assert any(trial.hyperparameters["neighbours"] != 7 for trial in found.trials[1:])


def test_model_is_fitted_on_everything_in_the_end(train):
    model, report = fit_tuned(
        "item-knn", train, FitContext(seed=1, protocol="last-one", deadline=time.monotonic() + 20), {"neighbours": 7}
    )
    assert report["chosen"]["item-knn"]["neighbours"] == model.neighbours == 7
    best = max(report["trials"], key=lambda trial: trial["ndcg"])
    assert report["chosen"]["item-knn"] == best["hyperparameters"]
    assert model.score(train).shape == (60, 60)


def test_model_that_the_data_does_not_suit_says_so(train):
    untimed = Histories.of(train.rows, train.items, n_users=60, n_items=60)
    with pytest.raises(DataError, match="co-visitation could not be fitted"):
        fit_tuned("co-visitation", untimed, FitContext(seed=1, deadline=time.monotonic() + 20))


def test_failed_trial_is_kept_with_its_reason(tmp_path):
    log = TrialLog(tmp_path / "log")
    log.add(Trial("ease", {"regularisation": 1.0}, error="left out: no room", fit_s=2.0))
    found = TrialLog(tmp_path / "log").find(Trial("ease", {"regularisation": 1.0}))
    assert found is not None
    assert (found.error, found.fit_s, math.isnan(found.ndcg)) == ("left out: no room", 2.0, True)
    assert TrialLog(tmp_path / "log").find(Trial("ease", {"regularisation": 2.0})) is None
