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
    lab.plt.close(figure)  # the notebook closes it too, so that it is not shown twice
    return figure, move


def test_picture_follows_the_code(move):
    """The plane, the image and the chart all change with the code, and come back with it."""
    figure, follow = move
    pictures = [np.asarray(Image.open(io.BytesIO(follow(*code))).convert("RGB")) for code in [(0, 0), (0.5, -0.5), (0, 0)]]
    np.testing.assert_array_equal(pictures[0], pictures[2])
    for ax in figure.axes:
        x0, x1 = ax.get_window_extent().intervalx.astype(int)
        assert (pictures[0] != pictures[1])[:, x0:x1].any(), ax.get_title()


def test_bars_are_the_classifiers_probabilities(lab, move):
    figure, follow = move
    follow(0.5, -0.25)
    expected = lab.explorer.__globals__["classifier"](np.array([[0.5, -0.25]], "float32"))[0]
    np.testing.assert_allclose([bar.get_height() for bar in figure.axes[2].patches], expected)
