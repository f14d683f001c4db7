"""The models beside which releases are judged: from tables to lists, and their figures on real data."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.baselines import BASELINES, Past, rank_baselines
from tastemaker.evaluation.compare import compare
from tastemaker.evaluation.interactions import INTERACTIONS
from tastemaker.evaluation.splits import temporal_split
from tastemaker.models.registry import MODELS

AT = datetime(2024, 3, 1, tzinfo=UTC)
DATA = Path(__file__).parents[3] / "data" / "online_retail.parquet"
every_baseline = pytest.mark.parametrize("name", BASELINES)


def table(rows):
    """Rows of (user, item, days before AT)."""
    users, items, days = zip(*rows, strict=True) if rows else ((), (), ())
    moments = [AT - timedelta(days=day) for day in days]
    return pa.table({"user_id": users, "item_id": items, "occurred_at": moments}, schema=INTERACTIONS)


HISTORY = table(
    [("u", "a", 3), ("u", "a", 2), ("u", "b", 90), ("v", "a", 5), ("v", "c", 4), ("w", "c", 200), ("w", "d", 100)]
)


def ranked(name, interactions, users, k):
    return Past(interactions, AT).rank(name, users, k, **BASELINES[name])


def test_every_baseline_is_a_model():
    assert set(BASELINES) <= set(MODELS)


@every_baseline
def test_lists_have_the_asked_shape_with_each_item_once(name):
    found = ranked(name, HISTORY, ["u", "v", "w"], 3)
    assert found.shape == (3, 3)
    assert all(len(set(row)) == 3 and "" not in row for row in found.tolist())


@every_baseline
def test_a_small_catalogue_is_filled_up_with_empty_places(name):
    found = ranked(name, HISTORY, ["u"], 6)
    assert sorted(found[0].tolist()) == ["", "", "a", "b", "c", "d"]
    assert found[0, 4:].tolist() == ["", ""]


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"recent-popularity"}))
def test_an_unknown_user_gets_popular_items(name):
    found = ranked(name, HISTORY, ["nobody", "u", "zz"], 2)
    assert set(found[0].tolist()) == {"a", "c"}  # two users each, b and d one
    assert found[2].tolist() == found[0].tolist()


@every_baseline
def test_what_happens_later_changes_nothing(name):
    later = table([("u", "d", 0), ("u", "new", -1), ("x", "d", -2)])
    users = ["u", "v", "w", "x"]
    with_future = pa.concat_tables([HISTORY, later])
    assert (ranked(name, with_future, users, 4) == ranked(name, HISTORY, users, 4)).all()


@every_baseline
def test_the_order_of_rows_and_users_does_not_matter(name):
    turned = HISTORY.take(list(reversed(range(HISTORY.num_rows))))
    assert (ranked(name, turned, ["w", "v", "u"], 4)[::-1] == ranked(name, HISTORY, ["u", "v", "w"], 4)).all()


@every_baseline
def test_no_users_give_no_rows(name):
    assert ranked(name, HISTORY, [], 3).shape == (0, 3)


@pytest.mark.parametrize("rows", [[], [("u", "a", -5)]], ids=["empty", "only the future"])
def test_nothing_to_learn_from_is_refused(rows):
    with pytest.raises(DataError, match="no interactions before"):
        Past(table(rows), AT)


def test_a_moment_without_timezone_is_refused():
    with pytest.raises(DataError, match="timezone"):
        Past(HISTORY, datetime(2024, 3, 1))  # noqa: DTZ001 - that is the case


def test_own_frequency_decays_up_to_the_moment_of_prediction():
    # The past spans 100 days, half-life .1 of that: two purchases 40 days ago weigh 2 · 2^-4 = .125, one 10 days ago
    # .5.
    rows = [("u", "old", 40), ("u", "old", 40), ("u", "new", 10), ("v", "first", 100), ("v", "last", 0.001)]
    past = Past(table(rows), AT)
    assert past.rank("own-frequency", ["u"], 2, half_life=None).tolist() == [["old", "new"]]
    assert past.rank("own-frequency", ["u"], 2, half_life=0.1).tolist() == [["new", "old"]]


def test_baselines_rank_for_the_test_users():
    interactions = pa.concat_tables([HISTORY, table([("v", "a", -1), ("u", "c", -1)])])
    truth = temporal_split(interactions, AT, 2).truth
    found = rank_baselines(interactions, AT, truth, k=2)
    assert set(found) == set(BASELINES)
    assert all(rows.shape == (2, 2) for rows in found.values())


@pytest.mark.slow
def test_models_reproduce_the_known_figures_on_online_retail():
    # Known customers, positive quantity and price; train before 2011-11-12, test the 28 days from then on.
    # Reference figures (precision, recall, NDCG at 10), computed independently of this code when the data set was
    # prepared: 1,300 test customers with 32 items each on average. Plain settings, as they were computed with.
    plain = {"neighbours": 10_000, "shrinkage": 0.0, "damping": 0.0, "exponent": 0.5, "half_life": None}
    settings = {"popularity": {}, "own-frequency": {"half_life": None}, "item-knn": plain}
    expected = {
        "popularity": (0.069, 0.032, 0.078),
        "own-frequency": (0.282, 0.182, 0.341),
        "item-knn": (0.156, 0.079, 0.171),
    }
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        interactions = connection.sql(
            f"""
            SELECT customer_id::VARCHAR AS user_id, stock_code AS item_id, invoice_date::TIMESTAMPTZ AS occurred_at
            FROM '{DATA}' WHERE customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0
            """
        ).to_arrow_table()
    cut = datetime(2011, 11, 12, tzinfo=UTC)
    interactions = interactions.cast(INTERACTIONS)
    truth = temporal_split(interactions, cut, 28).truth
    assert len(truth.user_ids) == 1300
    assert round((truth.relevant >= 0).sum() / 1300) == 32
    rankings = rank_baselines(interactions, cut, truth, baselines=settings)
    report = compare(rankings, truth, reference="own-frequency")
    found = {
        name: tuple(values[metric].value for metric in ("precision", "recall", "ndcg"))
        for name, values in report.models.items()
    }
    for name, figures in expected.items():
        assert found[name] == pytest.approx(figures, abs=0.0006), name
