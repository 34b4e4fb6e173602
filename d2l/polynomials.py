"""One example for capacity and regularization: noisy points of a cubic, fitted by polynomials.

The sections on model selection and weight decay draw the same points from the same seed, so that
a reader who has seen degree 15 fail on them meets the same failure again, and its cure.
"""

from __future__ import annotations

import numpy
from numpy.polynomial import Legendre, legendre
from numpy.typing import ArrayLike, NDArray

__all__ = ["cubic", "fit_polynomial", "half_mse", "noisy_cubic", "power_features"]

INTERVAL = (-2.0, 2.0)
NUM_TRAIN, NUM_TEST = 100, 1000


def cubic(x: ArrayLike) -> NDArray:
    """Return the true function, 5 + 1.2 x - 3.4 x^2/2! + 5.6 x^3/3!, in the shape of `x`."""
    x = numpy.asarray(x, dtype=float)
    return 5 + 1.2 * x - 3.4 * x**2 / 2 + 5.6 * x**3 / 6


def noisy_cubic(num_examples: int, *, noise: float,
                seed: int = 0) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Draw training and test points of the cubic with Gaussian noise.

    The draws of ``numpy.random.RandomState(seed)`` are, in this order: 100 training positions
    uniform on [-2, 2], 100 standard normals, 1000 test positions, 1000 standard normals. Training
    takes the first `num_examples` of the 100, so a larger number adds points and moves none, and
    another `noise` stretches the same deviations.

    Parameters
    ----------
    num_examples : int
        Number of training points, 1 to 100.
    noise : float
        Standard deviation of the noise, in units of y.
    seed : int
        Seed of the draws.

    Returns
    -------
    x, y : arrays of shape (num_examples,)
        Training positions and values.
    x_test, y_test : arrays of shape (1000,)
        Test positions and values.

    Raises
    ------
    ValueError
        If `num_examples` is not in 1..100 or `noise` is negative.
    """
    if not 1 <= num_examples <= NUM_TRAIN:
        raise ValueError(f"num_examples is {num_examples}; it must be from 1 to {NUM_TRAIN}")
    if noise < 0:
        raise ValueError(f"noise is {noise}; a standard deviation cannot be negative")
    random = numpy.random.RandomState(seed)
    points = []
    for size in (NUM_TRAIN, NUM_TEST):
        x = random.uniform(*INTERVAL, size)
        points += [x, cubic(x) + noise * random.standard_normal(size)]
    x, y, x_test, y_test = points
    return x[:num_examples], y[:num_examples], x_test, y_test


def power_features(x: ArrayLike, degree: int) -> NDArray:
    """Return the features x^i / i! for i = 0..degree, one row an example.

    The factorials tame the powers: on [-2, 2] no feature exceeds 2 in size.

    Parameters
    ----------
    x : array of shape (n,)
    degree : int
        Highest power, at least 0.

    Returns
    -------
    array of shape (n, degree + 1)

    Raises
    ------
    ValueError
        If `degree` is negative.
    """
    _check_degree(degree)
    steps = numpy.asarray(x, dtype=float)[:, None] / numpy.arange(1, degree + 1)
    return numpy.cumprod(numpy.insert(steps, 0, 1.0, axis=1), axis=1)


def fit_polynomial(x: ArrayLike, y: ArrayLike, degree: int) -> Legendre:
    """Fit a polynomial by exact least squares.

    The fit is made in the Legendre polynomials of x/2, whose values on [-2, 2] stay in [-1, 1]:
    the same functions as with powers of x, but a problem that double precision can solve. With
    fewer than ``degree + 1`` different positions many polynomials pass through all points; the one
    with the smallest sum of squared Legendre coefficients is returned.

    Parameters
    ----------
    x, y : arrays of shape (n,)
        Positions, in [-2, 2], and values.
    degree : int
        Degree of the polynomial, at least 0.

    Returns
    -------
    numpy.polynomial.Legendre
        The fitted function, callable on arrays; ``.convert(kind=Polynomial)`` gives powers of x.

    Raises
    ------
    ValueError
        If `degree` is negative or `x` and `y` are empty or not of one common length.
    """
    _check_degree(degree)
    x, y = numpy.asarray(x, dtype=float), numpy.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or x.size == 0:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}; "
                         "they must be (n,) with the same n, at least 1")
    features = legendre.legvander(x / INTERVAL[1], degree)
    # Cut only what rounding alone makes of zero: a larger limit would silently lower the degree.
    coefficients = numpy.linalg.lstsq(features, y, rcond=numpy.finfo(float).eps)[0]
    return Legendre(coefficients, domain=INTERVAL)


def half_mse(predictions: ArrayLike, targets: ArrayLike) -> float:
    """Return half the mean squared error, the loss of both sections.

    Raises
    ------
    ValueError
        If the shapes differ, which broadcasting would hide, or the arrays are empty.
    """
    predictions, targets = numpy.asarray(predictions), numpy.asarray(targets)
    if predictions.shape != targets.shape or targets.size == 0:
        raise ValueError(f"predictions have shape {predictions.shape} and targets {targets.shape}; "
                         "they must be the same and not empty")
    return float(numpy.mean((predictions - targets) ** 2) / 2)


def _check_degree(degree: int) -> None:
    if degree < 0:
        raise ValueError(f"degree is {degree}; it must be at least 0")
