"""Results on disk: found again while nothing changed, computed anew when anything did."""

import joblib
import numpy
import pytest
from mxnet import np

import d2l
from d2l.grid import fingerprint


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("D2L_CACHE", str(tmp_path / "cache"))
    return tmp_path


def function_from(source, **names):
    """The function `f` of this source, as a notebook's cell would define it."""
    namespace = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace["f"]


def counted(folder):
    """A function that leaves a file for each call, so that calls in other processes count too."""
    source = ("import pathlib, uuid\n"
              "def f(x, y=1):\n"
              "    (pathlib.Path(folder) / uuid.uuid4().hex).touch()\n"
              "    return x * y")
    folder.mkdir()
    return function_from(source, folder=str(folder)), lambda: len(list(folder.iterdir()))


def test_a_result_is_computed_once(tmp_path):
    function, calls = counted(tmp_path / "calls")
    assert d2l.sweep(function, x=[1, 2, 3], y=[10]) == {(1, 10): 10, (2, 10): 20, (3, 10): 30}
    assert calls() == 3
    assert d2l.sweep(function, x=[2, 3, 4], y=[10]) == {(2, 10): 20, (3, 10): 30, (4, 10): 40}
    assert calls() == 4
    assert d2l.cached(function)(x=4, y=10) == 40
    assert calls() == 4


def test_one_name_gives_plain_keys():
    assert d2l.sweep(function_from("def f(x): return -x"), x=[1, 2]) == {1: -1, 2: -2}


def test_the_same_code_has_the_same_fingerprint():
    source = "def f(x):\n    return x in {'a', 'b', 'c'}"
    assert fingerprint(function_from(source)) == fingerprint(function_from(source))
    assert fingerprint(function_from(source)) == fingerprint(function_from("# moved\n\n" + source))


@pytest.mark.parametrize("before, after", [
    ("def f(x): return x + 1", "def f(x): return x + 2"),
    ("def f(x, k=1): return x + k", "def f(x, k=2): return x + k"),
    ("def g(x): return x\ndef f(x): return g(x)", "def g(x): return -x\ndef f(x): return g(x)"),
    ("k = 1\ndef f(x): return x + k", "k = 2\ndef f(x): return x + k"),
    ("def f(x): return [x + i for i in (1, 2)]", "def f(x): return [x + i for i in (1, 3)]"),
    ("class A:\n    k = 1\ndef f(x): return A.k", "class A:\n    k = 2\ndef f(x): return A.k"),
    ("class A:\n    def m(self): return 1\ndef f(x): return A().m()",
     "class A:\n    def m(self): return 2\ndef f(x): return A().m()"),
    ("import math\ndef f(x): return math.sin(x)", "import math\ndef f(x): return math.cos(x)"),
])
def test_what_a_function_reads_is_part_of_its_fingerprint(before, after):
    assert fingerprint(function_from(before)) != fingerprint(function_from(after))


@pytest.mark.parametrize("array", [numpy.zeros, np.zeros])
def test_data_is_part_of_the_fingerprint(array):
    data = array((3, 2))
    source = "def f(x): return x + data.sum()"
    before = fingerprint(function_from(source, data=data))
    assert before == fingerprint(function_from(source, data=array((3, 2))))
    data[1, 1] = 1
    assert before != fingerprint(function_from(source, data=data))


def test_a_helper_wrapped_for_the_disk_is_looked_into():
    def wrapped(source):
        return function_from("def f(x): return g(x=x)", g=d2l.cached(function_from(source)))

    assert (fingerprint(wrapped("def f(x): return x"))
            != fingerprint(wrapped("def f(x): return 2 * x")))


def test_an_attribute_is_not_taken_for_a_global_of_its_name():
    function = function_from("def f(x): return x.lock", lock=__import__("threading").Lock())
    assert fingerprint(function)


def test_something_without_content_is_refused():
    function = function_from("def f(x): return lock", lock=__import__("threading").Lock())
    with pytest.raises(TypeError, match="f -> lock"):
        d2l.cached(function)(x=1)


def test_a_failing_call_names_its_arguments():
    function = function_from("def f(rate, n): return n / (rate - 0.5)")
    with pytest.raises(RuntimeError, match=r"f\(rate=0.5, n=3\) failed with ZeroDivisionError"):
        d2l.sweep(function, rate=[0.1, 0.5], n=[3])


def test_a_name_without_values_is_refused():
    with pytest.raises(ValueError, match="rate has no values"):
        d2l.sweep(function_from("def f(rate): return rate"), rate=[])


def test_a_dask_cluster_takes_a_grid(tmp_path):
    """Any joblib backend will do; the results come back through the same store."""
    from distributed import Client, LocalCluster

    function, calls = counted(tmp_path / "calls")
    with (LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
          Client(cluster), joblib.parallel_config(backend="dask")):
        assert d2l.sweep(function, x=range(6), y=[2]) == {(x, 2): 2 * x for x in range(6)}
    assert calls() == 6
