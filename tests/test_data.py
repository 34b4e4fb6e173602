"""Where Fashion-MNIST comes from when something is missing, damaged or slow; minibatches."""

import collections
import functools
import gzip
import hashlib
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import warnings

import mxnet
import numpy
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import d2l
from d2l import data as d2l_data

TRAIN_IMAGES, TEST_LABELS = "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small data set in the published format, known to d2l: its folder, and arrays by name."""
    rng = numpy.random.RandomState(0)
    folder, arrays, checksums = tmp_path / "published", {}, {}
    folder.mkdir()
    for part, size in (("train", 40), ("t10k", 20)):
        for kind, shape in (("images-idx3", (size, 28, 28)), ("labels-idx1", (size,))):
            name = f"{part}-{kind}-ubyte.gz"
            arrays[name] = rng.randint(0, 256 if len(shape) > 1 else 10, shape, dtype="uint8")
            content = struct.pack(f">HBB{len(shape)}i", 0, 8, len(shape), *shape)
            content += arrays[name].tobytes()
            checksums[name] = hashlib.sha256(content).hexdigest()
            (folder / name).write_bytes(gzip.compress(content))
    monkeypatch.setattr(d2l_data, "FASHION_FILES", checksums)
    monkeypatch.setattr(d2l_data, "SYSTEM_FOLDER", tmp_path / "no system copy")
    for variable in ("D2L_CACHE", "D2L_DATA_URL", "D2L_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    return folder, arrays


@pytest.fixture
def serve():
    """A function that serves a folder on a local port; each server counts its requests."""
    servers = []

    def start(folder, answer=None):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                requests[self.path.lstrip("/")] += 1
                answer(self) if answer else super().do_GET()

            def log_message(self, *arguments):
                pass

        requests = collections.Counter()
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def no_waiting(monkeypatch):
    """Pooch pauses between attempts; tests need not."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def damage(path, how):
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:len(content) // 2], "empty": b"", "no gzip": b"<html>",
                      "altered": gzip.compress(gzip.decompress(content)[:-1] + b"\0\0")}[how])


def assert_is(loaded, arrays, source):
    assert loaded.source == source
    train_images, train_labels, test_images, test_labels = arrays.values()
    assert loaded.train_images.dtype == loaded.test_images.dtype == "float32"
    assert loaded.train_labels.dtype == loaded.test_labels.dtype == "int32"
    assert_allclose(loaded.train_images, train_images / 255, rtol=1e-6)
    assert_array_equal(loaded.train_labels, train_labels)
    assert_allclose(loaded.test_images, test_images / 255, rtol=1e-6)
    assert_array_equal(loaded.test_labels, test_labels)


# The order of sources

def test_download_fills_the_cache_and_is_not_repeated(published, serve, tmp_path, monkeypatch):
    folder, arrays = published
    url, requests = serve(folder)
    monkeypatch.setenv("D2L_DATA_URL", url.rstrip("/"))
    monkeypatch.setenv("D2L_CACHE", str(tmp_path / "cache"))
    assert_is(d2l.load_fashion_mnist(), arrays, "download")
    assert sorted(requests.values()) == [1, 1, 1, 1]
    files = list((tmp_path / "cache" / "fashion-mnist").iterdir())
    assert {path.name for path in files} == set(arrays)
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in files)  # others may read them
    monkeypatch.setenv("D2L_OFFLINE", "1")
    assert_is(d2l.load_fashion_mnist(), arrays, "cache")
    assert sorted(requests.values()) == [1, 1, 1, 1]


def test_the_system_copy_saves_the_download(published, serve, tmp_path, monkeypatch):
    folder, arrays = published
    url, requests = serve(folder)
    monkeypatch.setattr(d2l_data, "SYSTEM_FOLDER", folder)
    assert_is(d2l.load_fashion_mnist(cache=tmp_path / "cache", url=url), arrays, "system")
    assert not requests and not (tmp_path / "cache").exists()


def test_arguments_go_before_the_environment(published, serve, tmp_path, monkeypatch):
    folder, arrays = published
    url, _ = serve(folder)
    monkeypatch.setenv("D2L_DATA_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("D2L_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("D2L_OFFLINE", "1")
    loaded = d2l.load_fashion_mnist(cache=tmp_path / "cache", url=url, offline=False)
    assert_is(loaded, arrays, "download")
    assert (tmp_path / "cache").exists() and not (tmp_path / "other").exists()


@pytest.mark.parametrize("value, forbids", [("1", True), ("yes", True), ("0", False), ("", False)])
def test_offline_forbids_the_download(value, forbids, published, serve, tmp_path, monkeypatch):
    url, requests = serve(published[0])
    monkeypatch.setenv("D2L_OFFLINE", value)
    loaded = d2l.load_fashion_mnist(cache=tmp_path / "cache", url=url)
    assert (loaded.source == "sample", not requests) == (forbids, forbids)


def test_without_any_source_the_sample_comes_with_one_line_that_says_so(
        published, tmp_path, capsys):
    loaded = d2l.load_fashion_mnist(cache=tmp_path, offline=True)
    assert loaded.source == "sample"
    line, end = capsys.readouterr().out.split("\n")
    assert "switched off" in line and "7,000 training and 1,500 test" in line and end == ""
    assert loaded.train_images.shape == (7000, 28, 28) and loaded.train_images.dtype == "float32"
    assert loaded.test_images.shape == (1500, 28, 28) and loaded.test_images.max() == 1
    assert_array_equal(numpy.bincount(loaded.train_labels), [700] * 10)
    assert_array_equal(numpy.bincount(loaded.test_labels), [150] * 10)
    assert d2l_data.SAMPLE.stat().st_size <= 4e6


def test_the_published_data_are_read_right_wherever_they_come_from():
    """The real thing, from cache, system or network; offline from the sample."""
    loaded = d2l.load_fashion_mnist()
    share = {"sample": 7000 / 60000}.get(loaded.source, 1)
    assert len(loaded.train_labels) == 60000 * share
    # Mean and standard deviation of all training pixels, as published with many models.
    assert loaded.train_images.mean() == pytest.approx(0.2860, abs=0.0001 if share == 1 else 0.003)
    assert loaded.train_images.std() == pytest.approx(0.3530, abs=0.0001 if share == 1 else 0.003)
    names = [d2l.FASHION_CLASSES[label] for label in loaded.train_labels[:4]]
    assert names == ["ankle boot", "t-shirt", "t-shirt", "dress"]


# Damage

def test_a_missing_file_alone_is_fetched(published, serve, tmp_path):
    folder, arrays = published
    url, requests = serve(folder)
    shutil.copytree(folder, tmp_path / "fashion-mnist")
    (tmp_path / "fashion-mnist" / TEST_LABELS).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_is(d2l.load_fashion_mnist(cache=tmp_path, url=url), arrays, "download")
    assert requests == {TEST_LABELS: 1}


def test_a_damaged_file_in_the_cache_is_removed_when_the_system_has_a_good_one(
        published, tmp_path, monkeypatch):
    folder, arrays = published
    monkeypatch.setattr(d2l_data, "SYSTEM_FOLDER", folder)
    shutil.copytree(folder, tmp_path / "fashion-mnist")
    damage(tmp_path / "fashion-mnist" / TRAIN_IMAGES, "altered")
    with pytest.warns(RuntimeWarning, match=f"{TRAIN_IMAGES} is damaged"):
        assert_is(d2l.load_fashion_mnist(cache=tmp_path), arrays, "system")
    assert not (tmp_path / "fashion-mnist" / TRAIN_IMAGES).exists()


@pytest.mark.parametrize("how", ["truncated", "empty", "no gzip", "altered"])
def test_damaged_files_in_the_cache_are_fetched_again(how, published, serve, tmp_path):
    folder, arrays = published
    url, requests = serve(folder)
    shutil.copytree(folder, tmp_path / "cache" / "fashion-mnist")
    for name in (TRAIN_IMAGES, TEST_LABELS):
        damage(tmp_path / "cache" / "fashion-mnist" / name, how)
    with pytest.warns(RuntimeWarning, match=f"{TRAIN_IMAGES} is damaged"):
        assert_is(d2l.load_fashion_mnist(cache=tmp_path / "cache", url=url), arrays, "download")
    assert requests == {TRAIN_IMAGES: 1, TEST_LABELS: 1}
    assert_is(d2l.load_fashion_mnist(cache=tmp_path / "cache", url=url), arrays, "cache")


@pytest.mark.parametrize("how", ["truncated", "altered"])
def test_a_damaged_system_copy_is_passed_over(how, published, serve, tmp_path, monkeypatch):
    folder, arrays = published
    url, _ = serve(folder)
    monkeypatch.setattr(d2l_data, "SYSTEM_FOLDER", tmp_path / "system")
    shutil.copytree(folder, tmp_path / "system")
    damage(tmp_path / "system" / TRAIN_IMAGES, how)
    with pytest.warns(RuntimeWarning, match=f"{TRAIN_IMAGES} is damaged"):
        assert_is(d2l.load_fashion_mnist(cache=tmp_path / "cache", url=url), arrays, "download")
    assert (tmp_path / "system" / TRAIN_IMAGES).exists()  # not ours to remove


@pytest.mark.parametrize("how", ["truncated", "no gzip", "altered"])
def test_a_download_that_stays_damaged_is_never_kept(how, published, serve, tmp_path, capsys,
                                                     no_waiting):
    folder, _ = published
    damage(folder / TRAIN_IMAGES, how)
    url, requests = serve(folder)
    assert d2l.load_fashion_mnist(cache=tmp_path, url=url).source == "sample"
    assert requests == {TRAIN_IMAGES: 3}
    assert os.listdir(tmp_path / "fashion-mnist") == []
    assert "download failed: ValueError" in capsys.readouterr().out


def test_a_connection_that_breaks_twice_succeeds_the_third_time(published, serve, tmp_path,
                                                                no_waiting):
    folder, arrays = published
    attempts = collections.Counter()

    def answer(handler):
        name = handler.path.lstrip("/")
        attempts[name] += 1
        content = (folder / name).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content if attempts[name] == 3 else content[:len(content) // 2])

    url, _ = serve(folder, answer)
    assert_is(d2l.load_fashion_mnist(cache=tmp_path, url=url), arrays, "download")


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_without_the_files_leads_to_the_sample(status, published, serve, tmp_path, capsys,
                                                        no_waiting):
    url, _ = serve(published[0], lambda handler: handler.send_error(status))
    assert d2l.load_fashion_mnist(cache=tmp_path, url=url).source == "sample"
    assert str(status) in capsys.readouterr().out


def test_an_unreachable_server_leads_to_the_sample(published, tmp_path, capsys, no_waiting):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/"
        assert d2l.load_fashion_mnist(cache=tmp_path, url=url).source == "sample"
    assert "download failed: ConnectionError" in capsys.readouterr().out


def test_a_silent_server_is_given_up(published, tmp_path, monkeypatch, capsys, no_waiting):
    monkeypatch.setattr(d2l_data, "TIMEOUT", (0.1, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, then says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert d2l.load_fashion_mnist(cache=tmp_path, url=url).source == "sample"
    assert "read timeout=0.1" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_leads_to_the_sample(published, serve, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    url, _ = serve(published[0])
    assert d2l.load_fashion_mnist(cache=tmp_path / "cache", url=url).source == "sample"


FETCH = """
import json, sys
import d2l
from d2l import data
data.FASHION_FILES = json.loads(sys.argv[1])
data.SYSTEM_FOLDER = data.SYSTEM_FOLDER / "none"
loaded = d2l.load_fashion_mnist(cache=sys.argv[2], url=sys.argv[3], offline=False)
print(loaded.source, len(loaded.train_images), len(loaded.test_images))
"""


def test_two_processes_that_download_at_once_both_get_whole_files(published, serve, tmp_path):
    folder, arrays = published
    both_here = threading.Barrier(2)

    def answer(handler):
        name = handler.path.lstrip("/")
        both_here.wait(timeout=60)  # each file is sent only when both have asked for it
        content = (folder / name).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        half = len(content) // 2
        handler.wfile.write(content[:half])
        both_here.wait(timeout=60)  # both are in the middle of writing now
        handler.wfile.write(content[half:])

    url, requests = serve(folder, answer)
    command = [sys.executable, "-c", FETCH, json.dumps(d2l_data.FASHION_FILES),
               str(tmp_path / "cache"), url]
    processes = [subprocess.Popen(command, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [out for out, _ in results] == ["download 40 20\n"] * 2, results
    assert set(requests.values()) == {2}
    assert sorted(os.listdir(tmp_path / "cache" / "fashion-mnist")) == sorted(arrays)
    assert_is(d2l.load_fashion_mnist(cache=tmp_path / "cache", offline=True), arrays, "cache")


# Synthetic data

def test_linear_data_are_drawn_in_the_documented_order():
    X, y = d2l.linear_data([2, -3.4], 4.2, 50, noise=0.5, seed=3)
    rng = numpy.random.RandomState(3)
    features, noise = rng.standard_normal((50, 2)), rng.standard_normal(50)
    assert_allclose(X, features)
    assert_allclose(y, 2 * X[:, 0] - 3.4 * X[:, 1] + 4.2 + 0.5 * noise)
    assert X.dtype == y.dtype == "float64"


@pytest.mark.parametrize("kind", ["moons", "circles", "spirals", "xor"])
def test_planar_data_are_balanced_bounded_and_not_linear(kind):
    X, labels = d2l.planar_data(kind, 401, noise=0, seed=0)
    assert X.shape == (401, 2) and X.dtype == "float32" and labels.dtype == "int32"
    assert abs(X).max() <= 1 and abs(X).max() > 0.85
    assert_array_equal(numpy.bincount(labels[:100]), [50, 50])
    # No straight line, but the class of the nearest other point, tells the classes apart.
    design = numpy.c_[X, numpy.ones(len(X))]
    line = numpy.linalg.lstsq(design, 2.0 * labels - 1, rcond=None)[0]
    assert ((design @ line > 0) == labels).mean() < 0.95
    distances = ((X[:, None] - X) ** 2).sum(axis=2) + 9 * numpy.eye(len(X))
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.99


def test_moons_reach_into_each_other():
    X, labels = d2l.planar_data("moons", 4000, noise=0, seed=0)
    upper, lower = X[labels == 0], X[labels == 1]
    assert_allclose([upper.min(axis=0), upper.max(axis=0)], [[-1, -1 / 6], [1 / 3, 0.5]], atol=0.01)
    assert_allclose(lower.min(axis=0), -upper.max(axis=0), atol=0.01)
    assert_allclose(lower.max(axis=0), -upper.min(axis=0), atol=0.01)


@pytest.mark.parametrize("kind", ["moons", "circles", "spirals", "xor"])
def test_noise_is_added_to_the_same_points(kind):
    clean, labels = d2l.planar_data(kind, 2000, noise=0, seed=1)
    noisy, same_labels = d2l.planar_data(kind, 2000, noise=0.2, seed=1)
    other, _ = d2l.planar_data(kind, 2000, noise=0, seed=2)
    assert_array_equal(labels, same_labels)
    assert (noisy - clean).std() == pytest.approx(0.2, rel=0.05)
    assert not numpy.allclose(clean, other)


@pytest.mark.parametrize("call, message", [
    (lambda: d2l.planar_data("cross", 10, noise=0, seed=0), "'cross'.*moons, circles, spirals"),
    (lambda: d2l.planar_data("moons", 1, noise=0, seed=0), "num_examples is 1.*at least 2"),
    (lambda: d2l.planar_data("moons", 9, noise=-1, seed=0), "noise is -1"),
    (lambda: d2l.linear_data([1.0], 0, 0, noise=0, seed=0), "num_examples is 0"),
    (lambda: d2l.linear_data([1.0], 0, 5, noise=-2, seed=0), "noise is -2"),
    (lambda: d2l.linear_data([[1.0]], 0, 5, noise=0, seed=0), r"weight has shape \(1, 1\)")])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Minibatches

def rows(minibatches):
    return numpy.concatenate([batch[-1].asnumpy() for batch in minibatches])


def test_each_pass_has_all_examples_once_in_a_new_order_with_rows_together():
    X, y = numpy.arange(20).reshape(10, 2), numpy.arange(10)
    minibatches = d2l.Minibatches(X, y, batch_size=4)
    assert (len(minibatches), minibatches.num_examples, minibatches.batch_size) == (3, 10, 4)
    assert [len(batch) for _, batch in minibatches] == [4, 4, 2]
    for features, targets in minibatches:
        assert_array_equal(features.asnumpy(), X[targets.asnumpy()])
    first, second = rows(minibatches), rows(minibatches)
    assert_array_equal(sorted(first), y)
    assert_array_equal(sorted(second), y)
    assert list(first) != list(second)


def test_the_seed_fixes_the_order():
    def draw(seed):
        d2l.seed(seed)
        return rows(d2l.Minibatches(numpy.arange(50), batch_size=8)).tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_without_shuffling_the_order_stays_and_no_random_number_is_used():
    d2l.seed(0)
    before = numpy.random.get_state()[2]
    minibatches = d2l.Minibatches(numpy.arange(10), batch_size=3, shuffle=False)
    assert_array_equal(rows(minibatches), range(10))
    assert numpy.random.get_state()[2] == before


def test_arrays_of_many_kinds_become_float32_or_int32():
    arrays = (numpy.ones(3), [1, 2, 3], numpy.ones(3, "uint8"), numpy.ones(3, "float16"),
              mxnet.np.ones(3, dtype="int64"), numpy.array([True, False, True]))
    batch = next(iter(d2l.Minibatches(*arrays, batch_size=2)))
    assert all(isinstance(array, mxnet.np.ndarray) for array in batch)
    assert [str(numpy.dtype(array.dtype)) for array in batch] == [
        "float32", "int32", "int32", "float32", "int32", "int32"]


def test_minibatches_live_on_the_device_they_are_given():
    minibatches = d2l.Minibatches(numpy.ones((4, 2)), batch_size=2, device=mxnet.cpu(1))
    assert [X.ctx for X, in minibatches] == [mxnet.cpu(1)] * 2


def test_changing_the_source_later_does_not_change_the_minibatches():
    source = numpy.zeros(4, "float32")
    minibatches = d2l.Minibatches(source, batch_size=4, shuffle=False)
    source += 1
    assert_array_equal(rows(minibatches), numpy.zeros(4))


@pytest.mark.parametrize("arrays, batch_size, message", [
    ((), 1, r"\[\] examples"), (([],), 1, r"\[0\] examples"),
    (([1, 2], [1]), 1, r"\[2, 1\] examples"), ((3.0,), 1, r"\[0\] examples"),
    (([1],), 0, "batch_size is 0"), (([1],), -2, "batch_size is -2"),
    ((["a"],), 1, "<U1.*numbers")])
def test_minibatches_name_bad_input(arrays, batch_size, message):
    with pytest.raises(ValueError, match=message):
        d2l.Minibatches(*arrays, batch_size=batch_size)
