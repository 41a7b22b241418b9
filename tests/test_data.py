"""Do the data come from where the text says, and do they mean what it says?"""

import errno
import socket
import time
import urllib.request
import uuid
from http.client import BadStatusLine, RemoteDisconnected

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

DIGITS = np.arange(10, dtype="uint8")


def mnist_like():
    """Return arrays in Keras's format: random images, all digits in turn."""
    images = np.random.default_rng(0).integers(0, 256, (6_020, 28, 28), dtype="uint8")
    return {
        "x_train": images[:6_000],
        "y_train": np.resize(DIGITS, 6_000),
        "x_test": images[6_000:],
        "y_test": np.resize(DIGITS[::-1], 20),
    }


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """A function that makes MNIST_NPZ name a file with a content: bytes, arrays or none."""

    def save(content):
        path = tmp_path / "own.npz"
        monkeypatch.setenv("MNIST_NPZ", str(path))
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            np.savez(path, **content)
        return str(path)

    return save


@pytest.fixture
def keras_data(lab, monkeypatch):
    """A function that replaces Keras's own load_data; MNIST_NPZ is not set."""
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    return lambda function: monkeypatch.setattr(lab.keras.datasets.mnist, "load_data", function)


@pytest.mark.parametrize("label_type", ["uint8", "int64", ">i4"])
def test_a_file_in_kerass_format_is_used(lab, own_file, label_type):
    arrays = mnist_like()
    for name in ("y_train", "y_test"):
        arrays[name] = arrays[name].astype(label_type)
    own_file(arrays)
    (x_train, y_train), (x_test, y_test), name = lab.load_data()
    assert name == "MNIST"
    loaded = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for name, array in loaded.items():
        assert array.dtype == "uint8", f"{name} is {array.dtype}"
        np.testing.assert_array_equal(array, arrays[name], name)


@pytest.mark.parametrize(
    "content, reason",
    [
        (mnist_like() | {"x_test": np.zeros((20, 28, 28))}, "float64"),
        (mnist_like() | {"x_test": np.zeros((20, 784), "uint8")}, "(20, 784)"),
        (mnist_like() | {"x_train": np.zeros((19, 28, 28), "uint8")}, "(19, 28, 28)"),
        (mnist_like() | {"x_train": mnist_like()["x_train"] // 128}, "piksele od 0 do 1"),
        ({name: array[:20] for name, array in mnist_like().items()}, "20 obrazów treningowych"),
        (mnist_like() | {"y_train": np.resize(DIGITS[:9], 6_000)}, "etykiety"),
        (mnist_like() | {"y_test": np.resize(np.arange(11), 20)}, "etykiety"),
        ({"x_train": mnist_like()["x_train"]}, "y_train"),
        (None, "No such file"),
        (b"", ""),
        (b"hello", "zip"),
    ],
)
def test_a_bad_file_is_one_line_with_the_file_and_the_reason(lab, own_file, content, reason):
    path = own_file(content)
    with pytest.raises(ValueError) as error:
        lab.load_data()
    text = str(error.value)
    assert path in text and reason in text
    assert "\n" not in text and "pickle" not in text
    assert error.value.__suppress_context__, "Python would show another error above this one"


def test_without_a_file_keras_is_asked(lab, keras_data):
    keras_data(lambda: ("training", "test"))
    assert lab.load_data() == ("training", "test", "MNIST")


def test_an_empty_name_of_a_file_is_none(lab, keras_data, monkeypatch):
    keras_data(lambda: ("training", "test"))
    monkeypatch.setenv("MNIST_NPZ", "")
    assert lab.load_data() == ("training", "test", "MNIST")


FAILURES = [
    RemoteDisconnected("closed"),
    BadStatusLine("nonsense"),
    TimeoutError("silent"),
    Exception("URL fetch failure"),  # Keras's own
    ValueError("corrupted"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_whatever_way_the_download_fails_the_stand_in_is_used(
    run, lab, keras_data, monkeypatch, failure
):
    def fail():
        raise failure

    shown = []
    keras_data(fail)
    monkeypatch.setitem(run.space, "display", shown.append)
    monkeypatch.setitem(run.space, "stand_in", lambda: ["training", "test"])
    *parts, name = lab.load_data()
    assert parts == ["training", "test"] and "to nie jest MNIST" in name
    (warning,) = shown
    assert "to nie jest MNIST" in warning.data and repr(failure) in warning.data


def test_a_silent_network_is_left_after_five_seconds(run, lab, keras_data, monkeypatch):
    load_data, urlopen = lab.keras.datasets.mnist.load_data, urllib.request.urlopen
    monkeypatch.setitem(run.space, "display", lambda warning: None)
    monkeypatch.setitem(run.space, "stand_in", lambda: ["training", "test"])
    keras_data(lambda: load_data(f"test-{uuid.uuid4()}.npz"))
    with socket.create_server(("127.0.0.1", 0)) as server:  # it accepts and never answers
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(urllib.request, "urlopen", lambda url, data: urlopen(address, data))
        socket.setdefaulttimeout(30)
        try:
            start = time.monotonic()
            assert "to nie jest MNIST" in lab.load_data()[-1]
            assert 4 < time.monotonic() - start < 25
            assert socket.getdefaulttimeout() == 30, "the reader's own is lost"
        finally:
            socket.setdefaulttimeout(None)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_fault_of_the_machine_is_not_hidden(lab, keras_data, number):
    def fail():
        raise OSError(number, "a fault")

    keras_data(fail)
    with pytest.raises(OSError, match="a fault"):
        lab.load_data()


def test_the_stand_in_has_mnists_form_and_its_test_digits_are_new(run, lab, monkeypatch):
    (x_train, y_train), (x_test, y_test) = lab.stand_in()
    assert (x_train.shape, x_test.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert (x_train.dtype, y_train.dtype, y_test.dtype) == ("uint8", "uint8", "uint8")
    assert x_train.max() == 255 and np.bincount(y_test).min() > 500
    # once more with originals that can be told apart: the halves hold their number
    numbers = np.arange(1_797)
    halves = np.stack([numbers // 50, numbers % 50], axis=1) * 5 + 2
    originals = np.repeat(halves * 16 / 255, 32, axis=1)
    monkeypatch.setitem(run.space, "load_digits", lambda return_X_y: (originals, numbers % 10))
    parts = lab.stand_in()
    used = [x[:, 8, 14].astype(int) // 5 * 50 + x[:, 19, 14] // 5 for x, _ in parts]
    assert not set(used[0]) & set(used[1]), "the stand-in tests on digits that it trained on"
    for numbers_used, (_, labels) in zip(used, parts):
        np.testing.assert_array_equal(labels, numbers_used % 10)


def test_each_image_of_a_part_is_divided_by_255_and_keeps_its_label(lab):
    parts = {
        name: (getattr(lab, f"x_{name}"), getattr(lab, f"y_{name}"))
        for name in ("train", "valid", "test")
    }
    for x, y in parts.values():
        assert x.dtype == "float32" and x.shape == (len(y), 28, 28, 1) and y.dtype == "uint8"
        assert (x.min(), x.max()) == (0, 1)
    given = {image.tobytes(): label for image, label in zip(lab.images, lab.labels)}
    for x, y in (parts["train"], parts["valid"]):
        pixels = np.round(x[..., 0] * 255).astype("uint8")
        assert [given[image.tobytes()] for image in pixels] == y.tolist()
    np.testing.assert_allclose(lab.x_test[..., 0] * 255, lab.images_test, atol=1e-3)
    assert len(lab.x_valid) == 5_000 and len(lab.x_train) == len(lab.images) - 5_000


def test_the_validation_part_is_a_fair_sample_that_no_seed_changes(lab):
    shares = [np.bincount(y) / len(y) for y in (lab.y_train, lab.y_valid)]
    np.testing.assert_allclose(*shares, atol=0.001)
    expected, _ = train_test_split(lab.images, test_size=5_000, stratify=lab.labels, random_state=0)
    np.testing.assert_allclose(lab.x_train[..., 0] * 255, expected, atol=1e-3)
