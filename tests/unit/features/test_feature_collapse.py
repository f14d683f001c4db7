"""Packed states to values, on entries small enough to count by hand."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tastemaker
from tastemaker.errors import DataError
from tastemaker.features.layout import APPLIED, BASE, MAX_SLOTS, distinct_estimates, label_number, layout_of
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.reading.collapse import collapse, validity
from tastemaker.features.reading.top_labels import top_labels
from tastemaker.features.semantics import DAY_US, DECAY_UNIT, MICROS, NEVER, SUM_CAP, SUM_DECAY_UNIT

HOUR_US = DAY_US // 24
MIDNIGHT = 15_000 * DAY_US
BUY = ("purchase",)
TWO_DAYS = {"window_us": 2 * DAY_US, "slide_us": DAY_US}


def feature(name: str, function: str, column: str = "event_id", dtype: str = "float64", **more) -> FeatureSpec:
    return FeatureSpec(name=name, function=function, column=column, dtype=dtype, types=BUY, **more)


def view(*features: FeatureSpec, ttl_us: int = 0) -> ViewPlan:
    return ViewPlan(
        name="by_item",
        kind="aggregate",
        entities=("item",),
        join_keys=("item_id",),
        features=features,
        table="events",
        timestamp_field="occurred_at",
        ttl_us=ttl_us,
    )


def state(of: ViewPlan, *entries: tuple[int | str, str, int, int, int]) -> bytes:
    """Packed entries, each a kind (or "head"), an op, a start, a label and a value."""
    layout = layout_of(of)
    ops = [slot.op for slot in layout.slots]
    coded = [
        (layout.code(layout.head if kind == "head" else kind, ops.index(op)), *rest) for kind, op, *rest in entries
    ]
    return np.array(sorted(coded), "<i8").tobytes()


COUNTS = view(
    feature("n_2d", "count", dtype="int64", default=0, **TWO_DAYS),
    feature("n", "count", dtype="int64", default=0),
    feature("since", "time_since_last", "occurred_at", default=-1),
)
TILE = 2  # the first tile group


def test_window_decays_in_steps_while_nothing_happens() -> None:
    # One event on day 0, two on day 1, and the newest at 07:00 of day 2, which is the head.
    newest = MIDNIGHT + 2 * DAY_US + 7 * HOUR_US
    packed = state(
        COUNTS,
        (BASE, "last", 0, 0, MIDNIGHT + DAY_US + 1),
        (BASE, "count", 0, 0, 3),
        (TILE, "count", MIDNIGHT, 0, 1),
        (TILE, "count", MIDNIGHT + DAY_US, 0, 2),
        ("head", "last", newest, 0, newest),
        ("head", "count", newest, 0, 1),
    )
    # At its own moment the newest does not count; the window begins with day 0, the last event is of day 1.
    assert collapse(COUNTS, [packed], newest)[0, :2].tolist() == [3, 3]
    assert collapse(COUNTS, [packed], newest)[0, 2] == (DAY_US + 7 * HOUR_US - 1) / DAY_US
    assert collapse(COUNTS, [packed], newest + HOUR_US)[0].tolist() == [4, 4, 1 / 24]
    # Day 2, 23:59:59.999999: still day 0. Day 3, 00:00: from day 1. Day 4: from day 2. Day 5: from day 3.
    found = [collapse(COUNTS, [packed], MIDNIGHT + day * DAY_US - late)[0, 0] for day, late in [(3, 1), (3, 0), (4, 0), (5, 0)]]  # fmt: skip # noqa: E501
    assert found == [4, 3, 1, 0]


def test_unknown_entities_are_at_their_defaults_among_known_ones() -> None:
    packed = state(COUNTS, ("head", "last", MIDNIGHT, 0, MIDNIGHT), ("head", "count", MIDNIGHT, 0, 1))
    found = collapse(COUNTS, [None, packed, b""], MIDNIGHT + DAY_US)
    assert found.tolist() == [[0, 0, -1], [1, 1, 1], [0, 0, -1]]
    assert found.dtype == np.float64
    assert collapse(COUNTS, [], MIDNIGHT).shape == (0, 3)
    assert collapse(COUNTS, [None], MIDNIGHT).tolist() == [[0, 0, -1]]


def test_offsets_that_a_state_notes_are_no_events() -> None:
    packed = np.array([[APPLIED * MAX_SLOTS, 3, 0, 77]], "<i8").tobytes()
    assert collapse(COUNTS, [packed], MIDNIGHT).tolist() == [[0, 0, -1]]


def test_features_of_a_subset_come_in_the_order_asked_for() -> None:
    packed = state(COUNTS, ("head", "last", MIDNIGHT, 0, MIDNIGHT), ("head", "count", MIDNIGHT, 0, 5))
    assert collapse(COUNTS, [packed], MIDNIGHT + DAY_US, ("since", "n")).tolist() == [[1, 5]]
    assert collapse(COUNTS, [packed], MIDNIGHT + DAY_US, ()).shape == (1, 0)


def test_ttl_is_inclusive_and_brings_defaults_back() -> None:
    brief = view(*COUNTS.features, ttl_us=DAY_US)
    packed = state(brief, ("head", "last", MIDNIGHT, 0, MIDNIGHT), ("head", "count", MIDNIGHT, 0, 5))
    assert collapse(brief, [packed], MIDNIGHT + DAY_US)[0].tolist() == [5, 5, 1]
    assert collapse(brief, [packed], MIDNIGHT + DAY_US + 1)[0].tolist() == [0, 0, -1]


AMOUNTS = view(
    feature("total", "sum", "value", default=0),
    feature("mean", "mean", "value"),
    feature("spread", "stddev", "value", default=-1),
    feature("least", "min", "value", default=-1),
    feature("most", "max", "value", default=-1),
    feature("share", "ratio", "", operands=("total", "n"), default=-3),
    feature("n", "count", dtype="int64", default=0),
)


def test_amounts_are_doubles_of_whole_micro_units() -> None:
    # Two events, 1.0 and 2.0, and one without an amount.
    packed = state(
        AMOUNTS,
        ("head", "last", MIDNIGHT, 0, MIDNIGHT),
        ("head", "count", MIDNIGHT, 0, 2),
        ("head", "sum", MIDNIGHT, 0, 3 * MICROS),
        ("head", "sum_sq", MIDNIGHT, 0, 5 * MICROS),
        ("head", "min", MIDNIGHT, 0, MICROS),
        ("head", "max", MIDNIGHT, 0, 2 * MICROS),
    )
    layout = layout_of(AMOUNTS)
    every = next(index for index, slot in enumerate(layout.slots) if slot.op == "count" and not slot.column)
    packed += np.array([[layout.code(layout.head, every), MIDNIGHT, 0, 3]], "<i8").tobytes()
    # The spread is sqrt(5 / 2 - 1.5 ** 2) = 0.5; three events share 3.0.
    assert collapse(AMOUNTS, [packed], MIDNIGHT + 1)[0].tolist() == [3, 1.5, 0.5, 1, 2, 1, 3]


def test_without_an_amount_only_the_sum_is_no_default() -> None:
    packed = state(AMOUNTS, ("head", "last", MIDNIGHT, 0, MIDNIGHT))
    total, mean, *others = collapse(AMOUNTS, [packed], MIDNIGHT + 1)[0].tolist()
    assert math.isnan(mean)
    assert (total, others) == (0, [-1, -1, -1, -3, 0])


def test_sums_stop_at_the_cap_in_any_cut() -> None:
    packed = state(
        AMOUNTS,
        (BASE, "last", 0, 0, MIDNIGHT),
        (BASE, "sum", 0, 0, SUM_CAP),
        ("head", "sum", MIDNIGHT + 1, 0, SUM_CAP),
        ("head", "sum", MIDNIGHT + 2, 0, 7),
    )
    assert collapse(AMOUNTS, [packed], MIDNIGHT + 9, ("total",))[0, 0] == float(SUM_CAP) / 1e6


def test_distinct_labels_count_each_cell_once() -> None:
    sketch = view(
        feature("ever", "approx_distinct", "item_id", "int64", n=16, default=0),
        feature("recent", "approx_distinct", "item_id", "int64", n=16, default=0, **TWO_DAYS),
    )
    now = MIDNIGHT + 5 * DAY_US
    packed = state(
        sketch,
        (BASE, "last", 0, 0, now - 20),
        (BASE, "cells", 0, 3, MIDNIGHT),
        (BASE, "cells", 0, 4, now - DAY_US),
        ("head", "cells", now - 1, 3, now - 1),
        ("head", "cells", now - 2, 3, now - 2),
        ("head", "cells", now - 2, 9, now - 2),
        ("head", "cells", now, 11, now),  # not yet
    )
    of = distinct_estimates(16)
    # Cells 3, 4 and 9 in both; half a day ago only cell 4 of the window and 3 of long ago.
    assert collapse(sketch, [packed, packed], now).tolist() == [[of[3], of[3]]] * 2
    assert collapse(sketch, [packed], now - 2)[0].tolist() == [of[2], of[1]]


def test_decayed_counts_and_sums_halve_with_every_half_life() -> None:
    fading = view(
        feature("n", "decayed_count", half_life_us=DAY_US, default=0),
        feature("total", "decayed_sum", "value", half_life_us=DAY_US, default=0),
    )
    packed = state(
        fading,
        (BASE, "last", 0, 0, MIDNIGHT),
        (TILE, "count", MIDNIGHT - 2 * DAY_US, 0, 8),
        (TILE, "count", MIDNIGHT, 0, 1),
        (TILE, "sum", MIDNIGHT - 2 * DAY_US, 0, 4 * MICROS),
        ("head", "sum", MIDNIGHT + 5, 0, 3 * MICROS),
        ("head", "count", MIDNIGHT + 5, 0, 1),
    )
    # On the day itself 8 / 4 + 2 = 4 and 4 / 4 + 3 = 4; a day later half of it; after 60 half-lives nothing.
    assert collapse(fading, [packed], MIDNIGHT + 6)[0].tolist() == [4, 4]
    assert collapse(fading, [packed], MIDNIGHT + DAY_US)[0].tolist() == [2, 2]
    assert collapse(fading, [packed], MIDNIGHT + 60 * DAY_US)[0].tolist() == [0, 0]


def test_decayed_totals_past_64_bits_are_the_nearest_double() -> None:
    # A half-life of 10 years of days at the cap: weights sum up to far more than 64 bits hold.
    half_life = 3650 * DAY_US
    fading = view(
        feature("n", "decayed_count", half_life_us=half_life, default=0),
        feature("total", "decayed_sum", "value", half_life_us=half_life, default=0),
    )
    days = range(3000)
    packed = state(
        fading,
        (BASE, "last", 0, 0, MIDNIGHT),
        *((TILE, "count", MIDNIGHT - day * DAY_US, 0, 2**30 + day) for day in days),
        *((TILE, "sum", MIDNIGHT - day * DAY_US, 0, 2**60 + day) for day in days),
    )
    count, total = collapse(fading, [packed], MIDNIGHT + 1)[0].tolist()
    units = [round(DECAY_UNIT * 2.0 ** (-day / 3650)) for day in days]
    assert count == float(sum((2**30 + day) * unit for day, unit in zip(days, units, strict=True))) / DECAY_UNIT
    # Each day is capped at 2**50 micro-units, which has no low limb: 2**26 high limbs of 2**24.
    high = sum(2**26 * round(SUM_DECAY_UNIT * 2.0 ** (-day / 3650)) for day in days)
    assert total == float(high) * 2**24 / SUM_DECAY_UNIT / 1e6


def test_top_labels_break_ties_by_text_and_leave_out_what_weighs_nothing() -> None:
    spec = feature("best", "top_k", "category", "list[string]", n=3)
    best = view(spec)
    texts = {label_number(text): text for text in ("b", "a", "c", "d", "zero")}
    number = {text: label for label, text in texts.items()}
    packed = state(
        best,
        (BASE, "last", 0, 0, MIDNIGHT),
        (BASE, "labels", 0, number["a"], 1),
        (BASE, "labels", 0, number["b"], 1),
        (BASE, "labels", 0, number["c"], 5),
        (BASE, "labels", 0, number["zero"], 0),
        ("head", "labels", MIDNIGHT + 1, number["d"], 1),
        ("head", "labels", MIDNIGHT + 2, number["b"], 1),
    )
    find = lambda numbers: {one: texts[one] for one in numbers}  # noqa: E731
    assert top_labels(best, spec, [packed, None], MIDNIGHT + 9, find) == [["c", "b", "a"], []]
    # Before the head: one each, in the order of the text.
    assert top_labels(best, spec, [packed], MIDNIGHT + 1, find) == [["c", "a", "b"]]
    with pytest.raises(DataError, match="rebuild it from the lake"):
        top_labels(best, spec, [packed], MIDNIGHT + 9, lambda _numbers: {})


def test_list_is_no_column_of_a_matrix() -> None:
    with pytest.raises(DataError, match="feature best of view by_item is no number"):
        collapse(view(feature("best", "top_k", "category", "list[string]", n=3)), [None], MIDNIGHT)


def test_validity_ends_where_something_changes() -> None:
    newest = MIDNIGHT + DAY_US + HOUR_US
    packed = state(
        COUNTS,
        (BASE, "last", 0, 0, MIDNIGHT + 1),
        (BASE, "count", 0, 0, 1),
        (TILE, "count", MIDNIGHT, 0, 1),
        ("head", "last", newest, 0, newest),
        ("head", "count", newest, 0, 1),
    )
    # Before the head is visible; then until day 0 leaves the window at the start of day 3; then until day 1 does.
    for now, since, until in [
        (newest, NEVER, newest + 1),
        (newest + 1, newest + 1, MIDNIGHT + 3 * DAY_US),
        (MIDNIGHT + 3 * DAY_US, MIDNIGHT + 3 * DAY_US, MIDNIGHT + 4 * DAY_US),
        (MIDNIGHT + 9 * DAY_US, MIDNIGHT + 4 * DAY_US, 2**63 - 1),
    ]:
        _, times, spans = validity(COUNTS, [packed], now)
        assert spans.tolist() == [[since, until]]
        assert times[0].tolist() == [NEVER, NEVER, MIDNIGHT + 1 if now == newest else newest]


def test_compiled_code_is_found_by_a_copy_of_the_package_elsewhere(tmp_path) -> None:
    source = Path(tastemaker.__file__).parent
    code = (
        "import tastemaker; from tastemaker.features.reading.collapse_kernel import nearest_double as loop\n"
        "loop(1, 2, 3); print(tastemaker.__file__, sum(loop.stats.cache_hits.values()))"
    )
    found = []
    for place in ("first", "second"):
        copy = tmp_path / place / "tastemaker"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        environ = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled"), "PYTHONPATH": str(tmp_path / place)}
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
        path, hits = ran.stdout.split()
        assert Path(path).is_relative_to(tmp_path / place)
        found.append(int(hits))
    assert found == [0, 1]


def test_compiled_code_works_where_nothing_can_be_written(tmp_path) -> None:
    # Neither beside the source nor in a home: numba finds no place, and compiles for this process alone.
    code = (
        "from numba.core import caching\n"
        "for kind in caching.CacheImpl._locator_classes: kind.from_function = classmethod(lambda *_: None)\n"
        "from tastemaker.features.jit import compiled\n"
        "print(compiled(lambda x: x + 1)(41))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout.split() == ["42"]
