"""The leak check: what knows the label is named, and what does not is left alone."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tastemaker.features.audit.leaks import LeakFound, LeakLimits, Telling, find_leaks, require_no_leak

ROWS, SHOPPERS = 4_000, 200


@pytest.fixture(scope="module")
def draw() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def labels(draw: np.random.Generator) -> npt.NDArray[np.int64]:
    return (draw.random(ROWS) < 0.4).astype(np.int64)


@pytest.fixture(scope="module")
def shoppers() -> list[str]:
    return [f"u{row % SHOPPERS}" for row in range(ROWS)]


def telling(values: Any, labels: Any, shoppers: Any, earlier: Any = None) -> Telling:
    before = None if earlier is None else {"f": earlier}
    (found,) = find_leaks({"f": values}, labels, shoppers, earlier=before)
    return found


def test_noise_tells_nothing(labels: Any, shoppers: Any, draw: np.random.Generator) -> None:
    found = telling(draw.normal(size=ROWS), labels, shoppers, draw.normal(size=ROWS))
    # The AUC of noise has the standard error sqrt((n1 + n0 + 1) / (12 n1 n0)) = 0.0093 with 1,600 of 4,000 positive.
    assert found.auc == pytest.approx(0.5, abs=4 * 0.0093)
    assert found.error == pytest.approx(0.0093, rel=0.35)
    assert not found.leak


def test_constant_tells_exactly_nothing(labels: Any, shoppers: Any) -> None:
    found = telling(np.zeros(ROWS), labels, shoppers, np.full(ROWS, np.nan))
    assert (found.auc, found.earlier, found.leak) == (0.5, 0.5, "")


def test_known_distribution_has_its_known_area(shoppers: Any, draw: np.random.Generator) -> None:
    labels = draw.integers(0, 2, ROWS)
    found = telling(draw.normal(size=ROWS) + labels, labels, shoppers)
    # Two normal distributions one standard deviation apart: AUC = Phi(1 / sqrt(2)) = 0.7602.
    assert found.auc == pytest.approx(0.7602, abs=0.03)
    assert not found.leak


def test_label_itself_is_a_leak_that_tells_too_much(labels: Any, shoppers: Any) -> None:
    found = telling(labels, labels, shoppers)
    assert found.auc == 1.0
    assert "AUC of 1.000, and 0.95 is more than is plausible" in found.leak


def test_leak_of_any_shape_is_found(labels: Any, shoppers: Any, draw: np.random.Generator) -> None:
    sides = draw.choice([-1.0, 1.0], ROWS)
    both_ends = labels * sides * 9 + draw.normal(size=ROWS)  # positives at both ends: no threshold tells them
    missing = np.where(labels == 1, np.nan, draw.normal(size=ROWS))
    text = np.where(labels == 1, draw.choice(["a", "b"], ROWS), draw.choice(["c", "d"], ROWS))
    for values in (both_ends, missing, text, -labels.astype(float)):
        assert telling(values, labels, shoppers).leak


def test_feature_that_goes_blind_a_day_earlier_is_a_leak(labels: Any, shoppers: Any, draw: np.random.Generator) -> None:
    noisy = np.where(draw.random(ROWS) < 0.3, 1 - labels, labels)  # right in seven of ten
    found = telling(noisy, labels, shoppers, draw.integers(0, 2, ROWS))
    assert found.auc < 0.75
    assert "0.70" in found.leak or "0.69" in found.leak or "0.71" in found.leak
    assert "24 h earlier" in found.leak


def test_feature_that_tells_as_much_a_day_earlier_is_none(
    labels: Any, shoppers: Any, draw: np.random.Generator
) -> None:
    taste = labels * 1.0 + draw.normal(size=ROWS)
    found = telling(taste, labels, shoppers, taste + 0.2 * draw.normal(size=ROWS))
    assert found.auc > 0.7
    assert not found.leak


def test_shopper_who_is_remembered_is_no_leak(shoppers: Any, draw: np.random.Generator) -> None:
    # Half of the shoppers always buy: their ids tell everything about them, and nothing about another shopper.
    always = {f"u{number}": int(value) for number, value in enumerate(draw.integers(0, 2, SHOPPERS))}
    labels = np.array([always[shopper] for shopper in shoppers])
    found = telling(np.array(shoppers), labels, shoppers)
    assert found.auc == 0.5


def test_too_few_positives_say_nothing(shoppers: Any) -> None:
    labels = np.zeros(ROWS)
    labels[:49] = 1
    assert find_leaks({"f": labels}, labels, shoppers) == []


def test_too_few_shoppers_say_nothing_though_each_has_many_rows(labels: Any) -> None:
    shoppers = [f"u{row % 99}" for row in range(ROWS)]
    assert find_leaks({"f": labels}, labels, shoppers) == []


def test_same_seed_gives_the_same_answer(labels: Any, shoppers: Any, draw: np.random.Generator) -> None:
    values = {"f": draw.normal(size=ROWS) + labels}
    assert find_leaks(values, labels, shoppers, seed=3) == find_leaks(values, labels, shoppers, seed=3)


def test_limits_decide(labels: Any, shoppers: Any, draw: np.random.Generator) -> None:
    values = {"f": draw.normal(size=ROWS) + labels}
    assert not find_leaks(values, labels, shoppers)[0].leak
    assert find_leaks(values, labels, shoppers, limits=LeakLimits(auc=0.7))[0].leak


def test_leak_is_named_in_the_failure() -> None:
    tellings = [Telling("fine", 0.6, 0.01), Telling("view.total", 0.99, 0.01, leak="it tells all")]
    with pytest.raises(LeakFound, match=r"feature view\.total knows the label: it tells all") as caught:
        require_no_leak(tellings)
    assert "fine" not in str(caught.value)
    require_no_leak(tellings[:1])
