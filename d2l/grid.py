"""Run a function over a grid of arguments: each value once, in parallel, kept on disk.

:func:`cached` remembers results between sessions; :func:`sweep` computes a whole grid. Both belong
to functions that are slow and depend on nothing but their arguments, their code and their data.
"""

from __future__ import annotations

import dis
import functools
import itertools
import os
import pathlib
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import joblib
import matplotlib
import mxnet
import numpy
import pooch
from tqdm import tqdm

__all__ = ["cached", "sweep"]

# On a busy disk joblib suggests smaller arguments; here the digest stands for all large ones.
warnings.filterwarnings("ignore", "Persisting input arguments", UserWarning)


def cached(function: Callable) -> Callable:
    """Remember what `function` returns, on disk, from one session to the next.

    A result is found again as long as these are the same: the arguments, the function's code, the
    code of the functions it calls, the data it reads from outside, this package and MXNet. Results
    lie under ``D2L_CACHE`` or the user's cache folder; deleting them costs only time.

    Parameters
    ----------
    function : callable
        Takes keyword arguments. It may read numbers, texts, arrays, tables, functions and modules
        from outside, but no network or other object that changes while it is used.

    Returns
    -------
    callable
        Takes the same keyword arguments; ``.is_cached(**arguments)`` says whether the result is
        there already.

    Raises
    ------
    TypeError
        At the call, if the function reads something whose content cannot be compared.
    """
    @functools.wraps(function)
    def recall(**arguments):
        return _store()(fingerprint(function), arguments, function)

    recall.is_cached = lambda **arguments: _store().check_call_in_cache(
        fingerprint(function), arguments, function)
    return recall


def sweep(function: Callable, *, label: str | None = None, **values: Iterable) -> dict:
    """Call `function` for every combination of `values`, in parallel, and keep the results on disk.

    The work goes to all cores; inside ``joblib.parallel_config(backend=...)`` to that backend, a
    Dask cluster included.

    Parameters
    ----------
    function : callable
        Called with one value for each name; see :func:`cached` for what it may use.
    label : str, optional
        Text before the progress bar; by default the function's name.
    **values : iterables
        The grid: values to try, by the name of the argument.

    Returns
    -------
    dict
        Result by value (one name) or by tuple of values in the order of the names (several).

    Raises
    ------
    ValueError
        If a name has no values.
    RuntimeError
        If a call fails; names the arguments of that call.

    Examples
    --------
    >>> sweep(lambda x, y: x * y, x=[1, 2], y=[10])
    {(1, 10): 10, (2, 10): 20}
    """
    grid = {name: list(choices) for name, choices in values.items()}
    for name, choices in grid.items():
        if not choices:
            raise ValueError(f"{name} has no values; a grid needs at least one for each name")
    points = [dict(zip(grid, combination)) for combination in itertools.product(*grid.values())]
    results = run(function, points, label or function.__name__)
    keys = [tuple(point.values()) if len(grid) > 1 else next(iter(point.values()))
            for point in points]
    return dict(zip(keys, results))


def run(function: Callable, points: list[dict[str, Any]], label: str) -> list:
    """Call `function` with each of `points` as keyword arguments; results in the same order."""
    store, digest = _store(), fingerprint(function)
    missing = [point for point in points
               if not store.check_call_in_cache(digest, point, function)]
    if missing:
        calls = (joblib.delayed(_named_call)(digest, point, function) for point in missing)
        parallel = joblib.Parallel(n_jobs=-1, return_as="generator_unordered")
        for _ in tqdm(parallel(calls), desc=label, total=len(missing), leave=False):
            pass
    return [store(digest, point, function) for point in points]


def _named_call(digest: str, arguments: dict[str, Any], function: Callable) -> None:
    # The result is read from the store, not sent back: it is there for the next session too.
    try:
        _store()(digest, arguments, function)
    except Exception as error:
        where = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise RuntimeError(f"{function.__name__}({where}) failed with "
                           f"{type(error).__name__}: {error}") from error


def _call(digest: str, arguments: dict[str, Any], function: Callable) -> Any:
    return function(**arguments)


@functools.lru_cache
def _store_at(folder: str):
    return joblib.Memory(folder, verbose=0).cache(_call, ignore=["function"])


def _store():
    return _store_at(os.environ.get("D2L_CACHE") or str(pooch.os_cache("d2l")))


def fingerprint(function: Callable) -> str:
    """Digest of a function's code and of all that it reads from outside, helpers included.

    Raises
    ------
    TypeError
        If something it reads has no content that can be compared.
    """
    parts: dict[Any, Any] = {"environment": _environment()}
    _collect_function(getattr(function, "__wrapped__", function), parts, function.__name__)
    return joblib.hash(list(parts.values()))


def _collect(value: Any, parts: dict, path: str) -> None:
    """Add what identifies `value` to `parts`; a function brings all that it reads."""
    value = getattr(value, "__wrapped__", value)
    if isinstance(value, mxnet.nd.NDArray):
        value = value.asnumpy()
    if isinstance(value, types.FunctionType) and not _is_library(value.__module__):
        _collect_function(value, parts, path)
    elif isinstance(value, type) and not _is_library(value.__module__):
        for name, attribute in vars(value).items():
            if not name.startswith("__") or callable(attribute):
                _collect(attribute, parts, f"{path}.{name}")
    elif isinstance(value, types.ModuleType):
        parts[path] = value.__name__
    elif callable(value) and _is_library(getattr(value, "__module__", None)):
        parts[path] = f"{value.__module__}.{getattr(value, '__qualname__', type(value).__name__)}"
    else:
        try:
            parts[path] = joblib.hash(value)
        except Exception as error:
            raise TypeError(f"cannot tell whether {path} changes: {type(value).__name__}; "
                            "pass it as an argument or make it inside the function") from error


def _collect_function(function: types.FunctionType, parts: dict, path: str) -> None:
    if function in parts:
        return
    parts[function] = [_code(function.__code__), function.__defaults__, function.__kwdefaults__]
    for name in _names(function.__code__):
        if name in function.__globals__:
            _collect(function.__globals__[name], parts, f"{path} -> {name}")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        _collect(cell.cell_contents, parts, f"{path} -> {name}")


def _is_library(module: str | None) -> bool:
    """Whether code of this module stays as it is while a reader works: not the reader's own."""
    root = (module or "builtins").partition(".")[0]
    if root == "__main__":  # notebook or script, whatever started it
        return False
    if root in sys.stdlib_module_names or root == "d2l":  # d2l is in _environment as a whole
        return True
    origin = getattr(sys.modules.get(root), "__file__", None) or ""
    return "site-packages" in origin or "dist-packages" in origin


def _code(code: types.CodeType) -> list:
    return [code.co_code, code.co_names,
            [_code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts]]


def _names(code: types.CodeType) -> list[str]:
    """The global names that the code reads, those of functions inside it included."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    own = {step.argval for step in dis.get_instructions(code)
           if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return sorted(own.union(*map(_names, inner)))


@functools.cache
def _environment() -> list[str]:
    here = pathlib.Path(__file__).parent
    sources = [path.read_text() for path in sorted(here.glob("*.py"))]
    return [joblib.hash(sources), mxnet.__version__, numpy.__version__, matplotlib.__version__]
