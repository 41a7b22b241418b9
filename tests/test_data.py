"""Do the data functions keep their contract, and do the data mean what the notebook says? Only the network is faked."""
import hashlib
import inspect
import socket
from http.client import IncompleteRead
from types import SimpleNamespace
from unittest.mock import MagicMock
from urllib.error import ContentTooShortError, HTTPError, URLError

import numpy as np
import pytest

NAMES = ("x_train", "y_train", "x_test", "y_test")
MARKER = ["the stand-in's training part", "the stand-in's test part"]


def digits(count, classes=10):
    return np.resize(np.arange(classes, dtype=np.uint8), count)


def mnist_like(train=120):
    x_train, x_test = np.random.default_rng(0).integers(0, 256, (2, train, 28, 28), dtype=np.uint8)
    return dict(zip(NAMES, (x_train, digits(train), x_test[:20], digits(20))))


def assert_same(parts, arrays):
    for name, array in zip(NAMES, [array for part in parts for array in part], strict=True):
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, arrays[name], name)


@pytest.fixture
def shown(run, tmp_path, monkeypatch):
    """Forget MNIST_NPZ, use an empty Keras folder and a marker as stand-in; return the displayed texts."""
    texts = []
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name, value in {"VALID_SIZE": 100, "stand_in": lambda: MARKER,
                        "display": lambda thing: texts.append(thing.data)}.items():
        monkeypatch.setitem(run.space, name, value)
    return texts


def expect_stand_in(run, shown, reason):
    *parts, name = run.load_data()
    assert parts == MARKER and name.startswith("dane zastępcze")
    text, = shown
    assert "to nie jest MNIST" in text and reason in text


def expect_error(run, shown, *words):
    """Require a DataError, which Jupyter shows in one line, with these words in it and no advice to delete data."""
    with pytest.raises(run.DataError) as error:
        run.load_data()
    line, = error.value._render_traceback_()
    assert isinstance(error.value, ValueError) and str(error.value) in line and "\n" not in line and not shown
    assert [word for word in words if word not in line] == [] and "usuń" not in line.replace("usuń zmienną", "")


@pytest.fixture
def path(shown, tmp_path, monkeypatch):
    """The file that MNIST_NPZ names."""
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "file.npz"))
    return tmp_path / "file.npz"


def test_good_file(run, path):
    np.savez(path, **(arrays := mnist_like()))
    *parts, name = run.load_data()
    assert name == "MNIST"
    assert_same(parts, arrays)


BAD = {
    "wrong shape": ({"x_test": np.zeros((20, 784), np.uint8)}, "(20, 784)"),
    "wrong image dtype": ({"x_train": np.zeros((120, 28, 28), np.float32)}, "obrazy float32"),
    "wrong label dtype": ({"y_test": digits(20).astype(np.int64)}, "etykiety int64"),
    "label 10": ({"y_test": digits(20, 11)}, "9 10]"),
    "a digit is missing": ({"y_test": digits(20, 9)}, "7 8]"),
    "length mismatch": ({"y_train": digits(119)}, "etykiety uint8 (119,)"),
    "labels in a column": ({"y_test": digits(20)[:, None]}, "TypeError"),
    "too few images": (mnist_like(train=100), "sama walidacja potrzebuje 100 obrazów"),
    "pickled objects": ({"x_train": np.array([{}], object)}, "allow_pickle"),
    **{f"no {name}": ({name: None}, f"{name} is not a file") for name in NAMES},
}


@pytest.mark.parametrize("change, reason", BAD.values(), ids=BAD)
def test_bad_arrays(run, shown, path, change, reason):
    np.savez(path, **{name: array for name, array in (mnist_like() | change).items() if array is not None})
    expect_error(run, shown, str(path), "w formacie Kerasa (", reason)


@pytest.mark.parametrize("content, reason", [
    (None, "FileNotFoundError"), (b"", "EOFError"), (b"hello", "allow_pickle"), (b"PK\x03\x04", "BadZip")])
def test_not_an_npz(run, shown, path, content, reason):
    if content is not None:
        path.write_bytes(content)
    expect_error(run, shown, str(path), "w formacie Kerasa (", reason)


@pytest.fixture
def keras_does(run, shown, monkeypatch):
    """Replace Keras's loader by one that returns the result or raises it."""
    return lambda result: monkeypatch.setattr(run.keras.datasets.mnist, "load_data", MagicMock(side_effect=[result]))


def wrapped(cause):
    """The error that Keras raises when a download fails."""
    error = Exception("URL fetch failure")
    error.__context__ = cause
    return error


def test_keras_gives_mnist(run, shown, keras_does):
    keras_does((("x", "y"), ("x test", "y test")))
    assert run.load_data() == (("x", "y"), ("x test", "y test"), "MNIST") and not shown


NETWORK = [URLError("no route"), HTTPError("url", 403, "forbidden", None, None), ContentTooShortError("half", b""),
           TimeoutError("slow"), ConnectionResetError("reset"), IncompleteRead(b"")]
OTHER = [ValueError("corrupted file"), OSError(28, "no space"), PermissionError("not\nyours")]


@pytest.mark.parametrize("error", NETWORK + [wrapped(cause) for cause in NETWORK], ids=repr)
def test_network_failure_gives_the_stand_in(run, shown, keras_does, error):
    keras_does(error)
    expect_stand_in(run, shown, type(error.__context__ or error).__name__)


@pytest.mark.parametrize("error", OTHER + [wrapped(cause) for cause in OTHER], ids=repr)
def test_any_other_failure_is_an_error(run, shown, keras_does, error):
    keras_does(error)
    expect_error(run, shown, "Keras", type(error.__context__ or error).__name__, str(error).split("\n")[0])


def test_checksum_is_the_one_that_keras_requires(run):
    assert len(run.MNIST_SHA256) == 64 and run.MNIST_SHA256 in inspect.getsource(run.keras.datasets.mnist.load_data)


@pytest.mark.parametrize("variable, folder", [("KERAS_HOME", "datasets"), ("HOME", ".keras/datasets")])
def test_good_copy_is_used_offline(run, shown, keras_does, tmp_path, monkeypatch, variable, folder):
    """Keras's loader, which passes over a folder that it cannot write to, is not asked."""
    path = tmp_path / folder / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, **(arrays := mnist_like()))
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setitem(run.space, "MNIST_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    keras_does(URLError("no route"))
    *parts, name = run.load_data()
    assert name == "MNIST" and not shown
    assert_same(parts, arrays)


@pytest.fixture
def proxy(shown, tmp_path, monkeypatch):
    """Let Keras's real loader use an empty folder and this proxy, and cut its timeouts; return those asked for."""
    def use(port):
        monkeypatch.setattr("urllib.request._opener", None)  # it remembers the proxy settings of its first use
        monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        asked, really = [], socket.setdefaulttimeout
        monkeypatch.setattr(socket, "setdefaulttimeout",
                            lambda seconds: asked.append(seconds) or really(seconds and 0.5))
        return asked

    return use


def test_silent_network(run, shown, proxy):
    """A server that accepts the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        timeouts = proxy(server.getsockname()[1])
        expect_stand_in(run, shown, "timed out")
    assert timeouts == [7, None]


def test_damaged_copy_is_an_error_even_without_network(run, shown, tmp_path, proxy):
    """The copy is readable, but not MNIST; Keras wants to replace it and cannot connect."""
    proxy(9)
    (tmp_path / "datasets").mkdir()
    np.savez(tmp_path / "datasets" / "mnist.npz", **mnist_like())
    expect_error(run, shown, "Keras", "refused")


def test_silent_addresses_end_in_time(run, shown, monkeypatch):
    """However many addresses a name has: two are tried, and settings come back."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in range(1, 17)]
    monkeypatch.setattr(socket, "getaddrinfo", find := lambda *args, **options: list(addresses))
    tried = []

    class SilentSocket(socket.socket):
        def connect(self, address):
            tried.append((address, self.gettimeout()))
            raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "socket", SilentSocket)
    monkeypatch.setattr(run.keras.datasets.mnist, "load_data", lambda: socket.create_connection(("example.org", 443)))
    expect_stand_in(run, shown, "timed out")
    assert tried == [(("127.0.0.1", port), 7) for port in (1, 2)]
    assert socket.getdefaulttimeout() is None and socket.getaddrinfo is find


def test_stand_in(run, tmp_path):
    for (x, y), count in zip(parts := run.stand_in(), (60_000, 10_000), strict=True):
        assert x.shape == (count, 28, 28) and x.min() == 0 and x.max() == 255
        assert np.bincount(y).min() > 0.85 * count / 10
    np.savez(tmp_path / "file.npz", **(arrays := dict(zip(NAMES, [array for part in parts for array in part]))))
    assert_same(run.read_npz(tmp_path / "file.npz"), arrays)
    assert_same(run.stand_in(), arrays)  # the same each time


def test_stand_in_keeps_labels_and_shares_no_original(run, monkeypatch):
    """Let the brightness of its two halves be the number of each original; moving it changes the edges only."""
    numbers, labels = np.arange(1_797), np.random.default_rng(0).integers(0, 10, 1_797)
    halves = np.stack([numbers // 50, numbers % 50], axis=1) * 5 + 2.0
    originals = np.repeat(halves * 16 / 255, 32, axis=1)
    monkeypatch.setitem(run.space, "datasets", SimpleNamespace(load_digits=lambda return_X_y: (originals, labels)))
    found = []
    for x, y in run.stand_in():
        found.append(x[:, 8, 14].astype(int) // 5 * 50 + x[:, 19, 14] // 5)
        np.testing.assert_array_equal(y, labels[found[-1]])
        assert len({bytes(image) for image in x[found[-1] == found[-1][0]]}) > 10  # each copy is moved in its own way
        assert not x[:, :2].any() and not x[:, :, -2:].any()  # none is moved out of the frame
    assert not set(found[0]) & set(found[1]) and set(found[0]) | set(found[1]) == set(numbers)


def test_images_are_the_loaded_ones_divided_by_255(run):
    for x, images in [(np.concatenate([run.x_train, run.x_valid]), run.images), (run.x_test, run.images_test)]:
        assert images.dtype == np.uint8 and x.dtype == np.float32 and x.shape == (len(images), 28, 28, 1)
        np.testing.assert_array_equal(x[..., 0], (images / 255).astype("float32"))
        assert x.min() == 0.0 and x.max() == 1.0


def test_the_last_images_are_for_validation(run):
    count = len(run.images) - run.VALID_SIZE
    for x, y, part in [(run.x_train, run.y_train, slice(count)), (run.x_valid, run.y_valid, slice(count, None))]:
        np.testing.assert_array_equal(np.round(x[..., 0] * 255), run.images[part])
        np.testing.assert_array_equal(y, run.labels[part])


def test_printed_lines_name_each_part(run):
    parts = {"trening": len(run.images) - run.VALID_SIZE, "walidacja": run.VALID_SIZE, "test": len(run.images_test)}
    assert len(set(parts.values())) == 3
    for line, (name, count) in zip(run.printed["split"].splitlines(), parts.items(), strict=True):
        assert line.split() == f"{name} x: ({count}, 28, 28, 1) float32 od 0 do 1 y: ({count},)".split()
