"""Each view, service and feature says what it is, and who answers for it."""

import msgspec
import pytest

from tastemaker.features.declarations.documented import check_documented
from tastemaker.features.declarations.error import DeclarationError
from tastemaker.features.plan import FeaturePlan, FeatureSpec, OnDemandPlan, ServiceSpec, ViewPlan

FEATURE = FeatureSpec(name="n", dtype="int64", column="event_id", function="count", description="How often.")
TEXTS = {"description": "d", "owner": "o"}
VIEW = ViewPlan(
    name="v",
    kind="aggregate",
    entities=("user",),
    join_keys=("user_id",),
    features=(FEATURE,),
    table="events",
    timestamp_field="occurred_at",
    **TEXTS,
)
DERIVED = OnDemandPlan(name="d", features=(FEATURE,), inputs=(), request=(), udf="", **TEXTS)
SERVICE = ServiceSpec(name="s", features=(("v", "n"),), **TEXTS)
NAMELESS = (msgspec.structs.replace(FEATURE, description=""),)


def plan(**changed: ViewPlan | OnDemandPlan | ServiceSpec) -> FeaturePlan:
    parts = {"views": VIEW, "on_demand": DERIVED, "services": SERVICE} | changed
    return FeaturePlan(**{name: (part,) for name, part in parts.items()})  # type: ignore[arg-type]


def test_plan_that_says_everything_passes() -> None:
    check_documented(plan())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"views": msgspec.structs.replace(VIEW, description="")}, "view v: it has no description; add description="),
        ({"views": msgspec.structs.replace(VIEW, owner="")}, "view v: it has no owner; add owner="),
        (
            {"views": msgspec.structs.replace(VIEW, features=NAMELESS)},
            "view v, field n: it has no description; .* description=... of the Field",
        ),
        ({"on_demand": msgspec.structs.replace(DERIVED, owner="")}, "view d: it has no owner"),
        (
            {"on_demand": msgspec.structs.replace(DERIVED, features=NAMELESS)},
            "view d, field n: it has no description; .* a tag of the view, called as the feature",
        ),
        ({"services": msgspec.structs.replace(SERVICE, description="")}, "service s: it has no description"),
        ({"services": msgspec.structs.replace(SERVICE, owner="")}, "service s: it has no owner"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_described_or_owns_is_refused(
    changed: dict[str, ViewPlan | OnDemandPlan | ServiceSpec], message: str
) -> None:
    with pytest.raises(DeclarationError, match=f"^{message}"):
        check_documented(plan(**changed))
