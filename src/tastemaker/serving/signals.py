"""Which declared features the pipeline itself relies on, found by what they compute rather than by their names."""

from dataclasses import dataclass
from typing import Final, Self

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US

__all__ = ["TARGET", "Signals"]

# The event that a list should lead to.
TARGET: Final = "purchase"
_TREND_US: Final = 28 * DAY_US


@dataclass(frozen=True)
class Signals:
    """Columns of the views' matrices.

    Attributes:
        own_count: of user_item_activity: purchases ever.
        own_decayed: of user_item_activity: decayed purchases, for the repeat source.
        trend: of item_activity: purchases in a window, the one closest to 28 days.
        trend_days: length of that window.
        own_since: of user_item_activity: days since the last purchase; -1 where none is declared.
        own_interval: of user_item_activity: usual days between purchases; -1 where none is declared.
    """

    own_count: int
    own_decayed: int
    trend: int
    trend_days: int
    own_since: int = -1
    own_interval: int = -1

    @classmethod
    def of(cls, plan: FeaturePlan) -> Self:
        """Find them.

        Raises:
            DataError: a view lacks one; says which declaration to add.
        """
        own, item = plan.view(names.VIEW_USER_ITEM_ACTIVITY), plan.view(names.VIEW_ITEM_ACTIVITY)
        windows = [(column, feature) for column, feature in _of(item, "count") if feature.window_us]
        if not windows:
            raise DataError(f"view {item.name} needs a windowed count of {TARGET}s for the trending source")
        trend, feature = min(windows, key=lambda found: abs(found[1].window_us - _TREND_US))
        return cls(
            own_count=_first(own, "count"),
            own_decayed=_first(own, "decayed_count"),
            trend=trend,
            trend_days=feature.window_us // DAY_US,
            own_since=_optional(own, "time_since_last"),
            own_interval=_optional(own, "mean_interval"),
        )


def _of(view: ViewPlan, function: str) -> list[tuple[int, FeatureSpec]]:
    return [
        (column, feature)
        for column, feature in enumerate(view.features)
        if feature.function == function and TARGET in feature.types
    ]


def _first(view: ViewPlan, function: str) -> int:
    found = [column for column, feature in _of(view, function) if not feature.window_us]
    if not found:
        raise DataError(f"view {view.name} needs a {function} of {TARGET}s without a window; declare one and apply")
    return found[0]


def _optional(view: ViewPlan, function: str) -> int:
    return next((column for column, feature in _of(view, function) if not feature.window_us), -1)
