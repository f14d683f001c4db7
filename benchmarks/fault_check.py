"""Whether the online store says of every feature of every entity what the batch executor says of the same moment."""

import math
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

import duckdb

from tastemaker import names
from tastemaker.features.audit.recompute import values_as_of
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader, Key
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings

__all__ = ["Comparison", "compare"]

_EXAMPLES = 10
_KEYS_AT_ONCE = 2_000


class Comparison(NamedTuple):
    """What was compared.

    Attributes:
        features: how many features were looked at.
        entities: how many entities of all views.
        values: how many values.
        mismatched: how many of them differ.
        examples: some of those, for people.
    """

    features: int
    entities: int
    values: int
    mismatched: int
    examples: list[str]


def compare(settings: Settings, plan: FeaturePlan, moments_us: Sequence[int]) -> Comparison:
    """Compare at some moments, the same for both sides.

    Args:
        settings: where lake and store are; both have everything.
        plan: the declarations.
        moments_us: of the platform's time; later ones show that windows decay alike.
    """
    entities = values = mismatched = 0
    examples: list[str] = []
    with closing(FeatureReader(settings.online_location, plan)) as reader, Lake(settings.lake_dir).connect() as duck:
        for view in plan.views:
            keys = _keys(duck, reader, view)
            entities += len(keys)
            for begin in range(0, len(keys), _KEYS_AT_ONCE):
                some = keys[begin : begin + _KEYS_AT_ONCE]
                asked = [(key, at_us) for at_us in moments_us for key in some]
                expected = values_as_of(duck, view, [(join_key(key), at_us) for key, at_us in asked])
                found = [row for at_us in moments_us for row in reader.rows(view.name, some, at_us)]
                for (key, _), batch, online in zip(asked, expected, found, strict=True):
                    for feature, should in batch.items():
                        values += 1
                        if not _same(should, online[feature]):
                            mismatched += 1
                            examples.append(f"{view.name}.{feature} of {key}: {online[feature]}, batch says {should}")
    features = sum(len(view.features) for view in plan.views)
    return Comparison(features, entities, values, mismatched, examples[:_EXAMPLES])


def _keys(duck: duckdb.DuckDBPyConnection, reader: FeatureReader, view: ViewPlan) -> list[Key]:
    """Entities that the store has or an event names: the store must lack none, and have none too many."""
    known = set(reader.changed(view.name)[1])
    if view.table == names.TABLE_EVENTS:
        columns = ", ".join(view.join_keys)
        named = duck.execute(
            f"SELECT DISTINCT {columns} FROM {view.table}"
            f" WHERE {' AND '.join(f'{column} IS NOT NULL' for column in view.join_keys)}"
        ).fetchall()
        known |= {ids if len(ids) > 1 else ids[0] for ids in named}
    return sorted(known)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)
