"""Does the live explorer follow the sliders?"""
import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def move(lab, monkeypatch):
    """The explorer of untrained models, at the centre of the square."""
    space = lab.explorer.__globals__
    rng = np.random.default_rng(0)
    monkeypatch.setitem(space, "dec", lab.decoder(2))
    monkeypatch.setitem(space, "classifier", lab.keras.Sequential([lab.keras.Input((2,)), lab.layers.Dense(10, "softmax")]))
    monkeypatch.setitem(space, "codes_test", rng.uniform(-1, 1, (200, 2)).astype("float32"))
    monkeypatch.setitem(space, "y_test", np.resize(np.arange(10, dtype="uint8"), 200))
    figure, move = lab.explorer((0, 0))
    yield figure, move
    lab.plt.close(figure)


def test_picture_follows_the_code(move):
    pictures = [np.asarray(Image.open(io.BytesIO(move[1](*code))).convert("RGB")) for code in [(0, 0), (0.9, -0.9), (0, 0)]]
    assert pictures[0].shape == pictures[1].shape
    np.testing.assert_array_equal(pictures[0], pictures[2])
    third = pictures[0].shape[1] // 3  # the plane, the image and the chart, from left to right
    for start in (0, third, 2 * third):
        assert (pictures[0] != pictures[1])[:, start:start + third].any()


def test_bars_are_the_classifiers_probabilities(lab, move):
    figure, follow = move
    follow(0.5, -0.25)
    expected = lab.explorer.__globals__["classifier"](np.array([[0.5, -0.25]], "float32"))[0]
    np.testing.assert_allclose([bar.get_height() for bar in figure.axes[2].patches], expected)
