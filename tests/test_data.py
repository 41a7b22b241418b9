"""Does the data loading keep its contract, and do the data mean what the text says? Only the network is faked."""
import hashlib
import inspect
import re
import socket
from http.client import IncompleteRead
from types import SimpleNamespace
from unittest.mock import MagicMock
from urllib.error import ContentTooShortError, HTTPError, URLError

import numpy as np
import pytest

NAMES = ("x_train", "y_train", "x_test", "y_test")
DIGITS = np.arange(10, dtype=np.uint8)
MARKER = ["the stand-in's training part", "the stand-in's test part"]


def mnist_like(train=120):
    """Return arrays in Keras's format: random images, all digits in turn."""
    x_train, x_test = np.random.default_rng(0).integers(0, 256, (2, train, 28, 28), dtype=np.uint8)
    return dict(zip(NAMES, (x_train, np.resize(DIGITS, train), x_test[:20], np.resize(DIGITS, 20))))


def assert_same(parts, path):
    """Require ((x_train, y_train), (x_test, y_test)) to be the arrays of a file in Keras's format."""
    with np.load(path) as file:
        for name, array in zip(NAMES, (*parts[0], *parts[1]), strict=True):
            assert array.dtype == np.uint8 and np.array_equal(array, file[name]), name


@pytest.fixture
def load(run, tmp_path, monkeypatch):
    """A function that calls load_data with an empty Keras folder, no MNIST_NPZ, a marker as stand-in and a result or
    error of Keras's loader; it returns the parts, the data's name (or None and the error's line) and what was shown."""
    shown = []
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name, value in {"VALID_SIZE": 100, "stand_in": lambda: MARKER,
                        "display": lambda thing: shown.append(thing.data)}.items():
        monkeypatch.setitem(run.space, name, value)

    def load(keras=None):
        if keras:
            monkeypatch.setattr(run.keras.datasets.mnist, "load_data", MagicMock(side_effect=[keras]))
        try:
            *parts, name = run.load_data()
        except run.DataError as error:
            parts, (name,) = None, error._render_traceback_()
            assert isinstance(error, ValueError) and str(error) in name
        return parts, name, "".join(shown)

    return load


def assert_stand_in(found, reason):
    parts, name, shown = found
    assert parts == MARKER and name.startswith("dane zastępcze") and "to nie jest MNIST" in shown and reason in shown


def assert_error(found, *words):
    """Require an error of one line with these words, and no advice to delete data."""
    parts, line, shown = found
    assert parts is None and not shown and "\n" not in line and "usuń" not in line.replace("usuń zmienną", "")
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize("variable, value, file", [
    ("MNIST_NPZ", "own.npz", "own.npz"), ("KERAS_HOME", "", "datasets/mnist.npz"),
    ("HOME", "", ".keras/datasets/mnist.npz")])
def test_a_good_file_is_used(run, load, tmp_path, monkeypatch, variable, value, file):
    """Without network too; Keras's loader, which passes over a folder that it cannot write to, is not asked."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **mnist_like())
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv(variable, str(tmp_path / value))
    assert run.MNIST_SHA256 in re.findall(r"\b[0-9a-f]{64}\b", inspect.getsource(run.keras.datasets.mnist.load_data))
    monkeypatch.setitem(run.space, "MNIST_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    parts, *rest = load(URLError("no route"))
    assert rest == ["MNIST", ""]
    assert_same(parts, path)


def test_without_a_file_keras_gives_mnist(load):
    assert load(("training", "test")) == (["training", "test"], "MNIST", "")


@pytest.mark.parametrize("content, reason", [
    ({"x_test": np.zeros((20, 784), np.uint8)}, "(20, 784)"),
    ({"x_train": np.zeros((120, 28, 28), np.float32)}, "obrazy float32"),
    ({"y_test": np.resize(DIGITS, 20).astype(np.int64)}, "etykiety int64"),
    ({"y_test": np.resize(np.arange(11, dtype=np.uint8), 20)}, "9 10]"),
    ({"y_test": np.resize(DIGITS[:9], 20)}, "7 8]"),
    ({"y_train": np.resize(DIGITS, 119)}, "etykiety uint8 (119,)"),
    (mnist_like(train=100), "sama walidacja potrzebuje 100 obrazów"),
    ({"x_test": None}, "x_test is not a file"),
    (None, "FileNotFoundError"), (b"", "EOFError"), (b"hello", "allow_pickle"), (b"PK\x03\x04", "BadZip")])
def test_bad_file(load, tmp_path, monkeypatch, content, reason):
    """Arrays that differ from MNIST's, no file, or one that is no npz."""
    path = tmp_path / "file.npz"
    monkeypatch.setenv("MNIST_NPZ", str(path))
    if isinstance(content, dict):
        np.savez(path, **{name: array for name, array in (mnist_like() | content).items() if array is not None})
    elif content is not None:
        path.write_bytes(content)
    assert_error(load(), str(path), "w formacie Kerasa (", reason)


def also_wrapped(cause):
    """Return an error and the one that Keras raises when a download fails, with that error as its context."""
    error = Exception("URL fetch failure")
    error.__context__ = cause
    return cause, error


@pytest.mark.parametrize("cause", [
    URLError("no route"), HTTPError("url", 403, "forbidden", None, None), ContentTooShortError("half", b""),
    TimeoutError("slow"), ConnectionResetError("reset"), IncompleteRead(b"")], ids=repr)
def test_network_failure_gives_the_stand_in(load, cause):
    for error in also_wrapped(cause):
        assert_stand_in(load(error), type(cause).__name__)


@pytest.mark.parametrize("cause", [ValueError("corrupt"), OSError(28, "full"), PermissionError("not\nyours")], ids=repr)
def test_any_other_failure_is_an_error(load, cause):
    for error in also_wrapped(cause):
        assert_error(load(error), "Keras", type(cause).__name__, str(error).split("\n")[0])


def test_damaged_copy_is_an_error(load, tmp_path):
    """The copy is readable, but not MNIST; Keras wants to replace it and cannot connect."""
    (tmp_path / "datasets").mkdir()
    np.savez(tmp_path / "datasets" / "mnist.npz", **mnist_like())
    assert_error(load(URLError("no route")), "Keras", "no route")


def test_silent_network_ends_in_time(load, tmp_path, monkeypatch):
    """Keras's real loader and a host whose addresses never answer: two are tried, and the settings come back."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in range(1, 17)]
    tried = []

    class SilentSocket(socket.socket):
        def connect(self, address):
            tried.append((address, self.gettimeout()))
            raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "socket", SilentSocket)
    monkeypatch.setattr(socket, "getaddrinfo", find := lambda *args, **options: list(addresses))
    monkeypatch.setattr("urllib.request._opener", None)  # it remembers the proxy settings of its first use
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    assert_stand_in(load(), "timed out")
    assert tried == [(("127.0.0.1", port), 7) for port in (1, 2)]
    assert socket.getdefaulttimeout() is None and socket.getaddrinfo is find


def test_stand_in(run, tmp_path, monkeypatch):
    """In MNIST's format and the same each time; labels stay with their images, and the parts share no original. For
    that, the brightness of its two halves is the number of an original; moving it changes the edges only."""
    x, y = run.stand_in()[1]
    assert x.min() == 0 and x.max() == 255 and np.bincount(y).min() > 850
    numbers, labels = np.arange(1_797), np.random.default_rng(0).integers(0, 10, 1_797)
    halves = np.stack([numbers // 50, numbers % 50], axis=1) * 5 + 2.0
    originals = np.repeat(halves * 16 / 255, 32, axis=1)
    monkeypatch.setitem(run.space, "datasets", SimpleNamespace(load_digits=lambda return_X_y: (originals, labels)))
    parts, found = run.stand_in(), []
    np.savez(path := tmp_path / "file.npz", **dict(zip(NAMES, (*parts[0], *parts[1]))))
    assert_same(run.read_npz(path), path)
    assert_same(run.stand_in(), path)
    for (x, y), count in zip(parts, (60_000, 10_000), strict=True):
        found.append(x[:, 8, 14].astype(int) // 5 * 50 + x[:, 19, 14] // 5)
        assert len(x) == count and np.array_equal(y, labels[found[-1]])
        assert len({bytes(image) for image in x[found[-1] == found[-1][0]]}) > 10  # each copy is moved in its own way
        assert not x[:, :2].any() and not x[:, :, -2:].any()  # none is moved out of the frame
    assert not set(found[0]) & set(found[1]) and set(found[0]) | set(found[1]) == set(numbers)


def test_images_are_divided_and_split(run):
    """By 255; the last ones of the training part are for validation. Printed lines name each part."""
    count, printed = len(run.images) - run.VALID_SIZE, run.printed["split"].splitlines()
    for line, name, x, y, images, labels in zip(
            printed, ("trening", "walidacja", "test"), (run.x_train, run.x_valid, run.x_test),
            (run.y_train, run.y_valid, run.y_test), (run.images[:count], run.images[count:], run.images_test),
            (run.labels[:count], run.labels[count:], run.y_test), strict=True):
        assert images.dtype == np.uint8 and x.dtype == np.float32 and x.shape == (len(images), 28, 28, 1)
        np.testing.assert_array_equal(x[..., 0], (images / 255).astype("float32"))
        np.testing.assert_array_equal(y, labels)
        assert x.min() == 0.0 and x.max() == 1.0
        assert line == f"{name:10} x: {x.shape} float32 od 0 do 1   y: {y.shape}"
