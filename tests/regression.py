"""What nbval leaves unchecked: a plugin, because the notebook does not lie under tests/.

pytest asks a conftest.py only about what lies in its own folder, so `-p tests.regression` in
.pytest.ini loads this. nbval compares words, order and shapes, with each decimal number replaced
by a sign (sanitize.cfg); here the numbers, the figures and the rest are compared.
"""

import base64
import copy
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbval.plugin import IPyNbCell


def text_of(outputs):
    """Return what a reader sees of a cell's text: a carriage return begins its line anew."""
    return re.sub(r"[^\n]*\r", "", "".join(out.get("text", "") for out in outputs))


def decimals(outputs):
    """Return the decimal numbers and the percentages that a cell printed, in two lists."""
    found = re.findall(r"(\d+),(\d{4}|\d)\b(%?)", text_of(outputs))
    numbers = [(float(f"{whole}.{rest}"), sign) for whole, rest, sign in found]
    return [n for n, sign in numbers if not sign], [n for n, sign in numbers if sign]


def figures(outputs):
    """Return the alternative texts of a cell's figures and the figures, arrays (height, width)."""
    shown = [out for out in outputs if "image/png" in out.get("data", {})]
    pngs = [io.BytesIO(base64.b64decode(out["data"]["image/png"])) for out in shown]
    texts = [out["metadata"].get("image/png", {}).get("alt") for out in shown]
    return texts, [plt.imread(png)[..., :3].mean(axis=-1) for png in pngs]


def likeness(figure, other):
    """Return the correlation of two figures of about the same size, seen from afar."""
    rows, columns = np.minimum(figure.shape, other.shape) // 8
    small = [
        image[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8).mean(axis=(1, 3))
        for image in (figure, other)
    ]
    return np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Close nbval's holes: cells never executed, stderr in both runs, figures, numbers."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    item.output_timeout = 120  # seconds
    stored = copy.deepcopy(item.cell.outputs)  # nbval joins streams in place
    assert item.cell.execution_count, f"{item.cell.id} has no stored outputs: refresh the notebook"
    result = yield
    fresh = item.test_outputs
    assert "stderr" not in [out.get("name") for out in fresh]
    (texts, drawn), (stored_texts, stored_drawn) = figures(fresh), figures(stored)
    assert texts == stored_texts, "other figures than those stored"
    for figure in drawn:
        assert figure.std() > 0.01, "a figure is blank"
    if item.cell.id == "load":
        item.parent.same_data = text_of(fresh) == text_of(stored)
    if getattr(item.parent, "same_data", True):  # seeds and machines change the last places
        for found, expected, tolerance in zip(
            decimals(fresh), decimals(stored), [{"rel": 0.1, "abs": 0.002}, {"abs": 5}]
        ):
            assert found == pytest.approx(expected, **tolerance)
        for figure, other in zip(drawn, stored_drawn):
            assert likeness(figure, other) > 0.5, "the stored figure is another one"
    return result
