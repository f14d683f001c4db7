"""A release after a release: towers that start from the champion's, and a training that was killed."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from tastemaker.features.plan import FeaturePlan
from tastemaker.models.two_tower.saved import load_saved
from tastemaker.release.files import RANKING_TOWERS, TOWERS, ModelCard
from tastemaker.release.retrieval import load_retrieval
from tastemaker.training.pipeline import (
    RankerFit,
    TrainingRun,
    fit_retrieval_for_ranking,
    fit_retrieval_for_serving,
    write_release,
)
from tests.contract.served_release import CUT, SMALL, train_small_release

LONGER = SMALL.model_copy(
    update={
        "towers": SMALL.towers.model_copy(update={"chosen": SMALL.towers.chosen | {"epochs": 8, "batch": 22}}),
        "ranker": SMALL.ranker.model_copy(update={"cuts_days": (28,)}),
    }
)
RANKER = RankerFit({}, ())


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def champion(tmp_path_factory) -> TrainingRun:
    """The run of a release that is written, without a ranker."""
    settings, _ = train_small_release(tmp_path_factory.mktemp("platform"), Path(__file__).parents[3])
    release = settings.home / "champion"
    run = TrainingRun(settings, FeaturePlan.load(settings.plan_path), CUT - timedelta(days=2), release, 1, LONGER)
    first = fit_retrieval_for_ranking(run)
    write_release(run, fit_retrieval_for_serving(run, first), RANKER, {})
    return run


def test_card_tells_configuration_and_curve(champion):
    card = ModelCard.read(champion.out_dir)
    assert card.towers.configuration["dimension"] == 8
    assert card.towers.steps
    assert not card.towers.warm
    assert not champion.ranking_dir.exists()
    assert not champion.checkpoints_dir.exists()


def test_both_towers_start_from_those_of_the_champion(champion):
    run = dataclasses.replace(champion, cut=CUT, out_dir=champion.settings.home / "next", earlier=champion.out_dir)
    first = fit_retrieval_for_ranking(run)
    served = fit_retrieval_for_serving(run, first)
    assert first.towers.warm
    assert served.towers.warm
    # One pass instead of eight.
    assert served.towers.steps[-1] < ModelCard.read(champion.out_dir).towers.steps[-1] / 4
    write_release(run, served, RANKER, {})
    assert load_retrieval(run.out_dir).catalogue.vectors.shape[1] == 8
    about = [load_saved(run.out_dir / name).about for name in (TOWERS, RANKING_TOWERS)]
    assert [one["cut"] for one in about] == [CUT.isoformat(), run.moments[0].isoformat()]
    assert about[0]["feature_plan"] == run.plan.hash


def test_towers_that_have_seen_what_is_to_be_predicted_are_not_started_from(champion):
    lines: list[str] = []
    run = dataclasses.replace(
        champion,
        cut=champion.cut - timedelta(days=1),
        out_dir=champion.settings.home / "past",
        earlier=champion.out_dir,
        progress=lines.append,
    )
    assert not fit_retrieval_for_serving(run).towers.warm
    assert any("starting anew" in line for line in lines)


def test_killed_run_goes_on_from_its_checkpoints_in_the_runs_directory(champion):
    lines: list[str] = []

    def killer(line: str) -> None:
        lines.append(line)
        if sum("two-tower" in one for one in lines) == 3:
            raise Killed

    run = dataclasses.replace(champion, out_dir=champion.settings.home / "killed", progress=killer)
    with pytest.raises(Killed):
        fit_retrieval_for_serving(run)
    assert (run.checkpoints_dir / TOWERS / "state.json").exists()
    after: list[str] = []
    resumed = fit_retrieval_for_serving(dataclasses.replace(run, progress=after.append))
    judged = [line for line in after if "two-tower" in line]
    assert judged[0] == lines[-1]  # told, but not kept: it is made once more, and none before it
    assert resumed.towers == ModelCard.read(champion.out_dir).towers
