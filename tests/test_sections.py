"""What the sections say is what their code gives; what they build by hand is what d2l gives later."""

import ast
import functools
import pathlib

import numpy
import pytest

import d2l
from mxnet import autograd, np
from mxnet.gluon import nn
from publishing.sections import read_section

ROOT = pathlib.Path(__file__).parents[1]
SECTIONS = ("model-selection", "weight-decay", "dropout", "playground")
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


@functools.cache
def page(section):
    """Imports, functions, classes and literal constants of a section, as a namespace."""
    namespace = {"__name__": "__main__"}
    for cell in notebook(section).cells:
        if cell.cell_type == "code":
            module = ast.parse(cell.source)
            module.body = [node for node in module.body if isinstance(node, DEFINITIONS) or is_constant(node)]
            exec(compile(module, section, "exec"), namespace)
    return namespace


def is_constant(node):
    if not isinstance(node, ast.Assign) or not getattr(node.targets[0], "id", "").isupper():
        return False
    try:
        ast.literal_eval(node.value)
    except ValueError:
        return False
    return True


def notebook(section):
    return read_section(ROOT, f"chapters/multilayer-perceptrons/{section}").notebook


@pytest.mark.parametrize("section", SECTIONS)
def test_code_fits_the_page(section):
    """About 80 characters fit beside the sidebars; longer lines would scroll sideways."""
    lines = [line for cell in notebook(section).cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > 79] == []


# Model selection

@pytest.mark.parametrize("degree, training, test", [
    (0, 11.5, 11.5), (1, 3.07, 2.97), (3, 0.104, 0.144), (8, 0.0713, 0.346), (12, 0.0293, 379), (15, 0.0281, 49700)])
def test_losses_of_the_degree_exploration(degree, training, test):
    row = page("model-selection")["losses"](20, 0.5, 0).loc[degree]
    assert row["training"] == pytest.approx(training, rel=0.01)
    assert row["test"] == pytest.approx(test, rel=0.01)


def test_the_fit_on_the_page_is_the_library_s():
    x, y, x_test, _ = d2l.noisy_cubic(20, noise=0.5)
    shown = page("model-selection")
    for degree in (0, 3, 15):
        fit = shown["fit_polynomial"](x, y, degree)
        assert numpy.allclose(fit(x_test), d2l.fit_polynomial(x, y, degree)(x_test), rtol=1e-6)
    assert shown["half_mse"](x, y) == pytest.approx(d2l.half_mse(x, y))


def test_cross_validation_finds_the_degree_from_training_data_alone():
    shown = page("model-selection")
    estimates = [shown["cross_validate"](*d2l.noisy_cubic(20, noise=0.5)[:2], degree) for degree in range(7)]
    assert estimates == pytest.approx([12.9, 4.54, 0.829, 0.191, 0.201, 0.453, 0.648], rel=0.01)


# Weight decay

@pytest.mark.parametrize("lam, training, test", [
    (0, 0.0281, 49700), (1e-8, 0.0793, 0.485), (1e-4, 0.0882, 0.215), (0.003, 0.100, 0.152), (0.1, 0.37, 0.42), (10, 9.2, 9.0)])
def test_losses_of_the_lambda_exploration(lam, training, test):
    row = page("weight-decay")["polynomial_path"](20, 0.5, 0)[2].loc[lam]
    assert row["training"] == pytest.approx(training, rel=0.02)
    assert row["test"] == pytest.approx(test, rel=0.02)


def test_penalty_and_shrinkage_reach_the_exact_ridge_solution():
    shown = page("weight-decay")
    rng = numpy.random.RandomState(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40) + 2
    weights, biases = shown["ridge_path"](X, y, [0.1])
    residual = X @ weights[0] + biases[0] - y
    assert abs(X.T @ residual / 40 + 0.1 * weights[0]).max() < 1e-12
    assert abs(residual.mean()) < 1e-12


# Dropout

@pytest.fixture(scope="module")
def dropout_runs():
    shown = page("dropout")
    shown["NUM_TRAIN"] = len(d2l.load_fashion_mnist().train_labels)
    return {rate: shown["fit_network"](rate, rate, 1000, 0)[1].iloc[-1] for rate in (0.0, 0.5, 0.9)}


@pytest.mark.parametrize("rate, train_loss, test_loss, accuracy", [
    (0.0, 0.007, 0.93, 0.81), (0.5, 0.10, 0.69, 0.81), (0.9, 1.54, 1.59, 0.46)])
def test_losses_of_the_rate_exploration(dropout_runs, rate, train_loss, test_loss, accuracy):
    """One seed, so the tolerance is that of seeds and of processors: about 0.12 in the test loss."""
    run = dropout_runs[rate]
    assert run["train_loss"] == pytest.approx(train_loss, abs=0.02, rel=0.1)
    assert run["test_loss"] == pytest.approx(test_loss, abs=0.15)
    assert run["test_accuracy"] == pytest.approx(accuracy, abs=0.05)


def test_dropout_by_hand_does_what_gluon_s_layer_does():
    d2l.seed(0)
    ones = np.ones((200, 500))
    layer = nn.Dropout(0.3)
    with autograd.train_mode():
        for dropped in (page("dropout")["dropout"](ones, 0.3), layer(ones)):
            values = dropped.asnumpy()
            assert set(numpy.unique(values.round(5))) == {0, numpy.float32(1 / 0.7).round(5)}
            assert values.mean() == pytest.approx(1, abs=0.01)
            assert values.var() == pytest.approx(0.3 / 0.7, abs=0.01)
