"""Lists with several outcomes and positions, and the ranker of a release that learns from them."""

import shutil
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from recommender_shop import CUT, PARAMETERS, category_of

from tastemaker import names
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.release.retrieval import load_retrieval
from tastemaker.training.pipeline import TrainingRun, fit_ranker
from tastemaker.training.ranking_set import lists_at

AT = CUT - timedelta(days=28)
SOME = 10  # shoppers who also look at things


@pytest.fixture(scope="module")
def seen(shop, tmp_path_factory):
    """The shop, in which some shoppers were shown an item of their category in the third place, and viewed it."""
    home = tmp_path_factory.mktemp("seen")
    shutil.copytree(shop.settings.home, home, dirs_exist_ok=True)
    settings = shop.settings.model_copy(update={"home": home})
    rows = [
        {
            names.EVENT_ID: f"{kind}-{user}",
            names.TYPE: kind,
            names.USER_ID: f"u{user}",
            names.ITEM_ID: f"{category_of(user)}-1",
            names.POSITION: 2 if kind == "impression" else None,
            names.OCCURRED_AT: AT + timedelta(days=1),
            names.INGESTED_AT: AT + timedelta(days=1),
            names.PARTITION: -1,
            names.OFFSET: -1,
            names.SCHEMA_VERSION: 1,
        }
        for user in range(SOME)
        for kind in ("impression", "view")
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_EVENTS])
    Lake(settings.lake_dir).append(names.TABLE_EVENTS, table, {"seen": 0})
    return settings


def run(shop, settings, directory, *outcomes, progress=lambda line: None):
    ranker = PARAMETERS.ranker.model_copy(update={"outcomes": outcomes, "epochs": 2})
    parameters = PARAMETERS.model_copy(update={"ranker": ranker})
    plan = FeaturePlan.load(settings.plan_path)
    return TrainingRun(settings, plan, CUT, directory, seed=1, parameters=parameters, progress=progress)


@pytest.fixture(scope="module")
def made(shop, seen, tmp_path_factory):
    """Lists of three outcomes, and the run that they are of; nobody likes anything."""
    told = []
    one = run(shop, seen, tmp_path_factory.mktemp("run"), "like", "view", "purchase", progress=told.append)
    retrieval = load_retrieval(shop.trained.directory)
    return one, lists_at(seen, one.plan, retrieval, one.parameters, at=AT, seed=1), told


def test_each_outcome_has_its_labels_and_what_was_shown_its_place(made):
    _, lists, _ = made
    likes, views, purchases = (lists.labels[:, :, place] == 1 for place in range(3))
    assert not likes.any()
    assert views.sum() == SOME
    assert purchases.sum() > views.sum()
    np.testing.assert_array_equal(lists.positions, np.where(views, 3, 0))
    padding = (lists.labels == -1).any(axis=2)
    np.testing.assert_array_equal(padding, (lists.labels == -1).all(axis=2))


def test_the_ranker_learns_the_outcomes_that_happened(made):
    one, lists, told = made
    fit_ranker(one, lists)
    assert any("no like in the label windows" in line for line in told)
    from tastemaker.models.ranker.forward import Forward

    weights = np.load(one.out_dir / "ranker" / "forward.npz")
    assert weights["log_weights"].shape == (2,)
    assert np.isfinite(Forward.load(one.out_dir / "ranker")(lists.features[0])).all()


def test_an_outcome_that_no_event_tells_of_is_refused():
    with pytest.raises(ValidationError, match="'click' is no event"):
        ReleaseRankerParameters(outcomes=("click", "purchase"))
    with pytest.raises(ValidationError, match="'impression' is no event"):
        ReleaseRankerParameters(outcomes=("impression",))


def test_some_of_the_outcomes_keep_their_weights():
    parameters = ReleaseRankerParameters(outcomes=("view", "like", "purchase"), outcome_weights=(0.1, 0.5, 1.0))
    some = parameters.only(["view", "purchase"])
    assert (some.outcomes, some.outcome_weights) == (("view", "purchase"), (0.1, 1.0))
    assert isinstance(some, RankerParameters)
