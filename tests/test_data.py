"""Do the data functions keep their contract, and do the data mean what the notebook says? Only the network is faked."""
import hashlib
import http.client
import http.server
import inspect
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

NAMES = ("x_train", "y_train", "x_test", "y_test")
MARKER = ("stand-in's training part", "stand-in's test part")


def mnist_like(train=5_100, test=20):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (train, 28, 28), dtype=np.uint8),
        "y_train": np.resize(np.arange(10, dtype=np.uint8), train),
        "x_test": rng.integers(0, 256, (test, 28, 28), dtype=np.uint8),
        "y_test": np.resize(np.arange(10, dtype=np.uint8), test),
    }


def assert_same(parts, arrays):
    (x_train, y_train), (x_test, y_test) = parts
    for name, array in zip(NAMES, (x_train, y_train, x_test, y_test)):
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, arrays[name], name)


def expect_one_line(error, *words):
    """Require a DataError that Jupyter shows in one line, with these words in it."""
    assert type(error).__name__ == "DataError" and isinstance(error, ValueError)
    line, = error._render_traceback_()
    assert "\n" not in line and line.startswith("Błąd danych: ") and str(error) in line
    for word in words:
        assert word in line


# A file that MNIST_NPZ names


@pytest.fixture
def load(run, tmp_path, monkeypatch):
    """Write the arrays (or bytes) to a file, point MNIST_NPZ at it and load; 5 000 images are for validation."""
    path = tmp_path / "file.npz"
    monkeypatch.setitem(run.space, "VALID_SIZE", 5_000)

    def write_and_load(content):
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            np.savez_compressed(path, **content)
        monkeypatch.setenv("MNIST_NPZ", str(path))
        return run.load_data()

    write_and_load.path = path
    return write_and_load


def test_good_file(load):
    *parts, name = load(arrays := mnist_like())
    assert name == "MNIST"
    assert_same(parts, arrays)


BAD = {
    "wrong shape": ({"x_test": np.zeros((20, 784), np.uint8)}, "(20, 784)"),
    "wrong image size": ({"x_train": np.zeros((5_100, 27, 28), np.uint8)}, "(5100, 27, 28)"),
    "wrong image dtype": ({"x_train": np.zeros((5_100, 28, 28), np.float32)}, "obrazy float32"),
    "wrong label dtype": ({"y_test": np.zeros(20, np.int64)}, "etykiety int64"),
    "label 10": ({"y_test": np.resize(np.arange(11, dtype=np.uint8), 20)}, "9 10]"),
    "a digit is missing": ({"y_test": np.resize(np.arange(9, dtype=np.uint8), 20)}, "7 8]"),
    "length mismatch": ({"y_train": np.resize(np.arange(10, dtype=np.uint8), 5_099)}, "etykiety uint8 (5099,)"),
    "labels in a column": ({"y_test": np.resize(np.arange(10, dtype=np.uint8), (20, 1))}, "Error"),
    "scalar": ({"x_test": np.uint8(3)}, "obrazy uint8 ()"),
    "too few images": (mnist_like(train=5_000), "sama walidacja potrzebuje 5000 obrazów"),
    "pickled objects": ({"x_train": np.array([{}], object)}, "allow_pickle"),
}


@pytest.mark.parametrize("change, reason", BAD.values(), ids=BAD)
def test_bad_arrays(load, change, reason):
    expect_data_error(load, mnist_like() | change, reason)


@pytest.mark.parametrize("name", NAMES)
def test_missing_array(load, name):
    arrays = mnist_like()
    del arrays[name]
    expect_data_error(load, arrays, name)


def test_missing_file(load):
    expect_data_error(load, None, "FileNotFoundError")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_not_an_npz(load, content):
    expect_data_error(load, content, "Error: ")


def test_truncated_file(load):
    np.savez_compressed(load.path, **mnist_like())
    expect_data_error(load, load.path.read_bytes()[:-1000], "Error: ")


def expect_data_error(load, content, reason):
    with pytest.raises(ValueError) as error:
        load(content)
    expect_one_line(error.value, str(load.path), "w formacie Kerasa (", reason)


# Keras's loader and its cache


def keras_error(cause):
    """The error that Keras raises when a download fails."""
    error = Exception("URL fetch failure")
    error.__context__ = cause
    return error


@pytest.fixture
def shown(run, tmp_path, monkeypatch):
    """Forget MNIST_NPZ, use an empty Keras folder and a marker as stand-in; return the displayed texts."""
    texts = []
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(run.space, "stand_in", lambda: MARKER)
    monkeypatch.setitem(run.space, "display", lambda thing: texts.append(thing.data))
    return texts


@pytest.fixture
def keras_does(run, shown, monkeypatch):
    """Replace Keras's loader by one that returns the result or raises it."""
    def replace(result):
        def load_data():
            if isinstance(result, Exception):
                raise result
            return result
        monkeypatch.setattr(run.keras.datasets.mnist, "load_data", load_data)

    return replace


def expect_stand_in(run, shown, reason):
    shown.clear()
    *parts, name = run.load_data()
    assert parts == list(MARKER) and name.startswith("dane zastępcze")
    text, = shown
    assert "to nie jest MNIST" in text and reason in text


def expect_keras_error(run, shown, *words):
    with pytest.raises(ValueError) as error:
        run.load_data()
    expect_one_line(error.value, "Keras nie wczytał MNIST", *words)
    assert "usuń" not in str(error.value).lower() and not shown


def test_keras_gives_mnist(run, shown, keras_does):
    keras_does((("x", "y"), ("x test", "y test")))
    assert run.load_data() == (("x", "y"), ("x test", "y test"), "MNIST") and not shown


NETWORK = [
    urllib.error.URLError("no route"), urllib.error.HTTPError("url", 403, "forbidden", None, None),
    urllib.error.ContentTooShortError("half", b""), TimeoutError("slow"), ConnectionResetError("reset"),
    http.client.IncompleteRead(b""),
]


@pytest.mark.parametrize("error", NETWORK + [keras_error(cause) for cause in NETWORK], ids=repr)
def test_network_failure_gives_the_stand_in(run, shown, keras_does, error):
    keras_does(error)
    expect_stand_in(run, shown, type(error.__context__ or error).__name__)


@pytest.mark.parametrize("error", [
    ValueError("corrupted file"), OSError(28, "no space"), PermissionError("not\nyours"), KeyError("x_train"),
    http.client.InvalidURL("nonnumeric port"), keras_error(http.client.InvalidURL("nonnumeric port")),
    keras_error(OSError(28, "no space")),
], ids=repr)
def test_any_other_failure_is_an_error(run, shown, keras_does, error):
    keras_does(error)
    expect_keras_error(run, shown, type(error.__context__ or error).__name__, str(error).split("\n")[0])


def test_checksum_is_the_one_that_keras_requires(run):
    assert len(run.MNIST_SHA256) == 64 and run.MNIST_SHA256 in inspect.getsource(run.keras.datasets.mnist.load_data)


@pytest.mark.parametrize("variable, folder", [("KERAS_HOME", "datasets"), ("HOME", ".keras/datasets")])
def test_good_copy_is_used_offline(run, shown, keras_does, tmp_path, monkeypatch, variable, folder):
    """Keras's loader, which passes over a folder that it cannot write to, is not asked."""
    path = tmp_path / folder / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, **(arrays := mnist_like()))
    path.parent.chmod(0o500)
    path.chmod(0o400)
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setitem(run.space, "MNIST_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    keras_does(keras_error(urllib.error.URLError("no route")))
    *parts, name = run.load_data()
    assert name == "MNIST" and not shown
    assert_same(parts, arrays)


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), keras_error(TimeoutError("slow"))], ids=repr)
def test_damaged_copy_is_an_error_even_without_network(run, shown, keras_does, tmp_path, error):
    write_damaged_copy(tmp_path)
    keras_does(error)
    expect_keras_error(run, shown, str(error))


def write_damaged_copy(folder):
    (folder / "datasets").mkdir()
    np.savez_compressed(folder / "datasets" / "mnist.npz", **mnist_like())  # readable, but not MNIST


# Keras's real loader


@pytest.fixture
def real_keras(shown, tmp_path, monkeypatch):
    """Let Keras's real loader use the given folder and proxy."""
    def use(folder=tmp_path, proxy="http://127.0.0.1:9"):
        monkeypatch.setattr("urllib.request._opener", None)  # it remembers the proxy settings of its first use
        monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(folder))
        monkeypatch.setenv("KERAS_HOME", str(folder))
        monkeypatch.setenv("https_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")

    return use


@pytest.fixture
def short_timeouts(monkeypatch):
    """Shorten the default timeout of sockets; return the list of those asked for."""
    asked, set_timeout = [], socket.setdefaulttimeout

    def set_shorter(seconds):
        asked.append(seconds)
        set_timeout(seconds and 0.5)

    monkeypatch.setattr(socket, "setdefaulttimeout", set_shorter)
    return asked


class HalfAFile(http.server.BaseHTTPRequestHandler):
    """Promises a megabyte and sends half of it; then it hangs up when this event is set."""
    hang_up = threading.Event()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"x" * 500_000)
        self.wfile.flush()
        self.hang_up.wait(120)

    def log_message(self, *args):
        pass


@pytest.fixture
def half_a_file(real_keras, monkeypatch):
    """A local server from which the real Keras downloads; hang_up says whether it hangs up or falls silent."""
    real_keras()
    monkeypatch.setattr(HalfAFile, "hang_up", threading.Event())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), HalfAFile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", lambda url, *rest: urllib.request.urlretrieve(
            f"http://127.0.0.1:{server.server_address[1]}", *rest))
        yield HalfAFile.hang_up
        HalfAFile.hang_up.set()
        server.shutdown()


def test_download_that_breaks_off(run, shown, half_a_file):
    """A second attempt must not find a damaged copy."""
    half_a_file.set()
    for _ in range(2):
        expect_stand_in(run, shown, "retrieval incomplete")


def test_download_that_falls_silent(run, shown, half_a_file, short_timeouts):
    for _ in range(2):
        expect_stand_in(run, shown, "timed out")
    assert short_timeouts == 2 * [7, None]


def test_silent_network(run, shown, real_keras, short_timeouts):
    """A server that accepts the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        real_keras(proxy=f"http://127.0.0.1:{server.getsockname()[1]}")
        expect_stand_in(run, shown, "timed out")
    assert short_timeouts == [7, None]


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
    expect_keras_error(run, shown, "nonnumeric port: 'abc'")


def test_damaged_copy_and_refused_connection(run, shown, tmp_path, real_keras):
    write_damaged_copy(tmp_path)
    real_keras()
    expect_keras_error(run, shown, "refused")


# The stand-in


def test_stand_in(run, tmp_path):
    arrays = dict(zip(NAMES, np_parts := [array for part in run.stand_in() for array in part]))
    assert arrays["x_train"].shape == (60_000, 28, 28) and arrays["x_test"].shape == (10_000, 28, 28)
    for x, y in (np_parts[:2], np_parts[2:]):
        assert x.min() == 0 and x.max() == 255 and np.bincount(y).min() > 0.9 * len(y) / 10
    np.savez(tmp_path / "file.npz", **arrays)
    assert_same(run.read_npz(tmp_path / "file.npz"), arrays)
    assert_same(run.stand_in(), arrays)  # the same each time


def test_stand_in_keeps_labels_and_shares_no_original(run, monkeypatch):
    """Let the brightness of its two halves be the number of each original; moving it changes the edges only."""
    numbers, digits = np.arange(1_797), np.random.default_rng(0).integers(0, 10, 1_797)
    halves = np.stack([numbers // 50, numbers % 50], axis=1) * 5 + 2.0
    originals = np.repeat(halves * 16 / 255, 32, axis=1)
    monkeypatch.setitem(run.space, "datasets", SimpleNamespace(load_digits=lambda return_X_y: (originals, digits)))
    found = []
    for x, y in run.stand_in():
        tops, bottoms = x[:, 8, 14] // 5, x[:, 19, 14] // 5
        found.append(tops.astype(int) * 50 + bottoms)
        np.testing.assert_array_equal(y, digits[found[-1]])
        assert len({bytes(image) for image in x[found[-1] == found[-1][0]]}) > 10  # each copy is moved in its own way
        assert not x[:, :2].any() and not x[:, :, -2:].any()  # none is moved out of the frame
    assert not set(found[0]) & set(found[1]) and set(found[0]) | set(found[1]) == set(numbers)


# The arrays of the notebook


def test_images_are_the_loaded_ones_divided_by_255(run):
    whole = np.concatenate([run.x_train, run.x_valid])
    for x, images in [(whole, run.images), (run.x_test, run.images_test)]:
        assert images.dtype == np.uint8 and x.dtype == np.float32 and x.shape == (len(images), 28, 28, 1)
        np.testing.assert_array_equal(x[..., 0], (images / 255).astype("float32"))
        assert x.min() == 0.0 and x.max() == 1.0


def test_the_last_images_are_for_validation(run):
    count = len(run.images) - run.VALID_SIZE
    assert len(run.x_valid) == len(run.y_valid) == run.VALID_SIZE and len(run.x_train) == len(run.y_train) == count
    np.testing.assert_array_equal(np.round(run.x_valid[..., 0] * 255), run.images[count:])
    np.testing.assert_array_equal(run.y_valid, run.labels[count:])
    np.testing.assert_array_equal(np.round(run.x_train[..., 0] * 255), run.images[:count])
    np.testing.assert_array_equal(run.y_train, run.labels[:count])


def test_printed_lines_name_each_part(run):
    lines = run.printed["split"].splitlines()
    for line, name, x, y in zip(lines, ["trening", "walidacja", "test"], [run.x_train, run.x_valid, run.x_test],
                                [run.y_train, run.y_valid, run.y_test], strict=True):
        assert line.split() == f"{name} x: {x.shape} float32 od 0 do 1 y: {y.shape}".split()
