"""Losses, steps and the one training loop."""

import math
import random

import mxnet
import numpy
import pytest
from mxnet import autograd, gluon, init, np, npx
from mxnet.gluon import nn
from numpy.testing import assert_allclose

import d2l


def softmax_numpy(logits):
    shifted = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def parameter(values):
    array = np.array(values)
    array.attach_grad()
    return array


# Losses and metrics

@pytest.mark.parametrize("shape", [(3,), (3, 1)])
@pytest.mark.parametrize("target_shape", [(3,), (3, 1)])
def test_squared_loss_never_broadcasts(shape, target_shape):
    loss = d2l.squared_loss(np.array([1.0, 2.0, 3.0]).reshape(shape),
                            np.array([1.0, 0.0, 7.0]).reshape(target_shape))
    assert_allclose(loss.asnumpy(), [0, 2, 8])


@pytest.mark.parametrize("shape, target_shape", [((3,), (2,)), ((1,), (3,)), ((3, 2), (3,)),
                                                 ((1, 3), (3,)), ((2, 2), (2, 2))])
def test_squared_loss_names_shapes_that_do_not_fit(shape, target_shape):
    with pytest.raises(ValueError, match=r"have shape \(.*must be"):
        d2l.squared_loss(np.zeros(shape), np.zeros(target_shape))


def test_cross_entropy_and_its_gradient():
    rng = numpy.random.RandomState(0)
    logits, labels = rng.normal(size=(6, 4)).astype("float32"), numpy.array([0, 1, 2, 3, 0, 1])
    o = parameter(logits)
    with autograd.record():
        loss = d2l.softmax_cross_entropy(o, np.array(labels, dtype="int32"))
    loss.backward()
    probabilities = softmax_numpy(logits)
    assert loss.shape == (6,)
    assert_allclose(loss.asnumpy(), -numpy.log(probabilities[range(6), labels]), rtol=1e-5)
    assert_allclose(o.grad.asnumpy(), probabilities - numpy.eye(4)[labels], atol=1e-5)


def test_cross_entropy_of_huge_logits_is_finite():
    o = parameter([[1000.0, 0.0, -1000.0], [1000.0, 0.0, -1000.0]])
    with autograd.record():
        loss = d2l.softmax_cross_entropy(o, np.array([0, 2], dtype="int32"))
    loss.backward()
    assert_allclose(loss.asnumpy(), [0, 2000], atol=1e-4)
    assert_allclose(o.grad.asnumpy(), [[0, 0, 0], [1, 0, -1]], atol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_accuracy_takes_labels_of_any_type(dtype):
    logits = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    hits = d2l.accuracy(logits, np.array([1, 1, 1], dtype=dtype))
    assert_allclose(hits.asnumpy(), [1, 0, 1])


@pytest.mark.parametrize("function", [d2l.softmax_cross_entropy, d2l.accuracy])
@pytest.mark.parametrize("shape, label_shape", [((3, 2), (3, 1)), ((3, 2), (2,)), ((3,), (3,))])
def test_class_scores_and_labels_must_fit(function, shape, label_shape):
    with pytest.raises(ValueError, match=r"must be \(n, k\) and \(n,\)"):
        function(np.zeros(shape), np.zeros(label_shape))


# Steps

@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_sgd_equals_gluons_trainer(weight_decay):
    d2l.seed(1)
    X, y = np.random.normal(size=(5, 3)), np.random.normal(size=(5,))
    net = nn.Dense(1)
    net.initialize(init.Normal(1))
    net(X)
    w, b = parameter(net.weight.data().asnumpy()), parameter(net.bias.data().asnumpy())
    trainer = gluon.Trainer(net.collect_params(), "sgd",
                            {"learning_rate": 0.1, "wd": weight_decay})
    for _ in range(3):
        for forward, step in ((net, trainer.step),
                              (lambda X: np.dot(X, w.T) + b,
                               lambda n: d2l.sgd([w, b], 0.1, n, weight_decay))):
            with autograd.record():
                loss = d2l.squared_loss(forward(X), y)
            loss.backward()
            step(len(X))
    assert_allclose(w.asnumpy(), net.weight.data().asnumpy(), rtol=1e-5)
    assert_allclose(b.asnumpy(), net.bias.data().asnumpy(), rtol=1e-5)


def test_sgd_divides_the_gradient_by_the_batch_size_and_not_the_decay():
    w = parameter([2.0])
    with autograd.record():
        loss = 3 * w
    loss.backward()
    d2l.sgd([w], 0.1, 10, weight_decay=0.5)
    assert float(w) == pytest.approx((1 - 0.05) * 2 - 0.1 / 10 * 3)


@pytest.mark.parametrize("arguments, message", [
    ((0, 1), "learning_rate is 0"), ((-0.1, 1), "learning_rate is -0.1"),
    ((0.1, 0), "batch_size is 0"), ((0.1, 1, -1e-3), "weight_decay is -0.001")])
def test_sgd_names_numbers_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        d2l.sgd([parameter([1.0])], *arguments)


def test_sgd_names_a_parameter_without_gradient():
    with pytest.raises(ValueError, match=r"parameters\[1\].*attach_grad"):
        d2l.sgd([parameter([1.0]), np.ones(1)], 0.1, 1)


# Evaluation

def test_evaluate_weighs_a_smaller_last_minibatch_by_its_size():
    data = d2l.Minibatches(numpy.zeros(5), numpy.array([1.0, 1, 1, 1, 6]), batch_size=4)
    assert d2l.evaluate(lambda X: X, data, mean=lambda outputs, y: y) == {"mean": 2.0}


def test_evaluate_switches_dropout_off_even_in_training_mode():
    net = nn.HybridSequential()
    net.add(nn.Dropout(0.5))
    net.initialize()
    data = d2l.Minibatches(numpy.ones((64, 1)), numpy.ones(64), batch_size=16)
    with autograd.train_mode():
        assert d2l.evaluate(net, data, loss=d2l.squared_loss) == {"loss": 0.0}


def test_evaluate_takes_metrics_of_any_name_and_nets_with_several_inputs():
    data = d2l.Minibatches([1.0, 2], [3.0, 4], [4.0, 6], batch_size=1)
    assert d2l.evaluate(lambda a, b: a + b, data, net=d2l.squared_loss) == {"net": 0.0}


def test_evaluate_refuses_metrics_that_are_not_per_example():
    data = d2l.Minibatches(numpy.zeros(4), numpy.zeros(4), batch_size=2)
    with pytest.raises(ValueError, match=r"rmse returned shape \(\) for 2 examples"):
        d2l.evaluate(lambda X: X, data, rmse=lambda outputs, y: ((outputs - y) ** 2).mean())
    with pytest.raises(ValueError, match=r"error returned shape \(2, 2\) for 2 examples"):
        d2l.evaluate(lambda X: X.reshape(-1, 1), data, error=lambda outputs, y: outputs - y)
    with pytest.raises(ValueError, match="no minibatches"):
        d2l.evaluate(lambda X: X, [], loss=d2l.squared_loss)


# The loop

def line(num_examples=200, batch_size=20, **options):
    X, y = d2l.linear_data([2.0, -3.4], 4.2, num_examples, noise=0.01, seed=0)
    return d2l.Minibatches(X, y, batch_size=batch_size, **options)


def dense(*layers, seed=0):
    d2l.seed(seed)
    net = nn.HybridSequential()
    net.add(*layers)
    net.initialize(init.Xavier())
    net.hybridize()
    return net


def test_fit_with_functions_finds_the_line_behind_the_data():
    w, b = parameter([0.0, 0.0]), parameter(0.0)
    history = d2l.fit(lambda X: np.dot(X, w) + b, line(), d2l.squared_loss,
                      lambda n: d2l.sgd([w, b], 0.3, n), epochs=10, progress=False)
    assert_allclose(w.asnumpy(), [2, -3.4], atol=0.01)
    assert float(b) == pytest.approx(4.2, abs=0.01)
    assert list(history.columns) == ["running_loss", "seconds"]
    assert history.index.name == "epoch" and list(history.index) == list(range(1, 11))
    assert history.running_loss.iloc[-1] < 1e-4
    assert history.seconds.is_monotonic_increasing and history.seconds.iloc[0] > 0


def test_fit_with_gluon_measures_with_the_parameters_that_it_leaves():
    data = line()
    net = dense(nn.Dense(8, activation="relu"), nn.Dense(1))
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
    history = d2l.fit(net, data, d2l.squared_loss, trainer.step, epochs=5, every=2,
                      evaluate_on={"train": data, "test": line(50)}, progress=False,
                      metrics={"error": lambda outputs, y: abs(outputs.reshape(-1) - y)})
    assert list(history.columns) == ["running_loss", "seconds", "train_loss", "train_error",
                                     "test_loss", "test_error"]
    assert list(history.test_loss.notna()) == [False, True, False, True, True]
    at_the_end = d2l.evaluate(net, data, loss=d2l.squared_loss)
    assert history.train_loss[5] == pytest.approx(at_the_end["loss"], rel=1e-6)


def test_running_loss_is_the_mean_over_examples_met_during_the_epoch():
    w = parameter([1.0])
    data = d2l.Minibatches(numpy.ones(3), numpy.zeros(3), batch_size=2, shuffle=False)
    history = d2l.fit(lambda X: w * X, data, d2l.squared_loss,
                      lambda n: d2l.sgd([w], 0.5, n), epochs=1, progress=False)
    # w is 1 for two examples, then 1 - 0.5 = 0.5 for one.
    assert history.running_loss[1] == pytest.approx((0.5 + 0.5 + 0.125) / 3)
    assert float(w) == pytest.approx(0.25)


def test_dropout_is_on_in_training_and_off_in_measurements():
    data = d2l.Minibatches(numpy.ones((256, 1)), numpy.ones(256), batch_size=64)
    dropout, w = dense(nn.Dropout(0.5)), parameter([1.0])
    history = d2l.fit(lambda X: w * dropout(X), data, d2l.squared_loss, lambda n: None, epochs=1,
                      evaluate_on={"train": data}, progress=False)
    assert history.running_loss[1] == pytest.approx(0.5)  # outputs are 0 or 2, targets 1
    assert history.train_loss[1] == 0


def test_the_same_seed_gives_the_same_history():
    def run(seed):
        net = dense(nn.Dense(8, activation="relu"), nn.Dropout(0.3), nn.Dense(1), seed=seed)
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
        return d2l.fit(net, line(), d2l.squared_loss, trainer.step, epochs=3,
                       progress=False).running_loss.tolist()

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_a_diverging_run_warns_stops_and_keeps_its_last_row():
    w = parameter([0.0, 0.0])
    with pytest.warns(RuntimeWarning, match=r"loss is (inf|nan) in epoch \d+ of 100"):
        history = d2l.fit(lambda X: np.dot(X, w), line(), d2l.squared_loss,
                          lambda n: d2l.sgd([w], 5.0, n), epochs=100, every=50,
                          evaluate_on={"train": line()}, progress=False)
    assert len(history) < 100
    assert numpy.isfinite(history.running_loss[:-1]).all()
    assert not math.isfinite(history.running_loss.iloc[-1])
    assert not math.isfinite(history.train_loss.iloc[-1])


def test_a_loss_that_averages_by_itself_is_refused():
    w = parameter([0.0, 0.0])
    with pytest.raises(ValueError, match=r"loss returned shape \(\) for 20 examples"):
        d2l.fit(lambda X: np.dot(X, w), line(), lambda o, y: d2l.squared_loss(o, y).mean(),
                lambda n: d2l.sgd([w], 0.1, n), epochs=1, progress=False)


@pytest.mark.parametrize("options, message", [({"epochs": 0}, "epochs is 0"),
                                              ({"epochs": 1, "every": 0}, "every is 0")])
def test_fit_names_numbers_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        d2l.fit(lambda X: X, line(), d2l.squared_loss, lambda n: None, progress=False, **options)


def test_fit_needs_minibatches():
    with pytest.raises(ValueError, match="no minibatches"):
        d2l.fit(lambda X: X, [], d2l.squared_loss, lambda n: None, epochs=1, progress=False)


@pytest.mark.parametrize("progress", [True, False])
def test_progress_goes_to_stderr_and_can_be_switched_off(progress, capsys):
    w = parameter([0.0, 0.0])
    d2l.fit(lambda X: np.dot(X, w), line(), d2l.squared_loss, lambda n: d2l.sgd([w], 0.1, n),
            epochs=2, progress=progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("running_loss" in err) == progress


# Small tools

def test_seed_reaches_all_three_generators():
    def draw():
        return random.random(), numpy.random.rand(), float(np.random.uniform())

    d2l.seed(7)
    first = draw()
    d2l.seed(7)
    assert draw() == first
    assert all(a != b for a, b in zip(draw(), first))


@pytest.mark.parametrize("value", [-1, 2**31])
def test_seed_names_a_value_out_of_range(value):
    with pytest.raises(ValueError, match=f"seed is {value}"):
        d2l.seed(value)


def test_default_device_is_one_that_computes():
    assert float(np.ones(3, ctx=d2l.default_device()).sum()) == 3


def test_default_device_falls_back_when_the_gpu_does_not_work(monkeypatch):
    monkeypatch.setattr(mxnet.context, "num_gpus", lambda: 1)
    if mxnet.runtime.Features().is_enabled("CUDA"):
        monkeypatch.setattr(mxnet, "gpu", lambda index: mxnet.context.Context("gpu", 99))
    assert d2l.default_device() == mxnet.cpu()


def test_timer_counts_what_runs_in_the_background_and_adds_up(monkeypatch):
    now = 0.0

    def pass_time(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr(npx, "waitall", lambda: pass_time(10))
    timer = d2l.Timer()
    for total in (11, 22):
        with timer:  # waits for earlier work first: not counted
            pass_time(1)
        assert timer.seconds == total
