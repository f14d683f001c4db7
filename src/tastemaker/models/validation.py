"""A validation part of the training data, held out the way the test part was."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import PROTOCOLS, FitContext

__all__ = ["USERS", "Validation", "guess_protocol", "validation_for", "validation_part"]

USERS = 5_000  # more tell little: the standard error of a recall of 0.2 over these is 0.006
_SHARE = 0.2  # of a user's items, where nothing says how many
_SESSION_SPAN = 0.005  # of the whole time: who comes only once stays for less

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Validation:
    """Training data in two: what to learn from, and questions whose answers are known.

    Attributes:
        train: what to learn from; holds nothing of ``relevant``.
        history: what is known of each user who is asked about, never empty; with times, ``now`` is when they are asked.
        relevant: user by user as in ``history``, the distinct items to find, at least one each, all known to ``train``.
        protocol: how they were held out, one of :data:`~tastemaker.models.protocol.PROTOCOLS`.
    """

    train: Histories
    history: Histories
    relevant: Histories
    protocol: str


def guess_protocol(train: Histories) -> str:
    """The protocol that suits training data when nobody says how the model will be judged.

    Without times there is no order: ``random``. Where each user's times count 0, 1, 2, ... they say nothing about other
    users: ``last-one``. Where half of the users stay only for a moment of the whole time: ``session``. Else
    ``temporal``, which is what live traffic is like.
    """
    if train.times is None or not len(train.items):
        return "random"
    filled = train.lengths > 0
    first = train.times[train.offsets[:-1][filled]]
    last = train.times[train.offsets[1:][filled] - 1]
    if (first == first[0]).all() and np.array_equal(last - first + 1, train.lengths[filled]):
        return "last-one"
    several = train.lengths[filled] > 1
    if several.mean() > 0.5 and np.median((last - first)[several]) < _SESSION_SPAN * np.ptp(train.times):
        return "session"
    return "temporal"


def validation_part(
    train: Histories,
    *,
    seed: int,
    protocol: str | None = None,
    horizon: float | None = None,
    relevant_per_user: float | None = None,
    users: int = USERS,
) -> Validation:
    """Hold out a part of the training data.

    ``random``: of every user, as large a share of items as in the test, drawn at random; also of those who are not
    asked about, because the test took its share of them too: beside whole users, models that count co-occurrences
    look better than they are. ``last-one``: the last item of every user (the last n, where n are relevant per user on
    average). ``temporal``: all interactions of the last ``horizon``. ``session``: whole users, the last ones, each
    asked about at every prefix; without times, random users with a random part of their items.

    Args:
        train: every user's interactions.
        seed: of all that is drawn.
        protocol: one of :data:`~tastemaker.models.protocol.PROTOCOLS`; guessed when left out.
        horizon: length of the test window in the unit of the times.
        relevant_per_user: mean number of distinct relevant items per test user.
        users: at most that many are asked about.

    Raises:
        DataError: the protocol is unknown or needs times that are not there, or nobody has enough to hold out.
    """
    chosen = protocol or guess_protocol(train)
    if chosen not in PROTOCOLS:
        raise DataError(f"unknown protocol {chosen!r}; it is one of {', '.join(PROTOCOLS)}")
    if chosen in {"last-one", "temporal"} and train.times is None:
        raise DataError(f"the protocol {chosen} needs times, and the training data has none; take random")
    rng = np.random.default_rng(seed)
    if chosen == "session":
        kept, history, relevant = _sessions(train, relevant_per_user, users, rng)
    elif chosen == "temporal":
        kept, history, relevant = _window(train, horizon)
    else:
        share = _share(train, relevant_per_user)
        held = _drawn(train, share, rng) if chosen == "random" else _tails(train, relevant_per_user)
        kept = history = train.where(~held)
        relevant = train.where(held)
    relevant = _distinct(relevant.where(kept.popularity()[relevant.items] > 0))
    asked = np.flatnonzero((relevant.lengths > 0) & (history.lengths > 0))
    if not len(asked):
        raise DataError("no user has enough interactions to hold some out; give a train table with longer histories")
    if len(asked) > users:
        asked = np.sort(rng.choice(asked, users, replace=False))
    history = history.take(asked)
    if chosen in {"last-one", "session"} and history.times is not None:
        history = history.at(history.times[history.offsets[1:] - 1])
    return Validation(kept, history, relevant.take(asked), chosen)


def validation_for(train: Histories, context: FitContext) -> Validation:
    """What :func:`validation_part` holds out for a fit: as its context says that the model will be judged."""
    return validation_part(
        train,
        seed=context.seed,
        protocol=context.protocol,
        horizon=context.horizon,
        relevant_per_user=context.relevant_per_user,
    )


def _share(train: Histories, relevant_per_user: float | None) -> float:
    """Of a user's items, the share that the test has."""
    if not relevant_per_user:
        return _SHARE
    distinct = train.matrix(binary=True).nnz / max(1, (train.lengths > 0).sum())
    return float(np.clip(relevant_per_user / (relevant_per_user + distinct), 0.05, 0.5))


def _drawn(train: Histories, share: float, rng: np.random.Generator) -> Bools:
    """Which interactions to hold out: a random share of the items of all users with three items or more."""
    pairs, of = np.unique(train.rows * train.n_items + train.items, return_inverse=True)
    owners = pairs // train.n_items
    sizes = np.bincount(owners, minlength=train.n_users)
    # Rounded at random, so that the mean share is right for short histories too.
    number = np.clip(np.floor(sizes * share + rng.random(train.n_users)), 1, np.maximum(sizes - 2, 1))
    order = np.lexsort((rng.random(len(pairs)), owners))
    place = np.empty(len(pairs), dtype=np.int64)
    place[order] = np.arange(len(pairs)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(((place < number[owners]) & (sizes >= 3)[owners])[of])


def _tails(train: Histories, relevant_per_user: float | None) -> Bools:
    """Which interactions to hold out: the last n of every user who has more than n."""
    n = max(1, round(relevant_per_user or 1))
    from_end = np.repeat(train.offsets[1:], train.lengths) - np.arange(len(train.items))
    return np.asarray((from_end <= n) & (train.lengths > n)[train.rows])


def _window(train: Histories, horizon: float | None) -> tuple[Histories, Histories, Histories]:
    """Before and after a moment that leaves at least half of the interactions to learn from."""
    times = train.times
    assert times is not None
    cut = np.quantile(times, 0.9) if horizon is None else times.max(initial=0.0) - horizon
    if (times < cut).mean() < 0.5:
        cut = np.quantile(times, 0.8)
    before = train.where(times < cut).at(cut)
    return before, before, train.where(times >= cut)


def _sessions(
    train: Histories, relevant_per_user: float | None, users: int, rng: np.random.Generator
) -> tuple[Histories, Histories, Histories]:
    """Without whole users, and their prefixes with what follows each."""
    able = np.flatnonzero(train.lengths >= 2)
    ends = rng.random(train.n_users) if train.times is None else train.times[np.maximum(train.offsets[1:] - 1, 0)]
    newest = able[np.argsort(-ends[able], kind="stable")]
    questions = 1 if train.times is None else train.lengths[newest] - 1
    # As many of the last users as give the questions asked for, at most every tenth user.
    enough = int(np.searchsorted(np.cumsum(np.broadcast_to(questions, newest.shape)), users)) + 1
    held = np.sort(newest[: min(enough, max(1, train.n_users // 10))])
    out = np.ones(train.n_users, dtype=np.bool_)
    out[held] = False
    kept, whole = train.where(out[train.rows]), train.take(held)
    if train.times is None:
        known = ~_drawn(whole, _share(train, relevant_per_user), rng)
        return kept, whole.where(known), whole.where(~known)
    # One copy of the user per prefix: copy c of a user knows the first c + 1 interactions.
    copies = np.maximum(whole.lengths - 1, 0)
    each = whole.take(np.repeat(np.arange(len(held)), copies))
    prefix = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies) + 1
    place = np.arange(len(each.items)) - np.repeat(each.offsets[:-1], each.lengths)
    known = place < prefix[each.rows]
    wanted = ~known if (relevant_per_user or 1) > 1.5 else place == prefix[each.rows]
    return kept, each.where(known), each.where(wanted)


def _distinct(histories: Histories) -> Histories:
    """Each item of a user once, where it came first."""
    first = np.zeros(len(histories.items), dtype=np.bool_)
    first[np.unique(histories.rows * histories.n_items + histories.items, return_index=True)[1]] = True
    return histories.where(first)
