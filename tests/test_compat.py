"""MXNet 1.9.1 on today's Python and NumPy: here, and where NumPy 2 is installed already."""

import fcntl
import functools
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import tomllib

import numpy
import pytest
from mxnet import autograd, np, npx
from mxnet.gluon import nn


ROOT = pathlib.Path(__file__).parent.parent
SUPPORTED = ((3, 11), (3, 12), (3, 13))


def run(executable, code, **environment):
    """Run code in a process of its own that finds d2l in this checkout."""
    return subprocess.run([executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
                          timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


# Other Pythons, NumPy 2

def pythons():
    """Return {version: executable} of the supported Pythons on this machine, this one first."""
    found = {sys.version_info[:2]: sys.executable}
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    for version in SUPPORTED:
        name = "python{}.{}".format(*version)
        candidates = [shutil.which(name),
                      *glob.glob(f"{pyenv}/versions/{name.removeprefix('python')}.*/bin/{name}")]
        for executable in filter(None, candidates):
            probe = subprocess.run([executable, "-c", "import ensurepip, ssl, zlib"],
                                   capture_output=True)
            if probe.returncode == 0:  # a pyenv shim of a version not selected is no Python
                found.setdefault(version, executable)
    return found


@functools.cache
def requirements():
    """What the package needs besides MXNet, without the pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [name for name in project["dependencies"] if not name.startswith("mxnet")]


def environment_with_numpy_2(version, executable):
    """Return the Python of a virtual environment made as the README advises for NumPy 2.

    It stays in _build, so only the first run has to install anything.
    """
    folder = ROOT / "_build" / "numpy-2" / "{}.{}".format(*version)
    folder.mkdir(parents=True, exist_ok=True)
    python, done = folder / "bin" / "python", folder / "installed.json"
    steps = [[executable, "-m", "venv", "--clear", folder],
             [python, "-m", "pip", "install", "-q", "numpy>=2", *requirements()],
             [python, "-m", "pip", "install", "-q", "--no-deps", "mxnet==1.9.1", "graphviz<0.9"]]
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test run may be making the same environment
        wanted = json.dumps([[str(word) for word in step] for step in steps])
        if not done.exists() or done.read_text() != wanted:
            for step in steps:
                result = subprocess.run(step, text=True, capture_output=True)
                assert result.returncode == 0, result.stderr
            done.write_text(wanted)
    return python


TRAINING = """
import warnings
warnings.simplefilter("error")
with warnings.catch_warnings():
    warnings.simplefilter("default")
    import d2l  # MXNet's own deprecations are silenced in there, other packages' are their business
import json, sys
import numpy
from mxnet import autograd, gluon, init, np, npx
from mxnet.gluon import nn

# arrays
x = np.arange(12).reshape(3, 4)
assert str(x[0]) == "[0. 1. 2. 3.]" and repr(np.ones(2)) == "array([1., 1.])"
assert x[x > 9].tolist() == [10, 11] and x[[0, 2], [1, 3]].tolist() == [1, 11]
assert float(x.sum()) == 66 and int(x[1, 1]) == 5 and bool(x[0, 1] == 1) and x.mean().item() == 5.5
assert isinstance(x.asnumpy(), numpy.ndarray) and (numpy.asarray(x) == x.asnumpy()).all()
assert np.array(numpy.float64(2)).shape == () and np.array(numpy.eye(2)).shape == (2, 2)
assert np.pad(x, ((1, 1), (0, 0)), mode="constant").shape == (5, 4)
assert float(numpy.float32(2) * x[0, 1]) == float(x[0, 1] * numpy.float32(2)) == 2
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # NumPy 1.26 deprecates these names already
    assert float(np.trapz(np.array([1.0, 2, 3]))) == 4
    assert np.msort(np.array([[2.0], [1.0]])).tolist() == [[1], [2]]
    assert np.in1d(np.array([1.0, 2]), np.array([2.0])).tolist() == [False, True]
x[1:, ::2] = -1
x[numpy.array([0])] += 1
assert x[:, 0].tolist() == [1, -1, -1]

# random numbers
d2l.seed(0)
assert abs(float(np.random.normal(1, 2, size=(10000,)).mean()) - 1) < 0.1
assert 0 <= float(np.random.uniform(size=3).min()) and np.random.randint(0, 9, size=3).shape == (3,)
y = np.arange(5)
np.random.shuffle(y)
assert sorted(y.tolist()) == [0, 1, 2, 3, 4]

# gradients
v = np.arange(4.0)
v.attach_grad()
with autograd.record():
    y = 2 * np.dot(v, v)
y.backward()
assert v.grad.tolist() == [0, 4, 8, 12]

# a network
X, labels = d2l.planar_data("moons", 200, noise=0.1, seed=0)
data = d2l.Minibatches(X, labels, batch_size=20)
net = nn.HybridSequential()
net.add(nn.Dense(32, activation="relu"), nn.Dropout(0.1), nn.Dense(2))
net.initialize(init.Xavier())
net.hybridize()
trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
history = d2l.fit(net, data, d2l.softmax_cross_entropy, trainer.step, epochs=30, every=30,
                  evaluate_on={"train": data}, metrics={"accuracy": d2l.accuracy}, progress=False)
assert history.train_accuracy.iloc[-1] > 0.9, history
assert abs(d2l.fit_polynomial(*d2l.noisy_cubic(20, noise=0)[:2], 3)(1.0) - d2l.cubic(1.0)) < 1e-9

print(json.dumps([sys.version_info[:2], numpy.__version__]))
"""


@pytest.mark.parametrize("version, executable", pythons().items(),
                         ids=["{}.{}".format(*version) for version in pythons()])
def test_a_network_trains_with_numpy_2(version, executable):
    result = run(environment_with_numpy_2(version, executable), TRAINING, PYTHONPATH=str(ROOT))
    assert result.returncode == 0, result.stderr
    python, numpy_version = json.loads(result.stdout.splitlines()[-1])
    assert tuple(python) == version and int(numpy_version.split(".")[0]) >= 2


def test_a_network_trains_with_the_pinned_numpy():
    result = run(sys.executable, TRAINING, PYTHONPATH=str(ROOT))
    assert result.returncode == 0, result.stderr


# What importing d2l.compat does

def load(before, after="", **environment):
    """Run d2l/compat.py by itself, between two pieces of code."""
    code = f"{before}\nimport runpy\nrunpy.run_path('d2l/compat.py')\n{after}"
    return run(sys.executable, code, **environment)


def test_names_that_numpy_has_are_left_alone():
    result = load("import numpy; numpy.trapz = numpy.bool = 'mine'",
                  "print(numpy.trapz, numpy.bool)")
    assert result.stdout == "mine mine\n", result.stderr


def test_importing_is_quiet():
    result = load("import warnings; warnings.simplefilter('always')")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_numpy_interface_is_on_in_every_thread():
    """JupyterLab calls widgets, hence explorations, in a thread of their own."""
    found = []

    def work():
        net = nn.Dense(1)
        net.initialize()
        with autograd.record():
            output = net(np.ones((2, 3)))
        output.backward()
        found.extend([npx.is_np_array(), npx.is_np_shape(), type(output), np.ones(2).sum().shape])

    for _ in range(2):
        found.clear()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [True, True, np.ndarray, ()]


@pytest.mark.parametrize("before, message", [
    ("import sys; sys.modules['mxnet'] = None", "MXNet is not installed.*arm64.*Colab"),
    ("import sys, numpy; sys.version_info = (3, 12, 0); sys.modules['setuptools'] = None",
     "distutils, which Python 3.12 no longer has.*pip install setuptools"),
    ("import sys, importlib.abc\n"
     "class Broken(importlib.abc.MetaPathFinder):\n"
     "    def find_spec(self, name, *rest):\n"
     "        if name == 'mxnet': raise OSError('libquadmath.so.0: cannot open')\n"
     "sys.meta_path.insert(0, Broken())", "libquadmath.so.0: cannot open.*apt install libgomp1")])
def test_what_is_missing_is_said_with_the_remedy(before, message):
    result = load(before)
    error = result.stderr[result.stderr.rindex("ImportError"):].replace("\n", " ")
    assert re.search(message, error), result.stderr


@pytest.mark.parametrize("workers, threads, warned", [
    ("2", "2", True), ("2", "1", False), ("1", "2", False)])
def test_settings_that_hang_are_warned_about(workers, threads, warned):
    result = load("", MXNET_CPU_WORKER_NTHREADS=workers, OMP_NUM_THREADS=threads)
    assert result.returncode == 0
    assert ("RuntimeWarning: MXNET_CPU_WORKER_NTHREADS" in result.stderr) == warned
