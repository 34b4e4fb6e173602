"""The cubic example: the same points for everybody, fits that are exact."""

import math
import warnings

import numpy
import pytest
from numpy.testing import assert_allclose

import d2l


def losses(degree, num_examples=20, noise=0.5, seed=0):
    x, y, x_test, y_test = d2l.noisy_cubic(num_examples, noise=noise, seed=seed)
    fit = d2l.fit_polynomial(x, y, degree)
    return d2l.half_mse(fit(x), y), d2l.half_mse(fit(x_test), y_test)


@pytest.mark.parametrize("degree, train, test", [
    (0, 11.5, 11.5), (1, 3.07, 2.97), (3, 0.104, 0.144), (8, 0.0713, 0.346), (12, 0.0293, 379),
    (15, 0.0281, 49700)])
def test_the_losses_that_the_course_quotes(degree, train, test):
    assert losses(degree) == pytest.approx((train, test), rel=5e-3)


def test_more_examples_add_points_and_more_noise_stretches_deviations():
    x, y, x_test, _ = d2l.noisy_cubic(20, noise=0.5)
    more_x, more_y, same_x_test, _ = d2l.noisy_cubic(50, noise=0.5)
    assert_allclose(more_x[:20], x)
    assert_allclose(more_y[:20], y)
    assert_allclose(same_x_test, x_test)
    _, noisier, *_ = d2l.noisy_cubic(20, noise=1)
    assert_allclose(noisier - d2l.cubic(x), 2 * (y - d2l.cubic(x)))
    assert abs(x).max() <= 2 and abs(x_test).max() <= 2 and len(x_test) == 1000


def test_a_noiseless_cubic_is_recovered_and_training_loss_never_rises():
    x, y, x_test, y_test = d2l.noisy_cubic(30, noise=0)
    assert_allclose(d2l.fit_polynomial(x, y, 3)(x_test), y_test, atol=1e-12)
    by_degree = [losses(degree)[0] for degree in range(20)]
    assert all(b <= a for a, b in zip(by_degree, by_degree[1:]))
    assert by_degree[19] < 1e-15  # degree n - 1 goes through all n points


def test_too_few_points_give_a_calm_interpolation_without_warnings():
    x, y = numpy.array([0.1, 0.1, 0.1, 0.3, 0.3]), [1.0, 3.0, 5.0, 0.0, 2.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = d2l.fit_polynomial(x, y, 8)
    assert_allclose(fit(x), [3, 3, 3, 1, 1], atol=1e-9)  # equal positions: their mean
    assert abs(fit.coef).max() < 20


def test_power_features_are_the_terms_of_the_exponential_series():
    x = numpy.array([-2.0, 0.0, 0.5, 2.0])
    features = d2l.power_features(x, 20)
    assert features.shape == (4, 21)
    assert_allclose(features, [[v**i / math.factorial(i) for i in range(21)] for v in x])
    assert_allclose(features.sum(axis=1), numpy.exp(x), rtol=1e-8)
    assert_allclose(d2l.power_features(x, 0), numpy.ones((4, 1)))
    assert_allclose(d2l.power_features(x, 3) @ [5, 1.2, -3.4, 5.6], d2l.cubic(x))


def test_half_mse_does_not_broadcast():
    assert d2l.half_mse([1.0, 2.0], [1.0, 4.0]) == 1.0
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3,\)"):
        d2l.half_mse(numpy.zeros((3, 1)), numpy.zeros(3))


@pytest.mark.parametrize("call, message", [
    (lambda: d2l.noisy_cubic(0, noise=1), "num_examples is 0.*1 to 100"),
    (lambda: d2l.noisy_cubic(101, noise=1), "num_examples is 101.*1 to 100"),
    (lambda: d2l.noisy_cubic(10, noise=-0.1), "noise is -0.1"),
    (lambda: d2l.fit_polynomial([1.0], [1.0], -1), "degree is -1"),
    (lambda: d2l.power_features([1.0], -2), "degree is -2"),
    (lambda: d2l.fit_polynomial([], [], 1), r"\(0,\)"),
    (lambda: d2l.fit_polynomial([1.0, 2.0], [1.0], 1), r"\(2,\).*\(1,\)"),
    (lambda: d2l.half_mse([], []), "not empty")])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
