"""Skew on live traffic: features as they were served, compared with what the lake says of the same moments.

A value that differs is looked at again in worlds without the newest events: what came in after the read, and what was
on its way from broker to online store while it was read. A value that one of these worlds explains is no mismatch; one
that none explains is. Of a batch view, the worlds are the table's earlier versions, since it is materialised now and
then.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import duckdb

from tastemaker import names
from tastemaker.features.audit.recompute import trial_events, values_as_of
from tastemaker.features.audit.served_values import Served, ServedRow, as_served, served_rows, served_values
from tastemaker.features.keys import split_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.lake.tables import Lake

__all__ = ["FeatureTally", "Mismatch", "Verification", "verify"]

_ON_ITS_WAY: Final = timedelta(seconds=60)
_MOST_IN_FLIGHT: Final = 20
_MOST_EXAMPLES: Final = 20
_LONGEST: Final = "longest_flight_us"
_TRIALS_AT_ONCE: Final = 200


class FeatureTally(NamedTuple):
    """How a feature fared.

    Attributes:
        view: its view.
        feature: its name.
        compared: values.
        late: explained by events (of a batch view, rows) that came in after the read.
        in_flight: explained by events that were on their way.
        mismatched: not explained.
        longest_flight_us: how long the oldest event that a read did not see had been on its way, in microseconds.
    """

    view: str
    feature: str
    compared: int
    late: int
    in_flight: int
    mismatched: int
    longest_flight_us: int = 0


class Mismatch(NamedTuple):
    """A value that nothing explains."""

    view: str
    feature: str
    ids: tuple[str, ...]
    request_id: str
    at_us: int
    served: Served
    expected: Served


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        lists: served lists that were looked at.
        unknown_releases: lists of releases whose declarations are not known any more; passed over.
        tallies: by feature, in the order of the service.
        examples: some mismatches.
    """

    lists: int
    unknown_releases: int
    tallies: list[FeatureTally] = field(default_factory=list)
    examples: list[Mismatch] = field(default_factory=list)

    @property
    def compared(self) -> int:
        """Values that were compared."""
        return sum(tally.compared for tally in self.tallies)

    @property
    def mismatched(self) -> int:
        """Values that nothing explains."""
        return sum(tally.mismatched for tally in self.tallies)


def verify(
    lake: Lake,
    plan_of: Callable[[str], FeaturePlan | None],
    since: datetime,
    until: datetime,
    *,
    sample: int = 500,
    views: Collection[str] | None = None,
    seed: int = 1,
) -> Verification:
    """Recompute what served lists read, as of their reads.

    Args:
        lake: with everything that has arrived; lists up to ``until`` and the events before them are in it.
        plan_of: the declarations that a release was trained with; None if they are not known.
        since: first moment of the lists.
        until: last moment.
        sample: lists that are looked at, at most.
        views: names; None for all that ranking reads.
        seed: of the sample.
    """
    tally: Counter[tuple[str, str, str]] = Counter()
    examples: list[Mismatch] = []
    unknown = 0
    by_plan: dict[str, tuple[FeaturePlan, list[ServedRow]]] = {}
    lists = served_values(lake, since, until, sample, seed)
    for served in lists:
        plan = plan_of(served.release)
        if plan is None:
            unknown += 1
            continue
        wanted = plan.by_name.keys() if views is None else views
        by_plan.setdefault(plan.hash, (plan, []))[1].extend(served_rows(served, plan, wanted))
    with lake.connect() as duck:
        for plan, rows in by_plan.values():
            for name in dict.fromkeys(row.view for row in rows):
                _compare(duck, plan.view(name), [row for row in rows if row.view == name], tally, examples)
    features = dict.fromkeys((view, feature) for view, feature, _ in tally)
    return Verification(
        len(lists),
        unknown,
        [
            FeatureTally(
                *own, *(tally[*own, what] for what in ("compared", "late", "in_flight", "mismatched", _LONGEST))
            )
            for own in features
        ],
        examples,
    )


def _compare(
    duck: duckdb.DuckDBPyConnection,
    view: ViewPlan,
    rows: Sequence[ServedRow],
    tally: "Counter[tuple[str, str, str]]",
    examples: list[Mismatch],
) -> None:
    features = list(dict.fromkeys(feature for row in rows for feature in row.values))
    found = values_as_of(duck, view, [(row.key, row.at_us) for row in rows], features)
    open_cases: list[tuple[ServedRow, list[str]]] = []
    expected: dict[tuple[str, int, str], Served] = {}
    for row, values in zip(rows, found, strict=True):
        differing = []
        for feature, served in row.values.items():
            tally[view.name, feature, "compared"] += 1
            should = expected[row.key, row.at_us, feature] = as_served(values[feature])
            if should != served:
                differing.append(feature)
        if differing:
            open_cases.append((row, differing))
    explain = _explain_by_versions if view.kind == "batch" else _explain_by_arrivals
    for begin in range(0, len(open_cases), _TRIALS_AT_ONCE):
        cases = open_cases[begin : begin + _TRIALS_AT_ONCE]
        for (row, differing), reasons in zip(cases, explain(duck, view, cases), strict=True):
            for feature in differing:
                what, flight_us = reasons.get(feature, ("mismatched", 0))
                tally[view.name, feature, what] += 1
                longest = view.name, feature, _LONGEST
                tally[longest] = max(tally[longest], flight_us)
                if what == "mismatched" and len(examples) < _MOST_EXAMPLES:
                    should = expected[row.key, row.at_us, feature]
                    served = row.values[feature]
                    ids = split_key(row.key)
                    examples.append(Mismatch(view.name, feature, ids, row.request_id, row.at_us, served, should))


_Case = tuple[ServedRow, list[str]]
# By feature: ``late`` or ``in_flight``, and how long the oldest unseen event had been on its way, in microseconds.
_Reasons = dict[str, tuple[str, int]]


def _explain_by_arrivals(duck: duckdb.DuckDBPyConnection, view: ViewPlan, cases: Sequence[_Case]) -> list[_Reasons]:
    """Per case, the differing features that a world with fewer arrivals explains."""
    cuts = [_cuts(duck, view, row) for row, _ in cases]
    trials = [(row.key, cut) for (row, _), own in zip(cases, cuts, strict=True) for cut in own]
    features = {feature for _, differing in cases for feature in differing}
    with trial_events(duck, view, trials) as (world, keys):
        moments = [row.at_us for (row, _), own in zip(cases, cuts, strict=True) for _ in own]
        values = iter(values_as_of(world, view, list(zip(keys, moments, strict=True)), features))
    reasons = []
    for (row, differing), own in zip(cases, cuts, strict=True):
        found: _Reasons = {}
        for place, world_values in enumerate([next(values) for _ in own]):
            for feature in differing:
                if feature not in found and as_served(world_values[feature]) == row.values[feature]:
                    found[feature] = ("in_flight", row.at_us - own[place] - 1) if place else ("late", 0)
        reasons.append(found)
    return reasons


def _cuts(duck: duckdb.DuckDBPyConnection, view: ViewPlan, row: ServedRow) -> list[int]:
    """When the read may have been cut off: at itself, and before each of the newest arrivals."""
    came = f"coalesce(epoch_us({names.INGESTED_AT}), epoch_us({view.timestamp_field}))"
    matches = " AND ".join(f"{column} = ?" for column in view.join_keys)
    reach = row.at_us - _ON_ITS_WAY // timedelta(microseconds=1)
    arrivals = duck.execute(
        f"SELECT DISTINCT {came} AS came FROM {names.TABLE_EVENTS} WHERE {matches} AND {came} BETWEEN ? AND ?"
        f" ORDER BY came DESC LIMIT {_MOST_IN_FLIGHT}",
        [*split_key(row.key), reach, row.at_us],
    ).fetchall()
    return [row.at_us, *(came_us - 1 for (came_us,) in arrivals)]


def _explain_by_versions(duck: duckdb.DuckDBPyConnection, view: ViewPlan, cases: Sequence[_Case]) -> list[_Reasons]:
    """Per case, the differing features whose value is one of an earlier version of the table's row."""
    matches = " AND ".join(f"{column} = ?" for column in view.join_keys)
    reasons = []
    for row, differing in cases:
        times = duck.execute(
            f"SELECT DISTINCT epoch_us({view.timestamp_field}) FROM {view.table} WHERE {matches}"
            f" AND epoch_us({view.timestamp_field}) <= ?",
            [*split_key(row.key), row.at_us],
        ).fetchall()
        moments = [(row.key, at - 1) for (at,) in times]  # what held until each version
        earlier: list[dict[str, Any]] = values_as_of(duck, view, moments, differing)
        reasons.append(
            {
                feature: ("late", 0)
                for feature in differing
                if any(as_served(values[feature]) == row.values[feature] for values in earlier)
            }
        )
    return reasons
