"""The course's one training loop, with the losses, metrics and steps that go into it.

Losses and metrics return one value per example. :func:`fit` and :func:`evaluate` do the averaging,
so a smaller last minibatch counts for as many examples as it has.
"""

from __future__ import annotations

import math
import random
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import mxnet
import numpy
import pandas
from mxnet import autograd, np, npx
from tqdm import tqdm

from d2l.data import Minibatches

__all__ = ["Timer", "accuracy", "default_device", "evaluate", "fit", "seed", "sgd",
           "softmax_cross_entropy", "squared_loss"]

PerExample = Callable[[np.ndarray, np.ndarray], np.ndarray]  #: (outputs, targets) -> shape (n,)


def seed(value: int) -> None:
    """Seed Python's, NumPy's and MXNet's global generators (on all devices).

    Raises
    ------
    ValueError
        If `value` is not from 0 to 2**31 - 1, the range that all three understand.
    """
    if not 0 <= value < 2**31:
        raise ValueError(f"seed is {value}; it must be from 0 to {2**31 - 1}")
    random.seed(value)
    numpy.random.seed(value)
    mxnet.random.seed(value)


def default_device() -> mxnet.Context:
    """Return the first GPU if MXNet can compute on it, else the CPU."""
    try:
        if mxnet.context.num_gpus() > 0:
            np.ones(1, ctx=mxnet.gpu(0)).asnumpy()  # listed is not yet usable
            return mxnet.gpu(0)
    except mxnet.MXNetError:
        pass
    return mxnet.cpu()


class Timer:
    """Stopwatch for code that MXNet runs asynchronously: ``with timer: ...``.

    It waits for all pending operations when it is started and when it is stopped. Used again, it
    adds up.

    Attributes
    ----------
    seconds : float
        Time measured so far.

    Examples
    --------
    >>> with Timer() as timer: y = np.dot(X, X)
    >>> timer.seconds
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> Timer:
        npx.waitall()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        npx.waitall()
        self.seconds += time.perf_counter() - self._start


def squared_loss(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return half the squared error of each example.

    Parameters
    ----------
    predictions, targets : arrays of shape (n,) or (n, 1)
        Subtracting one shape from the other would silently give (n, n); here they may be mixed.

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    ValueError
        If a shape is another one or the lengths differ.
    """
    n = len(targets)
    for name, array in (("predictions", predictions), ("targets", targets)):
        if array.shape not in ((n,), (n, 1)):
            raise ValueError(f"{name} have shape {array.shape}; for {n} targets it must be "
                             f"({n},) or ({n}, 1)")
    return (predictions.reshape(n) - targets.reshape(n)) ** 2 / 2


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the negative log of the probability that softmax gives to each label.

    Works in log space, so that large logits neither overflow nor lose their gradient.

    Parameters
    ----------
    logits : array of shape (n, k)
        Scores before softmax.
    labels : array of shape (n,)
        Integers from 0 to k - 1. This is not checked: looking would stop MXNet's pipeline.

    Returns
    -------
    array of shape (n,), in nats

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    _check_classes(logits, labels)
    return -npx.pick(npx.log_softmax(logits, axis=1), labels, axis=1)


def accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 for each example whose label has the largest logit, else 0.

    Parameters
    ----------
    logits : array of shape (n, k)
        Scores or probabilities.
    labels : array of shape (n,)
        Class numbers of any numeric type.

    Returns
    -------
    float32 array of shape (n,)

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    _check_classes(logits, labels)
    # argmax gives int64, which MXNet 1.9.1 refuses to compare with other types.
    return (logits.argmax(axis=1).astype("int32") == labels.astype("int32")).astype("float32")


def _check_classes(logits: np.ndarray, labels: np.ndarray) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits have shape {logits.shape} and labels {labels.shape}; "
                         "they must be (n, k) and (n,)")


def evaluate(net: Callable, minibatches: Minibatches, /,
             **metrics: PerExample) -> dict[str, float]:
    """Average metrics over all examples, with dropout off.

    Parameters
    ----------
    net : callable
        Gluon block or function from a minibatch's features to its outputs.
    minibatches : Minibatches
        Or another iterable of tuples (features, ..., targets).
    **metrics : callables
        Each from (outputs, targets) to one value per example.

    Returns
    -------
    dict
        Mean by name of the metric.

    Raises
    ------
    ValueError
        If there are no minibatches, or a metric returns something else than one value per example.

    Examples
    --------
    >>> evaluate(net, test, loss=softmax_cross_entropy, accuracy=accuracy)
    {'loss': 0.41, 'accuracy': 0.85}
    """
    sums, num_examples = dict.fromkeys(metrics, 0.0), 0
    with autograd.predict_mode():
        for *features, targets in minibatches:
            outputs = net(*features)
            num_examples += len(targets)
            for name, metric in metrics.items():
                sums[name] += _per_example(name, metric(outputs, targets), len(targets)).sum()
    if num_examples == 0:
        raise ValueError("there are no minibatches to evaluate on")
    return {name: float(total) / num_examples for name, total in sums.items()}


def _per_example(name: str, values: np.ndarray, n: int) -> np.ndarray:
    if values.size != n:
        raise ValueError(f"{name} returned shape {values.shape} for {n} examples; "
                         f"it must return one value per example, shape ({n},)")
    return values


def sgd(parameters: Sequence[np.ndarray], learning_rate: float, batch_size: int,
        weight_decay: float = 0.0) -> None:
    """Take one step of minibatch stochastic gradient descent, in place.

    Each parameter w with the gradient g of the *summed* loss becomes
    ``(1 - learning_rate * weight_decay) * w - learning_rate / batch_size * g``, a step down the
    slope of mean loss + weight_decay/2 * |w|^2. Gluon's ``Trainer`` with "sgd" does the same.

    Parameters
    ----------
    parameters : arrays with attached gradients
    learning_rate : float
        Above 0.
    batch_size : int
        Number of examples that the gradient is summed over.
    weight_decay : float
        At least 0.

    Raises
    ------
    ValueError
        If a number is out of range or a parameter has no gradient.
    """
    if learning_rate <= 0:
        raise ValueError(f"learning_rate is {learning_rate}; it must be above 0")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    if weight_decay < 0:
        raise ValueError(f"weight_decay is {weight_decay}; it must be at least 0")
    for index, parameter in enumerate(parameters):
        if parameter.grad is None:
            raise ValueError(f"parameters[{index}] has no gradient; call attach_grad() on it once")
        parameter *= 1 - learning_rate * weight_decay
        parameter -= learning_rate / batch_size * parameter.grad


def fit(net: Callable, minibatches: Minibatches, loss: PerExample, step: Callable[[int], object],
        *, epochs: int, evaluate_on: Mapping[str, Minibatches] | None = None,
        metrics: Mapping[str, PerExample] | None = None, every: int = 1,
        progress: bool = True) -> pandas.DataFrame:
    """Train a network and return what was measured on the way.

    For each minibatch: outputs and loss are recorded, gradients of the summed loss computed, and
    `step` called with the number of examples. A loss that is no longer finite ends the training
    with a warning after the epoch in which it appears, whose row stays in the table: to see where
    a learning rate leads is part of the course.

    Parameters
    ----------
    net : callable
        Gluon block or function from a minibatch's features to its outputs.
    minibatches : Minibatches
        Or another iterable of tuples (features, ..., targets) that can be gone through repeatedly.
    loss : callable
        From (outputs, targets) to one value per example.
    step : callable
        Changes the parameters, given the number of examples: a trainer's ``trainer.step``, or
        ``lambda n: sgd(parameters, 0.1, n)``.
    epochs : int
        Passes through the data, at least 1.
    evaluate_on : mapping from name to Minibatches, optional
        Data on which loss and metrics are measured, with dropout off.
    metrics : mapping from name to callable, optional
        What to measure there besides the loss; see :func:`evaluate`.
    every : int
        Epochs from one measurement to the next, at least 1; the last epoch always has one.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    pandas.DataFrame
        A row per epoch, index "epoch" from 1. Columns: "running_loss", mean over the epoch while
        the parameters changed and dropout was on; "seconds" of training since the start, without
        measurements; "<name>_loss" and "<name>_<metric>" for each name in `evaluate_on`, NaN in
        epochs without measurement.

    Raises
    ------
    ValueError
        If `epochs` or `every` is below 1, there are no minibatches, or loss or a metric returns
        something else than one value per example.

    Warns
    -----
    RuntimeWarning
        When the loss is not finite.
    """
    for name, value in (("epochs", epochs), ("every", every)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    measured = {"loss": loss, **(metrics or {})}
    rows, timer = [], Timer()
    with tqdm(range(1, epochs + 1), desc="epochs", leave=False, disable=not progress) as bar:
        for epoch in bar:
            with timer:
                running_loss = _train_epoch(net, minibatches, loss, step)
            row = {"epoch": epoch, "running_loss": running_loss, "seconds": timer.seconds}
            diverged = not math.isfinite(running_loss)
            if epoch % every == 0 or epoch == epochs or diverged:
                for name, data in (evaluate_on or {}).items():
                    row |= {f"{name}_{metric}": value
                            for metric, value in evaluate(net, data, **measured).items()}
            rows.append(row)
            bar.set_postfix({name: f"{value:.3g}" for name, value in row.items()
                             if name not in ("epoch", "seconds")})
            if diverged:
                warnings.warn(f"the loss is {running_loss} in epoch {epoch} of {epochs}: training "
                              "ends here. A smaller learning rate often helps.", RuntimeWarning,
                              stacklevel=2)
                break
    return pandas.DataFrame(rows).set_index("epoch")


def _train_epoch(net: Callable, minibatches: Minibatches, loss: PerExample,
                 step: Callable[[int], object]) -> float:
    """Go through the data once and return the mean of the losses met on the way."""
    # Summed on the device: reading each minibatch's loss would make MXNet wait for it.
    total, num_examples = 0.0, 0
    for *features, targets in minibatches:
        n = len(targets)
        with autograd.record():
            values = _per_example("loss", loss(net(*features), targets), n)
        values.backward()
        step(n)
        total += values.sum()
        num_examples += n
    if num_examples == 0:
        raise ValueError("there are no minibatches to train on")
    return float(total) / num_examples
