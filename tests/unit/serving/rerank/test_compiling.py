"""Compiled rules against the rules read one by one."""

import numpy as np
from candidates_twin import BRANDS, NOW_US, PATHS, active, candidates, facts, policy, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.compiling import compile_rules
from tastemaker.serving.rerank.rule import Rule, Where
from tastemaker.serving.rerank.rule_set import RuleSet
from tastemaker.serving.rerank.stage import prepare


def matches(where: Where, item_id, path, brand, price) -> bool:
    """The rule as its documentation reads."""
    return (
        (not where.item_ids or item_id in where.item_ids)
        and (not where.brands or brand in where.brands)
        and (not where.categories or any(path == one or (path or "").startswith(one + "/") for one in where.categories))
        and (where.price_from is None or (price is not None and price >= where.price_from))
        and (where.price_to is None or (price is not None and price <= where.price_to))
    )


def some(values):
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


wheres = st.builds(
    Where,
    categories=some([*PATHS, "kitchen", "garden", "kit", "nowhere"]),
    brands=some([*BRANDS, "unknown"]),
    item_ids=some(["i0", "i1", "i2", "i9", "no-such-item"]),
    price_from=st.sampled_from([None, 5.0]),
    price_to=st.sampled_from([None, 5.0, 19.99]),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(wheres, max_size=6),
    st.lists(
        st.tuples(st.integers(-1, 3), st.integers(-1, 2), st.sampled_from([None, 4.99, 5.0, 19.99, 20.0])),
        min_size=1,
        max_size=12,
    ),
)
def test_every_rule_matches_what_it_says(conditions, items):
    categories, brands = [item[0] for item in items], [item[1] for item in items]
    rules = [Rule(id=f"r{n}", owner="o", kind="boost", strength=2.0, where=where) for n, where in enumerate(conditions)]
    prices = np.array([np.nan if price is None else price for _, _, price in items])
    shop = candidates(np.zeros(len(items)), categories=categories, brands=brands, prices=prices)
    prepared = prepare(shop, policy(), active(*rules, of=facts(categories, brands)), 5)
    expected = {
        (row, n)
        for row, (category, brand, price) in enumerate(items)
        for n, where in enumerate(conditions)
        if matches(
            where, f"i{row}", PATHS[category] if category >= 0 else None, BRANDS[brand] if brand >= 0 else None, price
        )
    }
    found = list(zip(prepared.candidates.tolist(), prepared.hits.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_a_row_that_came_after_the_rules_were_compiled_matches_by_class_alone():
    rules = active(rule("out", "exclude", brands=("acme",)), of=facts([0], [0]))
    late = candidates([1.0, 1.0], rows=[0, 55], categories=[0, 3], brands=[0, 2])
    assert prepare(late, policy(), rules, 2).removed.tolist() == [True, False]


def test_a_brand_that_came_after_the_rules_were_compiled_is_no_other_class():
    # The key of category 2 with the unknown brand 3 would be that of category 3 without a brand.
    rules = active(rule("out", "exclude", categories=("garden/pots/clay",)), of=facts([3], [-1]))
    late = candidates([1.0, 1.0], rows=[0, 55], categories=[3, 2], brands=[-1, 3])
    assert prepare(late, policy(), rules, 2).removed.tolist() == [True, False]


def test_rows_that_the_catalogue_did_not_have_yet_have_no_codes():
    found = facts([0, 3], [-1, 2])
    assert [codes.tolist() for codes in found.codes(np.array([1, 7, 0]))] == [[3, -1, 0], [2, -1, -1]]
    assert [codes.tolist() for codes in found.codes(np.array([1, 0]))] == [[3, 0], [2, -1]]
    assert [codes.tolist() for codes in facts([], []).codes(np.array([4]))] == [[-1], [-1]]


def test_ten_thousand_rules_on_a_hundred_thousand_items_stay_small():
    rng = np.random.default_rng(0)
    rows, paths, brands = 100_000, [f"d{n % 10}/c{n}" for n in range(500)], [f"b{n}" for n in range(2000)]
    shop = CatalogueFacts(
        1,
        {f"i{row}": row for row in range(rows)},
        rng.integers(0, 500, rows),
        paths,
        rng.integers(0, 2000, rows),
        brands,
    )
    rules = [
        rule(f"r{n}", "boost", strength=2.0, brands=(brands[n % 2000],))
        if n % 2
        else rule(f"r{n}", "exclude", items=[n, n + 1], categories=(f"d{n % 10}",))
        for n in range(10_000)
    ]
    compiled = compile_rules(RuleSet(tuple(rules)), shop)
    # Every second brand has five rules, each of which is in the list of each class of the brand.
    classes = len(np.unique(shop.categories[shop.brands % 2 == 1] * 2000 + shop.brands[shop.brands % 2 == 1]))
    assert len(compiled.by_class.rules) == 5 * classes
    expected = sum(
        int(paths[shop.categories[row]].split("/")[0] == f"d{n % 10}")
        for n in range(0, 10_000, 2)
        for row in (n, n + 1)
    )
    assert len(compiled.by_row.rules) == expected
    active_rules = compiled.at("home", NOW_US)
    assert active_rules.any
    assert active_rules.on.sum() == 10_000
