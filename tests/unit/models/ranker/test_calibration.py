import numpy as np
import pytest

from tastemaker.models.ranker.calibration import Calibration, expected_calibration_error, fit_calibration


def drawn(n, chance, seed=1):
    """Scores from -3 to 3, and what followed with the chance that each has."""
    random = np.random.default_rng(seed)
    scores = random.uniform(-3, 3, n)
    return scores, (random.random(n) < chance(scores)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_few_hits_are_mapped_by_two_parameters_near_the_true_ones():
    scores, hits = drawn(2_000, lambda x: sigmoid(1.5 * x - 3))
    assert hits.sum() < 1_000
    found = fit_calibration(scores, hits)
    assert found.knots == ()
    # Standard errors of slope and offset in a logistic regression of this size are about 0.1 and 0.15.
    assert found.slope == pytest.approx(1.5, abs=0.3)
    assert found.offset == pytest.approx(-3, abs=0.45)


def test_many_hits_are_mapped_to_the_known_probabilities_whatever_their_shape():
    def chance(x):
        return np.where(x < 0, 0.02, 0.3) + 0.05 * (x > 2)  # steps, which no two parameters give

    found = fit_calibration(*drawn(40_000, chance))
    assert len(found.knots) > 2
    np.testing.assert_allclose(found(np.array([-2.0, -1.0, 1.0, 2.5])), [0.02, 0.02, 0.3, 0.35], atol=0.03)
    scores, hits = drawn(40_000, chance, seed=2)
    assert expected_calibration_error(found(scores), hits) < 0.01
    # The two parameters alone are further away.
    assert expected_calibration_error(Calibration(found.slope, found.offset)(scores), hits) > 0.02


def test_probabilities_do_not_fall_with_the_score():
    scores, hits = drawn(20_000, lambda x: np.full_like(x, 0.2))
    found = fit_calibration(scores, hits)(np.linspace(-5, 5, 200))
    assert (np.diff(found) >= 0).all()
    assert found.mean() == pytest.approx(0.2, abs=0.03)


def test_separated_classes_stay_finite():
    found = fit_calibration(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    low, high = found(np.array([-1.0, 1.0]))
    # Platt's targets for two and two are 1/4 and 3/4.
    assert low == pytest.approx(0.25, abs=1e-3)
    assert high == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("hits", [np.zeros(3), np.ones(3), np.zeros(0)])
def test_one_class_alone_leaves_the_logits_as_they_are(hits):
    assert fit_calibration(np.arange(len(hits), dtype=float), hits) == Calibration()


def test_calibration_error_of_a_known_case():
    # Two bins of two: foretold .1 and .8; happened 0 and .5: (.1 × 2 + .3 × 2) / 4.
    error = expected_calibration_error(np.array([0.8, 0.1, 0.1, 0.8]), np.array([1.0, 0.0, 0.0, 0.0]), bins=2)
    assert error == pytest.approx(0.2)
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0)))
