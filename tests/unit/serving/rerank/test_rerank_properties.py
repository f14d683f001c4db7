"""What must hold of any selection, for any input."""

import numpy as np
from candidates_twin import active, candidates, facts, policy, rule, unit_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.serving.rerank.compiled_rules import NO_RULES
from tastemaker.serving.rerank.rerank import rerank


@st.composite
def situations(draw):
    n = draw(st.integers(0, 30))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    scores = rng.choice([rng.normal(size=n), rng.integers(0, 3, n).astype(float)])
    if n and draw(st.booleans()):
        scores[rng.integers(n)] = np.nan
    given = candidates(
        scores,
        rows=rng.permutation(100)[:n],
        vectors=unit_vectors(n, 4, seed) if draw(st.booleans()) else None,
        categories=rng.integers(-1, 3, n),
        brands=rng.integers(-1, 3, n),
        age_days=rng.choice([1.0, 50.0, np.nan], n),
        stock=rng.choice([0.0, 3.0, 80.0, np.nan], n, p=[0.1, 0.3, 0.3, 0.3]),
        margins=rng.choice([0.1, 0.5, np.nan], n),
        prices=rng.choice([5.0, 15.0, np.nan], n),
    )
    chosen = policy(
        diversity=draw(st.sampled_from([None, {"method": "mmr", "relevance": 0.5}, {"method": "dpp"}])),
        max_per_category=draw(st.sampled_from([None, 1, 3, 0.2])),
        max_per_brand=draw(st.sampled_from([None, 1, 4])),
        margin_weight=draw(st.sampled_from([0, 0.5])),
        stock_weight=draw(st.sampled_from([0, 1])),
        new_items=draw(st.sampled_from([None, {"share": 0.25, "younger_than_days": 7}])),
        exploration=draw(
            st.sampled_from(
                [
                    None,
                    {"kind": "epsilon_slots", "places": [2, 5], "epsilon": 0.7, "pool": 5},
                    {"kind": "plackett_luce", "temperature": 0.5},
                ]
            )
        ),
    )
    shop = facts(rng.integers(-1, 4, 100), rng.integers(-1, 3, 100))
    rules = [
        rule("up", "boost", categories=("kitchen",), strength=3.0),
        rule("down", "bury", brands=("acme",), strength=50.0),
        rule("out", "exclude", price_from=10.0, categories=("garden/pots",)),
        rule("few", "cap", categories=("garden",), limit=2),
        rule("first", "pin", brands=("bolt",), position=1),
        rule("third", "pin", items=[int(row) for row in given.rows[:2]] or [0], position=3),
    ]
    rules = draw(st.lists(st.sampled_from(rules), unique_by=lambda rule: rule.id))
    return given, chosen, active(*rules, of=shop), draw(st.integers(0, 2**63 - 1)), draw(st.integers(1, 40))


@settings(max_examples=200, deadline=None)
@given(situations())
def test_any_list_is_a_choice_without_repetition_that_replays_and_explains_itself(situation):
    given, chosen, rules, seed, k = situation
    found = rerank(given, chosen, rules, seed, k)
    allowed = {i for i in range(len(given)) if not given.stock[i] <= 0}
    shown = found.order.tolist()
    assert len(set(shown)) == len(shown) <= k
    assert set(shown) <= allowed
    if not rules.any:
        assert len(shown) == min(k, len(allowed))
    assert ((found.propensities > 0) & (found.propensities <= 1)).all()
    again = rerank(given, chosen, rules, seed, k)
    assert again.order.tolist() == shown
    assert again.propensities.tolist() == found.propensities.tolist()
    # The effects lead each item of the list from its place by score to the one that it has.
    utilities = rerank(given, policy(drop_out_of_stock=False), NO_RULES, 0, max(len(given), 1)).order.tolist()
    places = {candidate: place for place, candidate in enumerate(utilities, start=1)}
    for effect in found.effects:
        assert effect.before != effect.after
        assert effect.row == given.rows[effect.candidate]
        if effect.candidate in shown:
            assert effect.before == places[effect.candidate]
            places[effect.candidate] = effect.after
    assert [places[candidate] for candidate in shown] == list(range(1, len(shown) + 1))


@settings(max_examples=100, deadline=None)
@given(situations(), st.randoms())
def test_the_order_of_candidates_does_not_matter(situation, random):
    given, chosen, rules, seed, k = situation
    order = list(range(len(given)))
    random.shuffle(order)
    mixed = candidates(
        given.scores[order],
        rows=given.rows[order],
        vectors=None if given.vectors is None else given.vectors[order],
        **{
            name: getattr(given, name)[order]
            for name in ("categories", "brands", "age_days", "stock", "margins", "prices")
        },
    )
    rows = given.rows[rerank(given, chosen, rules, seed, k).order].tolist()
    assert mixed.rows[rerank(mixed, chosen, rules, seed, k).order].tolist() == rows


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 4), st.floats(-5, 5, width=32)), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(1, 40),
)
def test_a_cap_holds_whenever_it_can(items, cap, k):
    categories = np.array([category for category, _ in items])
    found = rerank(
        candidates([score for _, score in items], categories=categories), policy(max_per_category=cap), NO_RULES, 0, k
    )
    # How long a list can be under the cap: all without a category, and of each category as many as the cap allows.
    counts = np.bincount(categories[categories >= 0], minlength=5)
    possible = int((categories < 0).sum() + np.minimum(counts, cap).sum())
    shown = categories[found.order]
    if len(shown) <= possible:
        assert np.bincount(shown[shown >= 0], minlength=5).max() <= cap
        assert found.over_cap == ()
    else:
        assert len(found.over_cap) == len(shown) - possible


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3), st.floats(-5, 5, width=32)), min_size=1, max_size=30),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 30),
)
def test_no_place_breaks_a_cap_while_a_candidate_is_left_that_breaks_none(items, limits, k):
    categories, brands = np.array([item[0] for item in items]), np.array([item[1] for item in items])
    pots = rule("few", "cap", categories=("garden",), limit=limits[2])
    found = rerank(
        candidates([item[2] for item in items], categories=categories, brands=brands),
        policy(max_per_category=limits[0], max_per_brand=limits[1]),
        active(pots, of=facts([0, 1, 2, 3], [0, 1, 2, -1])),
        0,
        k,
    )
    garden = (categories >= 2) & (brands == np.array([0, 1, 2, -1])[categories])  # of the classes of the catalogue

    def breaks(i, before):
        return (
            (categories[i] >= 0 and (categories[before] == categories[i]).sum() >= limits[0])
            + (brands[i] >= 0 and (brands[before] == brands[i]).sum() >= limits[1])
            + bool(garden[i] and garden[before].sum() >= limits[2])
        )

    shown = found.order.tolist()
    for place, i in enumerate(shown):
        left = [j for j in range(len(items)) if j not in shown[:place]]
        assert breaks(i, shown[:place]) == min(breaks(j, shown[:place]) for j in left)
        assert (place in found.over_cap) == (breaks(i, shown[:place]) > 0)
