"""Does the data function keep its contract? Only the network is faked."""
import http.client
import http.server
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits


def mnist_like(train=5_100, test=20):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (train, 28, 28), dtype=np.uint8),
        "y_train": np.resize(np.arange(10, dtype=np.uint8), train),
        "x_test": rng.integers(0, 256, (test, 28, 28), dtype=np.uint8),
        "y_test": np.resize(np.arange(10, dtype=np.uint8), test),
    }


@pytest.fixture
def load(lab, tmp_path, monkeypatch):
    """Write the arrays (or bytes) to a file, point MNIST_NPZ at it and load."""
    path = tmp_path / "file.npz"

    def write_and_load(content):
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            np.savez_compressed(path, **content)
        monkeypatch.setenv("MNIST_NPZ", str(path))
        return lab.load_data()

    write_and_load.path = path
    return write_and_load


def test_good_file(load):
    arrays = mnist_like()
    loaded, fault = load(arrays)
    assert fault is None
    for name, array in zip(("x_train", "y_train", "x_test", "y_test"), loaded, strict=True):
        np.testing.assert_array_equal(array, arrays[name])


BAD = {
    "wrong shape": ({"x_test": np.zeros((20, 784), np.uint8)}, "x_test ma kształt"),
    "wrong image size": ({"x_train": np.zeros((5_100, 27, 28), np.uint8)}, "x_train ma kształt"),
    "wrong image dtype": ({"x_train": np.zeros((5_100, 28, 28), np.float32)}, "typy float32 i uint8"),
    "wrong label dtype": ({"y_test": np.zeros(20, np.int64)}, "typy uint8 i int64"),
    "label 10": ({"y_test": np.full(20, 10, np.uint8)}, "y_test musi zawierać"),
    "a digit is missing": ({"y_test": np.resize(np.arange(9, dtype=np.uint8), 20)}, "y_test musi zawierać"),
    "length mismatch": ({"y_train": np.zeros(5_099, np.uint8)}, "x_train: 5100 obrazów, a y_train: .5099"),
    "scalar": ({"x_test": np.uint8(3)}, "x_test ma kształt"),
    "too few images": (mnist_like(train=5_000), "sama walidacja potrzebuje"),
    "pickled objects": ({"x_train": np.array([{}], object)}, "nie jest kompletny plik .npz"),
}


@pytest.mark.parametrize("change, reason", BAD.values(), ids=BAD)
def test_bad_arrays(load, change, reason):
    expect_one_line_error(load, mnist_like() | change, reason)


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_missing_array(load, name):
    arrays = mnist_like()
    del arrays[name]
    expect_one_line_error(load, arrays, f"brakuje tablicy.*{name}")


def test_missing_file(load):
    expect_one_line_error(load, None, "nie ma takiego pliku")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_not_an_npz(load, content):
    expect_one_line_error(load, content, "nie jest kompletny plik .npz")


def test_truncated_file(load):
    np.savez_compressed(load.path, **mnist_like())
    expect_one_line_error(load, load.path.read_bytes()[:-1000], "nie jest kompletny plik .npz")


def expect_one_line_error(load, content, reason):
    with pytest.raises(ValueError, match=reason) as error:
        load(content)
    assert str(load.path) in str(error.value) and "\n" not in str(error.value)


def keras_error(cause):
    """The error that Keras raises when a download fails."""
    error = Exception("URL fetch failure")
    error.__context__ = cause
    return error


@pytest.fixture
def keras_fails(lab, tmp_path, monkeypatch):
    """Let Keras's loader raise, and the stand-in be a marker."""
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(lab.load_data.__globals__, "stand_in", lambda: "stand-in")

    def fail_with(error):
        def load_data():
            raise error
        monkeypatch.setattr(lab.keras.datasets.mnist, "load_data", load_data)

    return fail_with


@pytest.mark.parametrize("error", [
    keras_error(urllib.error.URLError("no route")),
    keras_error(urllib.error.HTTPError("url", 403, "forbidden", None, None)),
    keras_error(urllib.error.ContentTooShortError("half", b"")),
    TimeoutError("slow"), ConnectionResetError("reset"), http.client.IncompleteRead(b""),
])
def test_network_failure_gives_the_stand_in(lab, keras_fails, error):
    keras_fails(error)
    data, fault = lab.load_data()
    assert data == "stand-in" and fault


@pytest.mark.parametrize("error", [ValueError("corrupted file"), OSError(28, "no space"), PermissionError("no")])
def test_any_other_failure_is_an_error(lab, keras_fails, error):
    keras_fails(error)
    with pytest.raises(ValueError, match="Keras nie wczytał MNIST"):
        lab.load_data()


def test_damaged_cache_is_an_error_even_without_network(lab, keras_fails, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "mnist.npz").write_bytes(b"damaged")
    keras_fails(keras_error(urllib.error.URLError("no route")))
    with pytest.raises(ValueError, match="mnist.npz"):
        lab.load_data()


@pytest.fixture
def set_keras_home(lab, monkeypatch):
    """Let Keras's real loader use the given folder and new network settings; the stand-in is a marker."""
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # it remembers the proxy settings of its first use
    monkeypatch.setitem(lab.load_data.__globals__, "stand_in", lambda: "stand-in")

    def set_to(folder):
        monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(folder))
        monkeypatch.setenv("KERAS_HOME", str(folder))

    return set_to


class HalfAFile(http.server.BaseHTTPRequestHandler):
    """Promises a megabyte and sends half of it; then it hangs up, or falls silent for 5 s."""
    silence = 0

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"x" * 500_000)
        self.wfile.flush()
        time.sleep(self.silence)

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("silence", [0, 5])
def test_download_that_breaks_off(lab, tmp_path, set_keras_home, monkeypatch, silence):
    """Keras's real download from a local server; a second attempt must not find a damaged copy."""
    set_keras_home(tmp_path)
    monkeypatch.setattr(HalfAFile, "silence", silence)
    monkeypatch.setitem(lab.load_data.__globals__, "NETWORK_TIMEOUT", 2)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), HalfAFile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", lambda url, *rest: urllib.request.urlretrieve(
            f"http://127.0.0.1:{server.server_address[1]}", *rest))
        for _ in range(2):
            data, fault = lab.load_data()
            assert data == "stand-in" and ("timed out" if silence else "retrieval incomplete") in fault
        server.shutdown()


def test_silent_network_ends_in_time(lab, tmp_path, set_keras_home, monkeypatch):
    """A server that accepts the connection and never answers; the real Keras download."""
    set_keras_home(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        start = time.monotonic()
        data, fault = lab.load_data()
        assert time.monotonic() - start < 16
    assert data == "stand-in" and "timed out" in fault


@pytest.mark.parametrize("count, used", [(16, 2), (1, 1)])
def test_silent_addresses_end_in_time(lab, keras_fails, monkeypatch, count, used):
    """However many addresses a name has: the sum of the timeouts stays below 16 s, and settings come back."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in range(1, count + 1)]
    monkeypatch.setattr(socket, "getaddrinfo", find := lambda *args, **options: list(addresses))
    tried = []

    class SilentSocket(socket.socket):
        def connect(self, address):
            tried.append((address, self.gettimeout()))
            raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "socket", SilentSocket)
    monkeypatch.setattr(lab.keras.datasets.mnist, "load_data", lambda: socket.create_connection(("example.org", 443)))
    data, fault = lab.load_data()
    assert data == "stand-in" and "timed out" in fault
    assert [address for address, _ in tried] == [("127.0.0.1", port) for port in range(1, used + 1)]
    assert 0 < sum(timeout for _, timeout in tried) < 16
    assert socket.getdefaulttimeout() is None and socket.getaddrinfo is find


@pytest.mark.skipif(Path("/tmp/.keras/datasets/mnist.npz").exists(), reason="Keras has MNIST in its fallback folder")
def test_unwritable_keras_home(lab, tmp_path, set_keras_home, monkeypatch):
    """Keras then uses its fallback folder; a refused connection still gives the stand-in."""
    (tmp_path / "file").write_text("a file, not a folder")
    set_keras_home(tmp_path / "file" / "keras")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    data, fault = lab.load_data()
    assert data == "stand-in" and "refused" in fault


def test_stand_in(lab, load):
    start = time.monotonic()
    x_train, y_train, x_test, y_test = arrays = lab.stand_in()
    assert time.monotonic() - start < 60
    assert x_train.shape == (60_000, 28, 28) and x_test.shape == (10_000, 28, 28)
    assert x_train.min() == 0 and x_train.max() == 255
    for y in (y_train, y_test):
        assert np.bincount(y).min() > 0.9 * len(y) / 10
    for first, second in zip(arrays, lab.stand_in()):
        np.testing.assert_array_equal(first, second)
    loaded, fault = load(dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays)))
    np.testing.assert_array_equal(loaded[0], x_train)


def test_stand_in_shares_no_original(lab, monkeypatch):
    """The originals that the two calls of jitter receive are disjoint and are all of them."""
    sources = []

    def jitter(images, labels, count):
        sources.append({bytes(image) for image in images})
        return images, labels

    monkeypatch.setitem(lab.stand_in.__globals__, "jitter", jitter)
    lab.stand_in()
    assert len(sources) == 2 and not sources[0] & sources[1]
    assert len(sources[0] | sources[1]) > 0.99 * len(load_digits().images)


def test_jitter_keeps_the_label_of_each_image(lab):
    """Every image is one brightness, which is its label times 20; moving it changes the edges only."""
    labels = np.arange(10, dtype=np.uint8)
    images = np.ones((10, 28, 28, 1), np.float32) * (20 * labels[:, None, None, None])
    moved, order = lab.jitter(images, labels, 95)
    assert moved.shape == (95, 28, 28) and moved.dtype == np.uint8
    np.testing.assert_allclose(moved[:, 14, 14], 20 * order.astype(int), atol=1)
    assert set(order) == set(range(10))
    shifted = np.zeros((1, 28, 28, 1), np.float32)
    shifted[0, 10:18, 10:18] = 255
    copies, _ = lab.jitter(shifted, labels[:1], 20)
    assert len({bytes(copy) for copy in copies}) > 15  # each copy is moved in its own way
