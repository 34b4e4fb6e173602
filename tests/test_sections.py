"""What the sections say is what their code gives; what they build by hand is what d2l gives later."""

import ast
import functools
import pathlib

import numpy
import pytest

import d2l
from publishing.sections import read_section

ROOT = pathlib.Path(__file__).parents[1]


@functools.cache
def page(section):
    """Imports, functions, classes and upper-case constants of a section, as a namespace."""
    notebook = read_section(ROOT, f"chapters/multilayer-perceptrons/{section}").notebook
    namespace = {"__name__": "__main__"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            module = ast.parse(cell.source)
            module.body = [node for node in module.body
                           if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
                           or isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper()]
            exec(compile(module, section, "exec"), namespace)
    return namespace


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
