"""Four shoppers, four items, and lists whose figures can be worked out by hand."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tastemaker.evaluation.interactions import INTERACTIONS
from tastemaker.evaluation.splits import temporal_split
from tastemaker.evaluation.truth import Truth
from tastemaker.promotion.conduct import Scored, measure_conduct, unknown_shoppers
from tastemaker.serving.contract import RecommendationRequest, ServedList

CUT = datetime(2024, 3, 1, tzinfo=UTC)
USERS = 40


def _rows(rows):
    columns = list(zip(*rows, strict=True))
    return pa.table(dict(zip(INTERACTIONS.names, columns, strict=True)), schema=INTERACTIONS)


@pytest.fixture(scope="module")
def history():
    """Everybody bought ``a``, half ``b``, one ``c`` a week before the cut; after it everybody buys ``b``."""
    rows = [(f"u{at:02}", "a", CUT - timedelta(days=90)) for at in range(USERS)]
    rows += [(f"u{at:02}", "b", CUT - timedelta(days=60)) for at in range(USERS // 2)]
    rows += [("u00", "c", CUT - timedelta(days=7))]
    rows += [(f"u{at:02}", "b", CUT + timedelta(days=1)) for at in range(USERS)]
    rows += [(f"new{at:02}", "a", CUT + timedelta(days=2)) for at in range(USERS)]
    return _rows(rows)


def _conduct(history, lists, newcomers=None, countries=None, scored=None):
    split = temporal_split(history, CUT, 7)
    users = split.truth.user_ids.tolist()
    return measure_conduct(
        split,
        {"candidate": dict.fromkeys(users, lists[0]), "popularity": dict.fromkeys(users, lists[1])},
        candidate="candidate",
        against="popularity",
        countries=countries or {},
        scored=scored or Scored({}),
        newcomers=newcomers,
        k=2,
        seed=1,
    )


def test_segments_compare_the_same_users(history):
    found = _conduct(history, (("b", "a"), ("a", "b")))
    (few,) = found.segments  # all have up to 20 purchases
    # b in first place is an NDCG of 1, in second place 1 / log2(3) = .631.
    assert (few.segment, few.users, few.cold) == ("history: up to 20 purchases", USERS, True)
    assert (few.ours, few.theirs) == (pytest.approx(1.0), pytest.approx(0.6309, abs=1e-4))
    assert few.difference.low == pytest.approx(0.369, abs=1e-3)  # everybody gains as much


def test_countries_are_segments_and_small_ones_are_left_out(history):
    countries = {f"u{at:02}": "France" if at < 35 else "Peru" for at in range(USERS)}
    found = _conduct(history, (("b",), ("a",)), countries=countries)
    assert [(one.segment, one.users) for one in found.segments][1:] == [("country: France", 35)]


def test_popularity_and_exposure_are_of_the_catalogue(history):
    found = _conduct(history, (("a", "c"), ("a", "b")))
    # Sold before the cut: a 40, b 20, c 1. Places in that order, ties counted half: c 1/6, b 3/6, a 5/6.
    assert found.popularity == pytest.approx((5 / 6 + 1 / 6) / 2)
    assert found.bought_popularity == pytest.approx(3 / 6)
    # c was first bought a week before the cut: half of the places, and nothing of what was bought.
    assert (found.new_item_share, found.new_bought_share) == (pytest.approx(0.5), 0.0)


def test_shoppers_without_a_history_are_a_segment_of_their_own(history):
    split = temporal_split(history, CUT, 7)
    strangers = unknown_shoppers(split.train, history.slice(61), split.truth.catalogue.tolist())
    truth = Truth.of(strangers, split.truth.catalogue)
    users = truth.user_ids.tolist()
    assert len(users) == USERS
    lists = {"candidate": dict.fromkeys(users, ("b",)), "popularity": dict.fromkeys(users, ("a",))}
    found = _conduct(history, (("b",), ("b",)), newcomers=(truth, lists, "popularity"))
    none = found.segments[-1]
    assert (none.segment, none.cold, none.ours, none.theirs) == ("history: none", True, 0.0, 1.0)


def test_probabilities_are_held_against_what_happened():
    # The log-odds are the second column of the log: 0 is a probability of .5.
    scored = Scored({"u1": frozenset({"a"})}, lambda features: features[:, 0], ["odds"])
    features = {item: (7.0, 0.0) for item in "abcd"}
    request = RecommendationRequest(user="u1", k=2)
    made = {
        "request_id": "1",
        "served_at": CUT,
        "request": request,
        "release": "r",
        "features": features,
        "feature_names": ("other", "odds"),
    }
    scored("u1", ServedList(**made, tier="full"))
    scored("u1", ServedList(**made, tier="popular"))  # nobody ranked these
    found = scored.error()
    # Two of four are foretold, and one happened.
    assert (found.pairs, found.bought, found.expected) == (4, 1, pytest.approx(2.0))
    assert found.error > 0


def test_nobody_to_be_judged_by_gives_nothing(history):
    empty = temporal_split(history, CUT + timedelta(days=300), 7)
    found = measure_conduct(
        empty,
        {"candidate": {}},
        candidate="candidate",
        against=None,
        countries={},
        scored=Scored({}),
        newcomers=None,
        k=2,
        seed=1,
    )
    assert (found.segments, found.gini, found.probabilities) == ((), None, None)
