"""The ranking metrics against ranx, an independent implementation (Bassani, ECIR 2022)."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.evaluation import metrics

CUTOFFS = (1, 5, 10, 20)
USERS, ITEMS = 60, 80

# Without compilation it takes a second, with it a minute; a process of its own, so that nothing else is uncompiled.
RANX = """
import json, sys
from ranx import Qrels, Run, evaluate
qrels, runs, names = json.load(sys.stdin)
found = evaluate(Qrels(qrels), Run(runs), names, return_mean=False, make_comparable=False)
print(json.dumps({name: {q: float(v) for q, v in zip(sorted(qrels), values)} for name, values in found.items()}))
"""


@pytest.fixture(scope="module")
def lists() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    ranked = np.array([rng.permutation(ITEMS)[:20] for _ in range(USERS)])
    relevant = np.full((USERS, 30), -1)
    for user in range(USERS):
        n = rng.integers(1, 31)
        relevant[user, :n] = rng.choice(ITEMS, n, replace=False)
    return ranked, relevant


def test_every_metric_equals_ranx(lists):
    ranked, relevant = lists
    users = [f"u{user:03d}" for user in range(USERS)]
    qrels = {u: {str(i): 1 for i in row if i >= 0} for u, row in zip(users, relevant.tolist(), strict=True)}
    runs = {
        u: {str(i): 1 - place / 100 for place, i in enumerate(row)}
        for u, row in zip(users, ranked.tolist(), strict=True)
    }
    names = [f"{name}@{k}" for name in metrics.RANKING_METRICS for k in CUTOFFS]
    answer = subprocess.run(
        [sys.executable, "-c", RANX],
        input=json.dumps([qrels, runs, names]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    theirs = json.loads(answer.stdout)
    for k in CUTOFFS:
        ours = metrics.of_hits(metrics.hits(ranked[:, :k], relevant), (relevant >= 0).sum(axis=1))
        for name, values in ours.items():
            expected = [theirs[f"{name}@{k}"][user] for user in users]
            np.testing.assert_allclose(values, expected, atol=1e-12, err_msg=f"{name}@{k}")


@given(st.data())
def test_hits_among_pairs_are_those_of_padded_sets(data):
    n_users, n_items, k = data.draw(st.integers(1, 5)), data.draw(st.integers(3, 12)), data.draw(st.integers(1, 3))
    ranked = np.array([data.draw(st.permutations(range(n_items)))[:k] for _ in range(n_users)])
    sets = [data.draw(st.sets(st.integers(0, n_items - 1))) for _ in range(n_users)]
    pairs = np.array([(user, item) for user, found in enumerate(sets) for item in found], dtype=np.int64).reshape(-1, 2)
    expected = [[item in sets[user] for item in ranked[user]] for user in range(n_users)]
    assert metrics.hits_among(ranked, pairs[:, 0], pairs[:, 1]).tolist() == expected


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 5))
def test_metrics_stay_between_0_and_1_and_a_better_list_never_scores_less(hit, more):
    flags = np.array([hit])
    n_relevant = np.array([sum(hit) + more])
    found = metrics.of_hits(flags, n_relevant)
    best = metrics.of_hits(np.sort(flags, axis=1)[:, ::-1], n_relevant)
    for name, values in found.items():
        if n_relevant[0] == 0 and name in {"recall", "ndcg", "map"}:
            assert np.isnan(values[0])
        else:
            assert 0 <= values[0] <= best[name][0] <= 1 + 1e-12


def test_map_of_a_hand_worked_list():
    # Hits at ranks 1 and 4 of 3 relevant items: (1/1 + 2/4) / 3 = 0.5
    assert metrics.average_precision(np.array([[True, False, False, True]]), np.array([3])).tolist() == [0.5]


def test_gini_of_a_hand_worked_distribution():
    # Counts 0, 1, 3 of three items: sum of (2i - n - 1) x_i = (-2)0 + 0*1 + 2*3 = 6; over n * total = 12: 0.5
    assert metrics.gini(np.array([[2, 1], [2, -1], [2, -1]]), 3) == pytest.approx(0.5)


def test_gini_of_no_lists_is_0():
    assert metrics.gini(np.full((2, 3), -1), 5) == 0
