"""Views that use every function of the grammar, and a strategy that draws others."""

from typing import Any

from hypothesis import strategies as st

from tastemaker import names
from tastemaker.features.declarations.grammar import FUNCTIONS
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US

__all__ = ["ANY", "BUY", "DAY_US", "HOUR_US", "LATENESS_US", "LOOK", "PLAN", "VIEWS", "aggregate", "history", "spec"]

HOUR_US = DAY_US // 24
LATENESS_US = 2 * HOUR_US
BUY, LOOK, ANY = ("purchase",), ("cart_add", "view"), ("cart_add", "purchase", "view")
_COLUMNS = {"sum": "value", "mean": "value", "stddev": "value", "min": "price", "max": "price", "decayed_sum": "value"}
_TIMES = {"time_since_last", "time_since_first", "mean_interval"}
_WITHOUT_DEFAULT = {"mean", "stddev", "min", "max", "ratio", *_TIMES}
_LISTED = {"occurred_at": "int64", "value": "float64", "price": "float64"}


def spec(name: str, function: str, types: tuple[str, ...] = BUY, **more: Any) -> FeatureSpec:
    """A feature as the declarations compile it."""
    dtype = FUNCTIONS[function].dtype
    column = more.get("column", "occurred_at" if function in _TIMES else _COLUMNS.get(function, "event_id"))
    if dtype in {"column", "list"}:
        of = _LISTED.get(column, "string")
        dtype = of if dtype == "column" else f"list[{of}]"
    plain = {"int64": 0, "string": ""}.get(dtype)
    default = 0 if dtype == "float64" and function not in _WITHOUT_DEFAULT and function != "last" else plain
    return FeatureSpec(
        **(
            {"name": name, "function": function, "column": column, "types": types, "dtype": dtype, "default": default}
            | more
        )
    )


FEATURES = (
    spec("buys_2h", "count", window_us=2 * HOUR_US, slide_us=HOUR_US),
    spec("buys_3d", "count", window_us=3 * DAY_US, slide_us=DAY_US),
    spec("looks_3d", "count", LOOK, window_us=3 * DAY_US, slide_us=DAY_US),
    spec("priced", "count", ANY, column="price"),
    spec("spend_1d", "sum", window_us=DAY_US, slide_us=HOUR_US),
    spec("spend", "sum"),
    spec("basket", "mean"),
    spec("basket_3d", "mean", window_us=3 * DAY_US, slide_us=DAY_US, default=-1),
    spec("spread", "stddev", ANY),
    spec("spread_2h", "stddev", window_us=2 * HOUR_US, slide_us=HOUR_US),
    spec("cheapest", "min", ANY),
    spec("dearest_3d", "max", ANY, window_us=3 * DAY_US, slide_us=DAY_US),
    spec("events", "count", ANY, default=-1),
    spec("days_since_buy", "time_since_last"),
    spec("days_since_look", "time_since_last", LOOK, default=999.0),
    spec("days_known", "time_since_first", ANY),
    spec("rhythm", "mean_interval"),
    spec("decayed_buys", "decayed_count", half_life_us=2 * DAY_US),
    spec("decayed_spend", "decayed_sum", half_life_us=3 * DAY_US),
    spec("items_1d", "approx_distinct", ANY, column="item_id", n=16, window_us=DAY_US, slide_us=HOUR_US),
    spec("items", "approx_distinct", ANY, column="item_id", n=1024),
    spec("hours", "top_k", ANY, column="hour", n=3),
    spec("categories_3d", "top_k", ANY, column="category", n=2, by="value", window_us=3 * DAY_US, slide_us=DAY_US),
    spec("conversion", "ratio", ANY, column="", operands=("buys_3d", "looks_3d")),
    spec("spend_per_item", "ratio", ANY, column="", operands=("spend", "items"), default=-2),
)


def _view(name: str, kind: Any, entities: tuple[str, ...], features: tuple[FeatureSpec, ...], **more: Any) -> ViewPlan:
    return ViewPlan(
        name=name,
        kind=kind,
        entities=entities,
        join_keys=tuple(entity if entity == "category" else f"{entity}_id" for entity in entities),
        features=features,
        table=names.TABLE_EVENTS,
        timestamp_field=names.OCCURRED_AT,
        **more,
    )


def aggregate(name: str, *entities: str, features: tuple[FeatureSpec, ...] = FEATURES, **more: Any) -> ViewPlan:
    """A view with windows."""
    return _view(name, "aggregate", entities, features, **more)


def history(name: str, entity: str, n: int, **more: Any) -> ViewPlan:
    """A view with lists of all columns."""
    columns = FUNCTIONS["last_n"].columns
    features = [spec(f"{column}s", "last_n", ANY, column=column, n=n) for column in columns]
    features += [spec(f"last_{column}", "last", ANY, column=column, n=1) for column in columns]
    return _view(name, "history", (entity,), tuple(features), **more)


PLAN = FeaturePlan(
    views=(
        aggregate("by_item", "item", lateness_us=LATENESS_US),
        aggregate("by_user", "user", ttl_us=2 * DAY_US),
        aggregate("by_user_category", "user", "category"),
        history("session_list", "session", 2, ttl_us=DAY_US, lateness_us=LATENESS_US),
        history("user_list", "user", 3),
    )
)


@st.composite
def _features(draw: st.DrawFn) -> tuple[FeatureSpec, ...]:
    """Features of an aggregate view: any function over any of its columns, with any window."""
    made: list[FeatureSpec] = []
    functions = sorted(FUNCTIONS.keys() - {"last", "last_n", "ratio"})
    for number, function in enumerate(draw(st.lists(st.sampled_from(functions), min_size=1, max_size=12))):
        more: dict[str, Any] = {"column": draw(st.sampled_from(FUNCTIONS[function].columns))}
        if FUNCTIONS[function].windowed and draw(st.booleans()):
            slide = draw(st.sampled_from([60_000_000, HOUR_US, 7 * HOUR_US, DAY_US]))
            more |= {"slide_us": slide, "window_us": slide + draw(st.sampled_from([1_000_000, slide, 5 * DAY_US]))}
        if function.startswith("decayed_"):
            more["half_life_us"] = draw(st.sampled_from([HOUR_US, DAY_US, 30 * DAY_US]))
        if function == "approx_distinct":
            more["n"] = draw(st.sampled_from([16, 17, 100]))
        if function == "top_k":
            more |= {"n": draw(st.integers(1, 4)), "by": draw(st.sampled_from(["", "value"]))}
        if function != "top_k":
            more["default"] = draw(st.sampled_from([None, 0, -1] if function not in {"count", "approx_distinct"} else [0, -1]))  # fmt: skip # noqa: E501
        types = tuple(sorted(draw(st.sets(st.sampled_from([*ANY, "wishlist"]), min_size=1))))
        made.append(spec(f"f{number}", function, types, **more))
    divided = [feature.name for feature in made if feature.function in {"count", "sum", "approx_distinct"}]
    if divided:
        operands = (draw(st.sampled_from(divided)), draw(st.sampled_from(divided)))
        made.insert(0, spec("ratio", "ratio", ANY, column="", operands=operands))
    return tuple(made)


# Views with features of every kind, over one entity or several.
VIEWS = st.builds(
    lambda features, entities, ttl, lateness: aggregate(
        "drawn", *entities, features=features, ttl_us=ttl, lateness_us=lateness
    ),
    features=_features(),
    entities=st.sampled_from([("item",), ("user",), ("user", "item"), ("session", "category")]),
    ttl=st.sampled_from([0, 0, HOUR_US, 30 * DAY_US]),
    lateness=st.sampled_from([0, 0, LATENESS_US]),
)
