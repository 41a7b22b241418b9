"""Do the data functions keep their contract, and do the data mean what the notebook says? Only the network is faked."""
import hashlib
import inspect
import socket
import threading
import urllib.request
from http.client import IncompleteRead, InvalidURL
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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
    (x_train, y_train), (x_test, y_test) = parts
    for name, array in zip(NAMES, (x_train, y_train, x_test, y_test)):
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, arrays[name], name)


@pytest.fixture
def shown(run, tmp_path, monkeypatch):
    """Forget MNIST_NPZ, use an empty Keras folder and a marker as stand-in; return the displayed texts."""
    texts = []
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(run.space, "VALID_SIZE", 100)
    monkeypatch.setitem(run.space, "stand_in", lambda: MARKER)
    monkeypatch.setitem(run.space, "display", lambda thing: texts.append(thing.data))
    return texts


def expect_stand_in(run, shown, reason):
    shown.clear()
    *parts, name = run.load_data()
    assert parts == MARKER and name.startswith("dane zastępcze")
    text, = shown
    assert "to nie jest MNIST" in text and reason in text


def expect_error(run, shown, *words):
    """Require a DataError, which Jupyter shows in one line, with these words in it."""
    with pytest.raises(run.DataError) as error:
        run.load_data()
    line, = error.value._render_traceback_()
    assert isinstance(error.value, ValueError) and str(error.value) in line and "\n" not in line and not shown
    assert all(word in line for word in words), line
    return line


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
    "wrong image size": ({"x_train": np.zeros((120, 27, 28), np.uint8)}, "(120, 27, 28)"),
    "wrong image dtype": ({"x_train": np.zeros((120, 28, 28), np.float32)}, "obrazy float32"),
    "wrong label dtype": ({"y_test": digits(20).astype(np.int64)}, "etykiety int64"),
    "label 10": ({"y_test": digits(20, 11)}, "9 10]"),
    "a digit is missing": ({"y_test": digits(20, 9)}, "7 8]"),
    "length mismatch": ({"y_train": digits(119)}, "etykiety uint8 (119,)"),
    "labels in a column": ({"y_test": digits(20)[:, None]}, "TypeError"),
    "scalar": ({"x_test": np.uint8(3)}, "obrazy uint8 ()"),
    "too few images": (mnist_like(train=100), "sama walidacja potrzebuje 100 obrazów"),
    "pickled objects": ({"x_train": np.array([{}], object)}, "allow_pickle"),
    **{f"no {name}": ({name: None}, f"{name} is not a file") for name in NAMES},
}


@pytest.mark.parametrize("change, reason", BAD.values(), ids=BAD)
def test_bad_arrays(run, shown, path, change, reason):
    np.savez(path, **{name: array for name, array in (mnist_like() | change).items() if array is not None})
    expect_error(run, shown, str(path), "w formacie Kerasa (", reason)


@pytest.mark.parametrize("content, reason", [(b"", "EOFError"), (b"hello", "allow_pickle"), (b"PK\x03\x04", "BadZip")])
def test_not_an_npz(run, shown, path, content, reason):
    path.write_bytes(content)
    expect_error(run, shown, str(path), "w formacie Kerasa (", reason)


def test_missing_and_truncated_file(run, shown, path):
    expect_error(run, shown, str(path), "FileNotFoundError")
    np.savez(path, **mnist_like())
    path.write_bytes(path.read_bytes()[:-1_000])
    expect_error(run, shown, str(path), "BadZipFile")


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
OTHER = [ValueError("corrupted file"), OSError(28, "no space"), PermissionError("not\nyours"), InvalidURL("port")]


@pytest.mark.parametrize("error", NETWORK + [wrapped(cause) for cause in NETWORK], ids=repr)
def test_network_failure_gives_the_stand_in(run, shown, keras_does, error):
    keras_does(error)
    expect_stand_in(run, shown, type(error.__context__ or error).__name__)


@pytest.mark.parametrize("error", OTHER + [wrapped(cause) for cause in OTHER], ids=repr)
def test_any_other_failure_is_an_error(run, shown, keras_does, error):
    keras_does(error)
    line = expect_error(run, shown, "Keras", type(error.__context__ or error).__name__, str(error).split("\n")[0])
    assert "usuń" not in line


def test_checksum_is_the_one_that_keras_requires(run):
    assert len(run.MNIST_SHA256) == 64 and run.MNIST_SHA256 in inspect.getsource(run.keras.datasets.mnist.load_data)


@pytest.mark.parametrize("variable, folder", [("KERAS_HOME", "datasets"), ("HOME", ".keras/datasets")])
def test_good_copy_is_used_offline(run, shown, keras_does, tmp_path, monkeypatch, variable, folder):
    """Keras's loader, which passes over a folder that it cannot write to, is not asked."""
    path = tmp_path / folder / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, **(arrays := mnist_like()))
    path.parent.chmod(0o500)
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setitem(run.space, "MNIST_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    keras_does(URLError("no route"))
    *parts, name = run.load_data()
    path.parent.chmod(0o700)
    assert name == "MNIST" and not shown
    assert_same(parts, arrays)


@pytest.fixture
def real_keras(shown, tmp_path, monkeypatch):
    """Let Keras's real loader use the given folder and proxy; return the list of timeouts set, cut to the longest."""
    def use(folder=tmp_path, proxy="http://127.0.0.1:9", longest=7):
        monkeypatch.setattr("urllib.request._opener", None)  # it remembers the proxy settings of its first use
        monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(folder))
        for name, value in {"KERAS_HOME": str(folder), "https_proxy": proxy, "no_proxy": ""}.items():
            monkeypatch.setenv(name, value)
        asked, really = [], socket.setdefaulttimeout
        monkeypatch.setattr(socket, "setdefaulttimeout", lambda seconds: asked.append(seconds) or really(
            seconds and min(seconds, longest)))
        return asked

    return use


@pytest.mark.parametrize("hangs_up, reason", [(True, "retrieval incomplete"), (False, "timed out")])
def test_download_that_breaks_off(run, shown, real_keras, monkeypatch, hangs_up, reason):
    """A server sends half a file, then hangs up or falls silent; the second attempt must not find a damaged copy."""
    end = threading.Event()

    class HalfAFile(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"x" * 500_000)
            hangs_up or end.wait(120)

        log_message = MagicMock()

    timeouts = real_keras(longest=7 if hangs_up else 0.5)
    with ThreadingHTTPServer(("127.0.0.1", 0), HalfAFile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", lambda url, *rest: urllib.request.urlretrieve(
            f"http://127.0.0.1:{server.server_address[1]}", *rest))
        try:
            for _ in range(2):
                expect_stand_in(run, shown, reason)
        finally:
            end.set()
            server.shutdown()
    assert timeouts == [7, None, 7, None]


def test_silent_network(run, shown, real_keras):
    """A server that accepts the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        timeouts = real_keras(proxy=f"http://127.0.0.1:{server.getsockname()[1]}", longest=0.5)
        expect_stand_in(run, shown, "timed out")
    assert timeouts == [7, None]


@pytest.mark.parametrize("count, used", [(16, 2), (1, 1)])
def test_silent_addresses_end_in_time(run, shown, monkeypatch, count, used):
    """However many addresses a name has: at most two are tried, 7 s each, and settings come back."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in range(1, count + 1)]
    monkeypatch.setattr(socket, "getaddrinfo", find := lambda *args, **options: list(addresses))
    tried = []

    class SilentSocket(socket.socket):
        def connect(self, address):
            tried.append((address, self.gettimeout()))
            raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "socket", SilentSocket)
    monkeypatch.setattr(run.keras.datasets.mnist, "load_data", lambda: socket.create_connection(("example.org", 443)))
    expect_stand_in(run, shown, "timed out")
    assert tried == [(("127.0.0.1", port), 7) for port in range(1, used + 1)]
    assert socket.getdefaulttimeout() is None and socket.getaddrinfo is find


@pytest.mark.skipif(Path("/tmp/.keras/datasets/mnist.npz").exists(), reason="Keras has MNIST in its fallback folder")
def test_unwritable_keras_home(run, shown, tmp_path, real_keras):
    """Keras then uses its fallback folder; a refused connection still gives the stand-in."""
    (tmp_path / "file").write_text("a file, not a folder")
    real_keras(tmp_path / "file" / "keras")
    expect_stand_in(run, shown, "refused")


def test_malformed_proxy_is_an_error(run, shown, real_keras):
    real_keras(proxy="http://127.0.0.1:abc")
    expect_error(run, shown, "Keras", "nonnumeric port: 'abc'")


def test_damaged_copy_is_an_error_even_without_network(run, shown, tmp_path, real_keras):
    """The copy is readable, but not MNIST; Keras wants to replace it and cannot connect."""
    real_keras()
    (tmp_path / "datasets").mkdir()
    np.savez(tmp_path / "datasets" / "mnist.npz", **mnist_like())
    assert "usuń" not in expect_error(run, shown, "Keras", "refused")


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
    lines = run.printed["split"].splitlines()
    parts = {"trening": (run.x_train, run.y_train), "walidacja": (run.x_valid, run.y_valid),
             "test": (run.x_test, run.y_test)}
    for line, (name, (x, y)) in zip(lines, parts.items(), strict=True):
        assert line.split() == f"{name} x: {x.shape} float32 od 0 do 1 y: {y.shape}".split()
