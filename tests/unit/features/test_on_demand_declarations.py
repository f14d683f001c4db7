"""On-demand views: what compiles, what is refused, and that the compiled function is the declared one."""

import base64
import math
import pickle
from collections.abc import Callable
from datetime import timedelta
from types import FunctionType
from typing import Any

import pandas as pd
import pytest
from feast import BatchFeatureView, Entity, Field, FileSource, RequestSource, ValueType
from feast.data_format import DeltaFormat
from feast.on_demand_feature_view import OnDemandFeatureView, on_demand_feature_view
from feast.types import Array, Float32, Float64, Int64, String

from tastemaker.features.declarations.compile import DeclarationError, compile_plan
from tastemaker.features.plan import OnDemandPlan

ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
PROFILE = BatchFeatureView(
    name="profile",
    entities=[ITEM],
    source=FileSource(name="items", path="/lake/items", file_format=DeltaFormat(), timestamp_field="updated_at"),
    ttl=timedelta(0),
    online=True,
    schema=[Field(name="price", dtype=Float64), Field(name="title", dtype=String)],
)
REQUEST = RequestSource(name="request", schema=[Field(name="budget", dtype=Float64)])
SHARE = Field(name="share", dtype=Float64, description="Of the budget.", tags={"default": "1"})
OUTSIDE = 2.0


def declared(function: Callable[[pd.DataFrame], pd.DataFrame], **more: Any) -> OnDemandFeatureView:
    options = {"sources": [PROFILE[["price"]], REQUEST], "schema": [SHARE]} | more
    # Feast changes the function that it decorates, so that it could not be decorated again.
    again = FunctionType(function.__code__, globals(), function.__name__)
    return on_demand_feature_view(name="derived", **options)(again)


def compiled(view: OnDemandFeatureView) -> OnDemandPlan:
    (plan,) = compile_plan([PROFILE], [], [ITEM], [view]).on_demand
    return plan


def share(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"share": inputs["price"] / inputs["budget"]})


def test_inputs_request_and_features_are_compiled() -> None:
    plan = compiled(declared(share, description="d", owner="o"))
    assert plan.inputs == (("profile", "price"),)
    assert plan.request == (("budget", "float64"),)
    assert [(feature.name, feature.dtype, feature.default) for feature in plan.features] == [("share", "float64", 1.0)]
    assert (plan.description, plan.owner) == ("d", "o")


def test_compiled_function_gives_the_declared_ones_values() -> None:
    function = pickle.loads(base64.b64decode(compiled(declared(share)).udf))
    frame = pd.DataFrame({"price": [3.0, 1.0], "budget": [4.0, 0.0]})
    # 3 / 4, and a division by zero.
    assert function(frame)["share"].tolist() == [0.75, math.inf]


def test_comments_and_place_of_a_function_do_not_change_its_plan() -> None:
    def first(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"share": inputs["price"] * 2.0})

    before = compiled(declared(first))

    def first(inputs: pd.DataFrame) -> pd.DataFrame:  # type: ignore[no-redef]
        # Twice.
        return pd.DataFrame({"share": inputs["price"] * 2.0})

    assert compiled(declared(first)) == before

    def first(inputs: pd.DataFrame) -> pd.DataFrame:  # type: ignore[no-redef]
        return pd.DataFrame({"share": inputs["price"] * 3.0})

    assert compiled(declared(first)).udf != before.udf


def test_function_may_import_what_it_needs() -> None:
    def rooted(inputs: pd.DataFrame) -> pd.DataFrame:
        import math

        return pd.DataFrame({"share": [math.sqrt(abs(value)) for value in inputs["price"].fillna(0.0)]})

    function = pickle.loads(base64.b64decode(compiled(declared(rooted)).udf))
    assert function(pd.DataFrame({"price": [9.0]}))["share"].tolist() == [3.0]


def reads_outside(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"share": inputs["price"] * OUTSIDE})


def fails(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"share": inputs["price"].astype("int64").astype("float64")})


def gives_another(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"part": inputs["price"]})


def gives_text(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"share": inputs["price"].astype(str)})


def gives_fewer_rows(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"share": inputs["price"].head(1)})


def in_python(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"share": inputs["price"]}


SAME = RequestSource(name="same", schema=[Field(name="price", dtype=Float64)])
COUNT = Field(name="price", dtype=Int64)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (declared(in_python, mode="python"), "mode 'python' is not executed; write the function over a pandas frame"),
        (
            declared(share, entities=[ITEM], write_to_online_store=True),
            "it is derived while it is read; remove write_to_online_store",
        ),
        (declared(reads_outside), "its function uses OUTSIDE from outside; .* define or import that inside"),
        (declared(fails), r"its function fails on a frame of defaults \(IntCastingNaNError: .* make it cope"),
        (declared(gives_another), "its function gives part, but the schema says share"),
        (declared(gives_text), "field share: its function gives object, but the schema says float64"),
        (declared(gives_fewer_rows), "must give a pandas frame with one row per row"),
        (declared(lambda inputs: inputs), "its source holds no plain function; declare it with `def`"),
        (declared(share, sources=[PROFILE[["price"]], SAME]), "input price: two inputs have that name"),
        (
            declared(share, schema=[Field(name="share", dtype=Array(Float32))]),
            "field share: type .* is not one that a feature can have",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_on_demand_view_that_cannot_run_says_what_to_change(view: OnDemandFeatureView, message: str) -> None:
    with pytest.raises(DeclarationError, match=r"^view derived") as caught:
        compiled(view)
    assert caught.match(message)


def test_input_that_is_not_stored_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"^view derived, input price: profile has no feature price"):
        compile_plan([], [], [ITEM], [declared(share)])
