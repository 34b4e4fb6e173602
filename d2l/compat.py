"""Make Apache MXNet 1.9.1 run on today's Python and NumPy; import this before MXNet.

MXNet 1.9.1 (2022) asks NumPy for names that NumPy has dropped since: `bool` and `int` in 1.24, the
others in 2.0 to 2.5. Importing this module puts back those that are missing, and no others, then
imports MXNet and switches it to the NumPy interface (``npx.set_np()``). Tried with Python 3.11,
3.12 and 3.13 and NumPy 1.26 to 2.5.

Raises
------
ImportError
    When MXNet, a system library it needs or (Python 3.12 and newer) setuptools is missing. The
    message says what to do.

Warns
-----
RuntimeWarning
    When the environment asks for several engine workers with several threads each, which makes
    matrix products in MXNet 1.9.1 wait for each other for ever.
"""

import os
import sys
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy

__all__: list[str] = []

NO_MXNET = """MXNet is not installed for this Python. Its wheels are for Linux (x86-64 and arm64) \
and for Intel Macs:
    pip install -r requirements.txt      in an environment of its own
    pip install --no-deps mxnet==1.9.1   where NumPy 2 is there already (Google Colab)
On Windows and on Macs with Apple's processors open the notebook in Google Colab, or open the \
repository in its dev container."""

NO_LIBRARY = """MXNet is installed, but a system library that it needs cannot be loaded: {error}
On Debian and Ubuntu: apt install libgomp1 libquadmath0"""

NO_DISTUTILS = """MXNet needs distutils, which Python {python} no longer has; setuptools brings it:
    pip install setuptools"""


def _gone(name: str) -> Callable[..., Any]:
    """Return a stand-in for a financial function that left NumPy in version 1.20."""
    def function(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{name} left NumPy in 1.20: use the package numpy-financial")
    return function


def _put_back_names() -> None:
    """Add to `numpy` what MXNet 1.9.1 takes from it and this NumPy does not have."""
    old_names = {
        "bool": bool, "int": int,
        "PZERO": 0.0, "NZERO": -0.0, "PINF": numpy.inf, "NINF": -numpy.inf, "Inf": numpy.inf,
        "NAN": numpy.nan, "NaN": numpy.nan,
        "alltrue": numpy.all, "sometrue": numpy.any, "product": numpy.prod, "round_": numpy.round,
        "in1d": lambda a, b, *args, **kwargs: numpy.isin(numpy.ravel(a), b, *args, **kwargs),
        "msort": lambda a: numpy.sort(a, axis=0),
        "trapz": getattr(numpy, "trapezoid", None),
        "compat": types.SimpleNamespace(basestring=str),  # mxnet.np.pad
        **{name: _gone(name) for name in ("mirr", "npv", "pmt", "ppmt", "pv", "rate")},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns when asked for a name that is about to go
        for name, value in old_names.items():
            if not hasattr(numpy, name):
                setattr(numpy, name, value)


def _warn_about_threads() -> None:
    """Warn before a setting that hangs: more than one engine worker and more than one thread."""
    workers = os.environ.get("MXNET_CPU_WORKER_NTHREADS", "1")
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    if workers != "1" and threads != "1":
        warnings.warn(
            f"MXNET_CPU_WORKER_NTHREADS={workers} with OMP_NUM_THREADS {threads}: MXNet 1.9.1 "
            "hangs when two engine workers use several threads each. Set one of the two to 1 "
            "before Python starts.", RuntimeWarning, stacklevel=2)


def _import_mxnet() -> None:
    """Import MXNet quietly, or say why that is impossible."""
    if sys.version_info >= (3, 12):
        try:
            import setuptools  # noqa: F401  (makes `import distutils` work)
        except ModuleNotFoundError as error:
            python = ".".join(map(str, sys.version_info[:2]))
            raise ImportError(NO_DISTUTILS.format(python=python)) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a dozen deprecations in MXNet's own code
            import mxnet
    except ModuleNotFoundError as error:
        if error.name != "mxnet":
            raise
        raise ImportError(NO_MXNET) from error
    except OSError as error:
        raise ImportError(NO_LIBRARY.format(error=error)) from error
    _use_numpy_interface()


def _use_numpy_interface() -> None:
    """Do what ``npx.set_np()`` does, but for all threads: JupyterLab calls widgets in others."""
    from mxnet import util

    class EveryThread(threading.local):
        def __init__(self) -> None:
            self.value = util._NumpyArrayScope(True)

    util._NumpyArrayScope._current = EveryThread()
    util.set_np_shape(2)  # 1 is for this thread; 2, in MXNet's C++ interface only, for all


_put_back_names()
_warn_about_threads()
_import_mxnet()
