"""Data sets of the course, and minibatches of whatever lies in memory.

Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017, https://github.com/zalandoresearch/fashion-mnist) is
published by Zalando SE under the MIT licence; so is the sample of it that lies beside this file.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import pathlib
import textwrap
import warnings
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import mxnet
import numpy
import pooch
from numpy.typing import ArrayLike, NDArray

__all__ = ["FASHION_CLASSES", "FashionMNIST", "Minibatches", "linear_data", "load_fashion_mnist",
           "planar_data"]

#: Names of the ten classes of Fashion-MNIST; a label is an index into them.
FASHION_CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat",
                   "sandal", "shirt", "sneaker", "bag", "ankle boot")

#: File name -> SHA-256 of its content after decompression, which stays the same when a mirror or a
#: Linux distribution compresses the file anew.
FASHION_FILES = {
    "train-images-idx3-ubyte.gz":
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz":
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz":
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz":
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
FASHION_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"

#: Where Debian's and Ubuntu's package dataset-fashion-mnist puts the files.
SYSTEM_FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")

#: The first 700 training and 150 test images of each class, in the order of the files.
SAMPLE = pathlib.Path(__file__).with_name("fashion_mnist_sample.npz")

#: Seconds to wait for a connection, and for the next bytes of an open one.
TIMEOUT = (3, 10)


class FashionMNIST(NamedTuple):
    """Fashion-MNIST as host arrays: pictures of clothes, 28 x 28 grey values, in ten classes."""

    train_images: NDArray  #: float32, shape (n, 28, 28), from 0 (black) to 1
    train_labels: NDArray  #: int32, shape (n,), index into FASHION_CLASSES
    test_images: NDArray   #: as the training images
    test_labels: NDArray   #: as the training labels
    source: str            #: "cache", "system", "download" or "sample"


def load_fashion_mnist(*, cache: str | os.PathLike | None = None, url: str | None = None,
                       offline: bool | None = None) -> FashionMNIST:
    """Load the 60,000 training and 10,000 test images of Fashion-MNIST.

    They come from the first of these that has them: the user's cache, the system's copy (Debian's
    package dataset-fashion-mnist), a download of 31 MB into the cache, a sample of 7,000 + 1,500
    images that ships with the course. One printed line says when it is the sample. Every file is
    checked against its published content; a damaged one in the cache is removed and fetched again.

    Parameters
    ----------
    cache : path, optional
        Folder for downloads; by default the environment variable ``D2L_CACHE`` or the user's cache.
    url : str, optional
        Address of the folder with the four files; by default ``D2L_DATA_URL`` or the publisher's.
    offline : bool, optional
        Whether to go without download; by default whether ``D2L_OFFLINE`` is set, and not to 0.

    Returns
    -------
    FashionMNIST

    Warns
    -----
    RuntimeWarning
        When a file is damaged.
    """
    folder = pathlib.Path(cache or os.environ.get("D2L_CACHE") or pooch.os_cache("d2l"))
    folder = folder / "fashion-mnist"
    url = url or os.environ.get("D2L_DATA_URL") or FASHION_URL
    if offline is None:
        offline = os.environ.get("D2L_OFFLINE", "0") not in ("", "0")

    for source, place in (("cache", folder), ("system", SYSTEM_FOLDER)):
        if all((place / name).is_file() for name in FASHION_FILES):
            try:
                return _fashion_mnist(_read_all(place, remove_damaged=source == "cache"), source)
            except (OSError, ValueError) as error:
                warnings.warn(f"{error}: looking for the data elsewhere", RuntimeWarning,
                              stacklevel=2)
    reason = "downloads are switched off"
    if not offline:
        try:
            return _fashion_mnist(_fetch(folder, url), "download")
        except (OSError, ValueError) as error:
            reason = "download failed: " + textwrap.shorten(f"{type(error).__name__}: {error}", 120)
    with numpy.load(SAMPLE) as sample:
        data = _fashion_mnist(list(sample.values()), "sample")
    print(f"Fashion-MNIST: {reason}. This run uses the sample that ships with the course, "
          f"{len(data.train_labels):,} training and {len(data.test_labels):,} test images instead "
          "of 60,000 and 10,000: expect accuracies a few points lower.")
    return data


def _fashion_mnist(arrays: list[NDArray], source: str) -> FashionMNIST:
    train_images, train_labels, test_images, test_labels = arrays
    return FashionMNIST(_unit_range(train_images), train_labels.astype("int32"),
                        _unit_range(test_images), test_labels.astype("int32"), source)


def _unit_range(images: NDArray) -> NDArray:
    return numpy.divide(images, 255, dtype="float32")


def _read_all(folder: pathlib.Path, *, remove_damaged: bool) -> list[NDArray]:
    arrays = []
    for name in FASHION_FILES:
        try:
            arrays.append(_read(folder / name))
        except ValueError:
            if remove_damaged:
                (folder / name).unlink(missing_ok=True)
            raise
    return arrays


def _read(path: str | os.PathLike, name: str | None = None) -> NDArray:
    """Read one gzipped IDX file if its content is the published one.

    Raises
    ------
    ValueError
        If the content is anything else; OSError if there is no such file.
    """
    path = pathlib.Path(path)
    compressed = path.read_bytes()
    try:
        content = gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error})") from error
    if hashlib.sha256(content).hexdigest() != FASHION_FILES[name or path.name]:
        raise ValueError(f"{path} is damaged (its content is not the published one)")
    # IDX: two zero bytes, the type (8: unsigned bytes), the number of axes, then their lengths as
    # big-endian 32-bit integers, then the values (http://yann.lecun.com/exdb/mnist/).
    num_axes = content[3]
    shape = numpy.frombuffer(content, ">i4", num_axes, offset=4)
    return numpy.frombuffer(content, "uint8", offset=4 + 4 * num_axes).reshape(shape)


def _fetch(folder: pathlib.Path, url: str) -> list[NDArray]:
    """Download what is missing or damaged in `folder`; return the four arrays."""
    def download(address: str, output_file: str, client: pooch.Pooch) -> None:
        pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=True)(address, output_file, client)
        _read(output_file, pathlib.PurePosixPath(address).name)
        os.chmod(output_file, 0o644)  # temporary files are private, but a class may share a cache

    # Pooch writes to a temporary file, tries again after an error, renames at the end. The check
    # sits in `download`, before the rename: it knows the content, Pooch only the compressed file.
    client = pooch.create(folder, base_url=url, retry_if_failed=2,
                          registry=dict.fromkeys(FASHION_FILES))
    arrays = []
    for name in FASHION_FILES:
        path = folder / name
        try:
            arrays.append(_read(path))
        except (OSError, ValueError):
            path.unlink(missing_ok=True)
            arrays.append(_read(client.fetch(name, downloader=download)))
    return arrays


def linear_data(weight: ArrayLike, bias: float, num_examples: int, *, noise: float,
                seed: int) -> tuple[NDArray, NDArray]:
    """Draw examples of a linear function with Gaussian noise, y = X w + b + noise.

    ``numpy.random.RandomState(seed)`` gives the features first, as standard normals in the shape
    (num_examples, d), then one standard normal an example, which is multiplied by `noise`.

    Parameters
    ----------
    weight : array of shape (d,)
    bias : float
    num_examples : int
        At least 1.
    noise : float
        Standard deviation of the noise, in units of y.
    seed : int
        Seed of the draws.

    Returns
    -------
    X : float64 array of shape (num_examples, d)
    y : float64 array of shape (num_examples,)

    Raises
    ------
    ValueError
        If `weight` is not a vector, `num_examples` is below 1 or `noise` is negative.
    """
    weight = numpy.asarray(weight, dtype=float)
    if weight.ndim != 1 or weight.size == 0:
        raise ValueError(f"weight has shape {weight.shape}; it must be (d,) with d at least 1")
    _check_draws(num_examples, 1, noise)
    random = numpy.random.RandomState(seed)
    X = random.standard_normal((num_examples, weight.size))
    return X, X @ weight + bias + noise * random.standard_normal(num_examples)


def planar_data(kind: str, num_examples: int, *, noise: float,
                seed: int) -> tuple[NDArray, NDArray]:
    """Draw points of two classes in the plane that no straight line separates.

    Without noise all coordinates lie in [-1, 1]. Labels alternate 0, 1, 0, 1, ..., so that every
    part of the data is balanced.

    Parameters
    ----------
    kind : {"moons", "circles", "spirals", "xor"}
        Two interlocking half circles of radius 2/3; circles of radius 0.4 and 0.9; two spiral arms
        of one and a quarter turns; four squares of which opposite ones share a class.
    num_examples : int
        At least 2.
    noise : float
        Standard deviation of what is added to each coordinate.
    seed : int
        Seed of the draws.

    Returns
    -------
    X : float32 array of shape (num_examples, 2)
    labels : int32 array of shape (num_examples,)

    Raises
    ------
    ValueError
        If `kind` is unknown, `num_examples` is below 2 or `noise` is negative.
    """
    if kind not in _SHAPES:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(_SHAPES)}")
    _check_draws(num_examples, 2, noise)
    random = numpy.random.RandomState(seed)
    labels = numpy.arange(num_examples) % 2
    points = numpy.stack(_SHAPES[kind](random.uniform(size=(2, num_examples)), labels), axis=1)
    points += noise * random.standard_normal(points.shape)
    return points.astype("float32"), labels.astype("int32")


def _moons(uniform: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    angle, side = math.pi * uniform[0], 1 - 2 * labels
    return (2 * side * numpy.cos(angle) - side) / 3, side * (2 * numpy.sin(angle) - 0.5) / 3


def _circles(uniform: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    angle, radius = 2 * math.pi * uniform[0], numpy.where(labels == 0, 0.4, 0.9)
    return radius * numpy.cos(angle), radius * numpy.sin(angle)


def _spirals(uniform: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    radius = 0.1 + 0.9 * numpy.sqrt(uniform[0])  # the root spreads points evenly along the arm
    angle = 2.5 * math.pi * radius + math.pi * labels
    return radius * numpy.cos(angle), radius * numpy.sin(angle)


def _xor(uniform: NDArray, labels: NDArray) -> tuple[NDArray, NDArray]:
    right = 1 - 2 * (numpy.arange(len(labels)) // 2 % 2)
    x, y = 0.05 + 0.95 * uniform
    return right * x, right * (1 - 2 * labels) * y


_SHAPES = {"moons": _moons, "circles": _circles, "spirals": _spirals, "xor": _xor}


def _check_draws(num_examples: int, at_least: int, noise: float) -> None:
    if num_examples < at_least:
        raise ValueError(f"num_examples is {num_examples}; it must be at least {at_least}")
    if noise < 0:
        raise ValueError(f"noise is {noise}; a standard deviation cannot be negative")


class Minibatches:
    """Minibatches of arrays that are held in memory; each pass goes through all examples once.

    Parameters
    ----------
    *arrays : arrays of shape (n, ...)
        One entry an example, features first and targets last. NumPy, MXNet or array-like; kept as
        MXNet arrays, floating point as float32 and integers as int32.
    batch_size : int
        Examples in a minibatch; the last one of a pass has what is left.
    shuffle : bool
        Whether each pass has a new order, drawn from NumPy's global generator (see `d2l.seed`).
        Without it minibatches are views: writing into one changes the data.
    device : mxnet.Context, optional
        Where the arrays are kept; by default the current device.

    Attributes
    ----------
    num_examples, batch_size : int

    Raises
    ------
    ValueError
        If there are no arrays or no examples, lengths differ, `batch_size` is below 1 or an array
        holds something else than numbers.

    Examples
    --------
    >>> for X, y in Minibatches(images, labels, batch_size=256): ...
    """

    def __init__(self, *arrays: ArrayLike | mxnet.np.ndarray, batch_size: int,
                 shuffle: bool = True, device: mxnet.Context | None = None) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        host = [_as_numpy(array) for array in arrays]
        lengths = [len(array) if array.ndim else 0 for array in host]
        if not lengths or min(lengths) != max(lengths) or lengths[0] == 0:
            raise ValueError(f"the arrays have {lengths} examples; "
                             "they must all have the same number, at least 1")
        self.num_examples, self.batch_size = lengths[0], batch_size
        self._shuffle = shuffle
        self._arrays = [mxnet.np.array(array, dtype=array.dtype, ctx=device) for array in host]

    def __len__(self) -> int:
        """Return the number of minibatches in a pass."""
        return math.ceil(self.num_examples / self.batch_size)

    def __iter__(self) -> Iterator[tuple[mxnet.np.ndarray, ...]]:
        starts = range(0, self.num_examples, self.batch_size)
        if not self._shuffle:
            for start in starts:
                yield tuple(array[start:start + self.batch_size] for array in self._arrays)
            return
        # One index for the whole pass: copying it to the device waits for all pending operations,
        # taking rows there does not.
        order = mxnet.np.array(numpy.random.permutation(self.num_examples), dtype="int32",
                               ctx=self._arrays[0].ctx)
        for start in starts:
            rows = order[start:start + self.batch_size]
            yield tuple(mxnet.np.take(array, rows, axis=0) for array in self._arrays)


def _as_numpy(array: ArrayLike | mxnet.np.ndarray) -> NDArray:
    """Return a host array of float32 or int32."""
    array = array.asnumpy() if isinstance(array, mxnet.np.ndarray) else numpy.asarray(array)
    dtypes = {"f": "float32", "i": "int32", "u": "int32", "b": "int32"}
    if array.dtype.kind not in dtypes:
        raise ValueError(f"an array holds {array.dtype}; minibatches are made of numbers")
    return array.astype(dtypes[array.dtype.kind], copy=False)
