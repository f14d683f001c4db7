"""Features of many entities at one moment, three ways: from the lake, from the online store, and as they are served."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker import names
from tastemaker.features.audit.recompute import values_as_of
from tastemaker.features.keys import join_key, split_key
from tastemaker.features.plan import FeatureSpec, OnDemandPlan, ViewPlan
from tastemaker.features.reading.derived import derive
from tastemaker.features.reading.reader import FeatureReader, Key
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.features.sql.as_of import as_of
from tastemaker.features.sql.expressions import key_sql

__all__ = ["Comparison", "Moment", "compare_derived", "compare_view"]

_CHUNK: Final = 20_000
_NUMPY: Final = {"int64": np.int64, "float64": np.float64, "bool": np.bool_}
_MOST_EXAMPLES: Final = 20


class Moment(NamedTuple):
    """The platform at a moment (microseconds).

    Attributes:
        at_us: the moment.
        duck: over the lake.
        reader: of the online store.
        resident: of the views of products, as the recommender keeps them.
    """

    at_us: int
    duck: duckdb.DuckDBPyConnection
    reader: FeatureReader
    resident: ResidentMatrix


class Comparison:
    """What was compared so far.

    Attributes:
        tally: values by view and by what became of them: ``stream`` and ``served`` count what was compared with the
            lake's value, ``stream differs`` and ``served differs`` what was not equal to the last bit.
        examples: some of those, in words.
    """

    def __init__(self) -> None:
        self.tally: Counter[tuple[str, str]] = Counter()
        self.examples: list[str] = []

    @property
    def compared(self) -> int:
        """Values that were compared with the lake's."""
        return sum(count for (_, what), count in self.tally.items() if "differs" not in what)

    @property
    def mismatched(self) -> int:
        """Values that were not the lake's."""
        return sum(count for (_, what), count in self.tally.items() if "differs" in what)

    def add(self, view: str, feature: str, keys: Sequence[str], lake: Sequence[Any], **others: Sequence[Any]) -> None:
        """Compare a column, ``stream`` or ``served``, with the lake's.

        Arrays of one type are compared by their bits, lists by their members.
        """
        ((what, other),) = others.items()
        self.tally[view, what] += len(keys)
        if isinstance(lake, np.ndarray) and isinstance(other, np.ndarray):
            places = np.flatnonzero(~_equal(lake, other)).tolist()
        else:
            places = [place for place, (one, two) in enumerate(zip(lake, other, strict=True)) if not _same(one, two)]
        self.tally[view, f"{what} differs"] += len(places)
        for place in places[: _MOST_EXAMPLES - len(self.examples)]:
            ids = ", ".join(split_key(keys[place]))
            self.examples.append(f"{feature} of {ids}: {lake[place]!r} in the lake, {what}: {other[place]!r}")


def compare_view(found: Comparison, view: ViewPlan, moment: Moment, sample: int | None, seed: int) -> None:
    """Compare all features of a view.

    Args:
        found: gets the result.
        view: the view.
        moment: the platform at a moment.
        sample: how many entities; None for all that lake or store know.
        seed: of the sample.
    """
    keys = _keys(view, moment, sample, seed)
    lake = _of_lake(view, moment, keys)
    stream = moment.reader.rows(view.name, [_parts(view, key) for key in keys], moment.at_us)
    for feature in view.features:
        column = [row[feature.name] for row in stream]
        found.add(view.name, feature.name, keys, lake[feature.name], stream=_typed(feature, column))
    if view.kind == "history":
        _compare_history(found, view, moment, keys, lake)
    elif numeric := [feature.name for feature in view.features if feature.is_numeric]:
        served = _matrix(view, moment, keys, numeric)
        for place, name in enumerate(numeric):
            found.add(view.name, name, keys, _single(lake[name]), served=np.ascontiguousarray(served[:, place]))


def compare_derived(found: Comparison, view: OnDemandPlan, moment: Moment, pairs: Sequence[tuple[str, str]]) -> None:
    """Compare what is derived from stored features, for pairs of a user and an item.

    The declared function runs on the lake's values and on the store's.
    """
    plan = moment.reader.plan
    parts = [{names.USER_ID: user, names.ITEM_ID: item} for user, item in pairs]
    inputs: dict[str, list[Any]] = {}
    keys: dict[str, list[Key]] = {}
    for origin in dict.fromkeys(origin for origin, _ in view.inputs):
        stored, wanted = plan.view(origin), [feature for of, feature in view.inputs if of == origin]
        ids = [tuple(one[column] for column in stored.join_keys) for one in parts]
        rows = values_as_of(moment.duck, stored, [(join_key(own), moment.at_us) for own in ids], wanted)
        inputs |= {feature: [row[feature] for row in rows] for feature in wanted}
        keys[origin] = [own if len(own) > 1 else own[0] for own in ids]
    lake = derive(view, inputs, {}, len(pairs))
    served = moment.reader.derived(view.name, keys, {}, moment.at_us)
    names_of = [join_key(pair) for pair in pairs]
    for feature in view.features:
        found.add(view.name, feature.name, names_of, lake[feature.name], served=served[feature.name])


def _keys(view: ViewPlan, moment: Moment, sample: int | None, seed: int) -> list[str]:
    """Entities that the lake or the store knows, and one that neither does; in order."""
    conditions = " AND ".join(f"{column} IS NOT NULL" for column in view.join_keys)
    in_lake = moment.duck.execute(
        f"SELECT DISTINCT {key_sql(view.join_keys)} FROM {view.table} WHERE {conditions}"
    ).fetchnumpy()
    (known,) = in_lake.values()
    keys = sorted({*known.tolist(), *(key for key, _ in moment.reader.store.all_rows(view.signature))})
    if sample is not None and len(keys) > sample:
        places = np.random.default_rng(seed).choice(len(keys), sample, replace=False)
        keys = [keys[place] for place in np.sort(places).tolist()]
    return [*keys, join_key(["nobody"] * len(view.join_keys))]


def _of_lake(view: ViewPlan, moment: Moment, keys: Sequence[str]) -> dict[str, Any]:
    """By feature, the batch executor's values."""
    frame = pa.table({"key": pa.array(keys, pa.string()), "as_of_us": pa.repeat(moment.at_us, len(keys))})
    moment.duck.register("asked", frame)
    as_of(moment.duck, view, "asked", "answers")
    table = moment.duck.sql("FROM answers ORDER BY key").to_arrow_table()
    moment.duck.execute("DROP TABLE answers")
    moment.duck.unregister("asked")
    if table["key"].to_pylist() != sorted(keys):
        raise AssertionError(f"view {view.name}: the batch executor did not answer for each entity once")
    order = np.argsort(np.argsort(np.array(keys, object)))
    answers = table.take(pa.array(order))
    return {feature.name: _typed(feature, answers[feature.name].to_pylist()) for feature in view.features}


def _matrix(view: ViewPlan, moment: Moment, keys: Sequence[str], features: Sequence[str]) -> npt.NDArray[np.float32]:
    """What a request reads: products from this process, all rows of a shopper at once, others one by one."""
    if view.name in moment.resident:
        return moment.resident.matrix(view.name, [_parts(view, key) for key in keys], moment.at_us, features)
    if len(view.join_keys) == 1:
        return moment.reader.matrix(view.name, [_parts(view, key) for key in keys], moment.at_us, features)
    wanted: dict[str, dict[str, int]] = {}
    for place, key in enumerate(keys):
        first, second = split_key(key)
        wanted.setdefault(first, {})[second] = place
    found = np.repeat(
        np.array([[view.feature(name).default_value for name in features]], np.float32), len(keys), axis=0
    )
    for first, places in wanted.items():
        seconds, values = moment.reader.scan(view.name, first, moment.at_us, features)
        for second, row in zip(seconds, values, strict=True):
            if second in places:
                found[places[second]] = row
    return found


def _compare_history(
    found: Comparison, view: ViewPlan, moment: Moment, keys: Sequence[str], lake: dict[str, Any]
) -> None:
    """The events that retrieval is given, against the lists of the lake."""
    columns = {names.ITEM_ID: 0, names.TYPE: 1, names.OCCURRED_AT: 2}
    histories = [moment.reader.history(view.name, _parts(view, key), moment.at_us) for key in keys]
    for feature in view.features:
        if feature.function == "last_n" and feature.column in columns:
            place = columns[feature.column]
            served = [[event[place] for event in events[: feature.n]] for events in histories]
            found.add(view.name, feature.name, keys, lake[feature.name], served=served)


def _parts(view: ViewPlan, key: str) -> Key:
    parts = split_key(key)
    return parts if len(view.join_keys) > 1 else parts[0]


def _typed(feature: FeatureSpec, column: list[Any]) -> Any:
    """Numbers as an array, which fails where one is of another type; others as they are."""
    if not feature.is_numeric:
        return column
    kind = {"int64": int, "float64": float, "bool": bool}[feature.dtype]
    if wrong := {type(value) for value in column} - {kind}:
        raise AssertionError(f"{feature.name} is declared as {feature.dtype}, but is {wrong}")
    return np.array(column, _NUMPY[feature.dtype])


def _single(column: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """In the precision that models take."""
    return column.astype(np.float64).astype(np.float32)


def _equal(one: npt.NDArray[Any], two: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which members have the same bits; one NaN is as good as another."""
    if one.dtype != two.dtype:
        raise AssertionError(f"{one.dtype} is compared with {two.dtype}")
    if one.dtype.kind != "f":
        return np.asarray(one == two)
    bits = f"u{one.dtype.itemsize}"
    return np.asarray((one.view(bits) == two.view(bits)) | (np.isnan(one) & np.isnan(two)))


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, list) and isinstance(two, list):
        if one and isinstance(one[0], float):
            return len(one) == len(two) and bool(_equal(np.array(one), np.array(two)).all())
        return one == two and [type(member) for member in one] == [type(member) for member in two]
    return type(one) is type(two) and one == two
