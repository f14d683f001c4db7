"""Measure what a release's lists are like: by segment, exposure, cold starts, and probabilities."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.evaluation import metrics
from tastemaker.evaluation.beyond_accuracy import list_mean, percentiles
from tastemaker.evaluation.intervals import LEVEL, paired_difference
from tastemaker.evaluation.splits import Split
from tastemaker.evaluation.truth import Ranking, Truth
from tastemaker.lake.tables import Lake
from tastemaker.models.ranker.calibration import expected_calibration_error
from tastemaker.promotion.list_conduct import ListConduct, ProbabilityError, SegmentQuality
from tastemaker.serving.contract import ServedList

__all__ = ["Scored", "countries_of", "measure_conduct", "unknown_shoppers"]

_LEAST = 30  # users below which a segment says nothing
_NEW_DAYS = 28
_FEW = 20  # purchases: about one order of a gift shop
_MOST_COUNTRIES = 4
_SCORED_USERS = 2_000  # whose lists' probabilities are looked at

Ints = npt.NDArray[np.int64]


@dataclass(eq=False)
class Scored:
    """Collects what the ranker saw of listed items while lists are made, and whether they were bought.

    A list's own scores are standardised, so the ranker is asked again for its log-odds.

    Attributes:
        bought: item ids by user, of the test window; empty where the ranker foretells more than a purchase.
        ranker: from float32 ``[n, features]`` to log-odds of a purchase; None where there is none.
        columns: of its matrix, by name; a list is logged with further ones.
        rows: features of listed items.
        labels: whether it happened.
    """

    bought: Mapping[str, frozenset[str]]
    ranker: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] | None = None
    columns: Sequence[str] = ()
    rows: list[tuple[float, ...]] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)
    users: int = 0

    def __call__(self, user: str, served: ServedList) -> None:
        """Take up one list."""
        if not self.bought or self.users >= _SCORED_USERS or not served.features or served.tier != "full":
            return
        if not set(self.columns) <= set(served.feature_names):
            return
        self.users += 1
        places = [served.feature_names.index(name) for name in self.columns]
        taken = self.bought.get(user, frozenset())
        self.rows += [tuple(values[at] for at in places) for values in served.features.values()]
        self.labels += [item in taken for item in served.features]

    def error(self) -> ProbabilityError | None:
        """How far the probabilities are off; None where no list had scores."""
        if not self.rows or self.ranker is None:
            return None
        odds = self.ranker(np.array(self.rows, dtype=np.float32)).astype(np.float64)
        chance = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        happened = np.array(self.labels, dtype=np.float64)
        return ProbabilityError(
            pairs=len(chance),
            bought=int(happened.sum()),
            expected=float(chance.sum()),
            error=float(expected_calibration_error(chance, happened)),
        )


def countries_of(lake: Lake, cut: datetime) -> dict[str, str]:
    """The country that each shopper's events named most recently before a moment."""
    with lake.connect() as connection:
        rows = connection.execute(
            f"""SELECT {names.USER_ID}, arg_max({names.CONTEXT} ->> '$.country', {names.OCCURRED_AT})
            FROM {names.TABLE_EVENTS} WHERE {names.USER_ID} IS NOT NULL AND {names.OCCURRED_AT} < ?
            AND {names.CONTEXT} ->> '$.country' IS NOT NULL GROUP BY 1""",
            [cut],
        ).fetchall()
    return dict(rows)


def measure_conduct(
    split: Split,
    rankings: Mapping[str, Ranking],
    *,
    candidate: str,
    against: str | None,
    countries: Mapping[str, str],
    scored: Scored,
    newcomers: tuple[Truth, Mapping[str, Ranking], str] | None,
    k: int,
    seed: int,
) -> ListConduct:
    """Sum up the lists of the test users.

    Args:
        split: what was learned from, and what is judged by.
        rankings: lists by model name, of the users of ``split.truth``.
        candidate: the name of the release's.
        against: the model that segments are compared with; None: with no one.
        countries: by user.
        scored: what was collected while the candidate's lists were made.
        newcomers: shoppers whom training does not know: what they took, lists by model, and the one to compare with.
        k: length of the lists.
        seed: of the bootstrap.
    """
    truth = split.truth
    if not len(truth.user_ids):
        return ListConduct()
    ranked = {name: truth.index(ranking, k) for name, ranking in rankings.items()}
    moments = _first_bought(split.train, truth.catalogue)
    sold = _counts(split.train, truth.catalogue)
    share = percentiles(sold)
    ours, items = ranked[candidate], len(truth.catalogue)
    known = np.where(ours < items, ours, -1)
    bought = truth.relevant[truth.relevant >= 0]
    cut_us = to_us(split.cut) if split.cut is not None else 0
    fresh = moments >= cut_us - int(timedelta(days=_NEW_DAYS).total_seconds() * 1_000_000)
    places = known[known >= 0]
    unequal = {name: metrics.gini(np.where(found < items, found, -1), items) for name, found in ranked.items()}
    others = [value for name, value in unequal.items() if name not in {candidate, against}]
    return ListConduct(
        segments=tuple(
            _segments(
                split,
                ranked,
                candidate=candidate,
                against=against,
                countries=countries,
                newcomers=newcomers,
                k=k,
                seed=seed,
            )
        ),
        popularity=float(np.nanmean(list_mean(known, share))) if len(places) else None,
        bought_popularity=float(share[bought].mean()),
        gini=float(unequal[candidate]),
        baseline_gini=float(min(others)) if others else None,
        new_item_share=float(fresh[places].mean()) if len(places) else None,
        new_bought_share=float(fresh[bought].mean()),
        probabilities=scored.error(),
    )


def _segments(
    split: Split,
    ranked: Mapping[str, Ints],
    *,
    candidate: str,
    against: str | None,
    countries: Mapping[str, str],
    newcomers: tuple[Truth, Mapping[str, Ranking], str] | None,
    k: int,
    seed: int,
) -> Iterator[SegmentQuality]:
    found: list[tuple[str, npt.NDArray[np.float64], npt.NDArray[np.float64], str, bool]] = []
    if against is not None:
        ours, theirs = (metrics.per_user(ranked[name], split.truth.relevant)["ndcg"] for name in (candidate, against))
        for name, mask, cold in _masks(split, countries):
            found.append((name, ours[mask], theirs[mask], against, cold))
    if newcomers is not None:
        truth, lists, other = newcomers
        values = [metrics.per_user(truth.index(lists[name], k), truth.relevant)["ndcg"] for name in (candidate, other)]
        found.append(("history: none", values[0], values[1], other, True))
    large = [one for one in found if len(one[1]) >= _LEAST]
    level = 1 - (1 - LEVEL) / max(len(large), 1)  # Bonferroni: looking at many must not find one by chance
    for name, mine, other_values, other, cold in large:
        yield SegmentQuality(
            segment=name,
            users=len(mine),
            against=other,
            ours=float(mine.mean()),
            theirs=float(other_values.mean()),
            difference=paired_difference(mine, other_values, seed=seed, level=level),
            cold=cold,
        )


def _masks(split: Split, countries: Mapping[str, str]) -> Iterator[tuple[str, npt.NDArray[np.bool_], bool]]:
    users = split.truth.user_ids
    history = _counts(split.train, users, names.USER_ID)
    yield f"history: up to {_FEW} purchases", history <= _FEW, True
    middle = float(np.median(history[history > _FEW])) if (history > _FEW).any() else float(_FEW)
    yield f"history: up to {middle:.0f} purchases", (history > _FEW) & (history <= middle), False
    yield f"history: over {middle:.0f} purchases", history > middle, False
    named = np.array([countries.get(user, "") for user in users.tolist()])
    values, counts = np.unique(named[named != ""], return_counts=True)
    for at in np.argsort(-counts, kind="stable")[:_MOST_COUNTRIES]:
        yield f"country: {values[at]}", named == values[at], False


def _counts(rows: pa.Table, ids: npt.NDArray[np.str_], column: str = names.ITEM_ID) -> npt.NDArray[np.float64]:
    """How often each id is in a column."""
    places = pc.index_in(rows[column], value_set=pa.array(ids.tolist(), rows[column].type))
    found = places.drop_null().to_numpy()
    return np.bincount(found, minlength=len(ids)).astype(np.float64)


def _first_bought(rows: pa.Table, catalogue: npt.NDArray[np.str_]) -> Ints:
    """When each item was bought first, in microseconds."""
    times = rows[names.OCCURRED_AT].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    places = pc.index_in(rows[names.ITEM_ID], value_set=pa.array(catalogue.tolist(), rows[names.ITEM_ID].type))
    first = np.full(len(catalogue), np.iinfo(np.int64).max)
    np.minimum.at(first, places.to_numpy(), times)
    return first


def unknown_shoppers(rows: pa.Table, window: pa.Table, known_items: Sequence[str]) -> pa.Table:
    """Rows of a window that are of shoppers whom training does not know, and of items that it does."""
    stranger = pc.invert(pc.is_in(window[names.USER_ID], value_set=pc.unique(rows[names.USER_ID])))
    item = pc.is_in(window[names.ITEM_ID], value_set=pa.array(list(known_items), window[names.ITEM_ID].type))
    return window.filter(pc.and_(stranger, item))
