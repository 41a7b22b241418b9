"""What nbval leaves unchecked: a plugin, because the notebook does not lie under tests/.

pytest asks a conftest.py only about what lies in its own folder, so `-p tests.regression` in
.pytest.ini loads this. nbval compares words, order and shapes, with each decimal number replaced
by a sign (sanitize.cfg); here the numbers, the figures and the rest are compared.
"""

import base64
import copy
import io
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbval.plugin import IPyNbCell

SEEDS = Path(__file__).with_name("seeds.json")
COMPARED = pytest.StashKey[list]()  # for each notebook that was loaded: were numbers compared?


def stored_seeds():
    """Return by seed the parameters of a whole run, and by cell the numbers that it printed."""
    return json.loads(SEEDS.read_text(encoding="utf-8")) if SEEDS.exists() else {}


def ten_seeds():
    """Return by seed, 0 to 9, and by cell the numbers that a whole run printed."""
    return {seed: run["printed"] for seed, run in stored_seeds().items() if int(seed) < 10}


def text_of(outputs):
    """Return what a reader sees of a cell's text: a carriage return begins its line anew."""
    return re.sub(r"[^\n]*\r", "", "".join(out.get("text", "") for out in outputs))


def numbers(text):
    """Return the decimals and percentages of a text as they stand there: 0,0344 and 85,2%."""
    return re.findall(r"\d+,\d+%?", text)


def value(number):
    return float(number.rstrip("%").replace(",", "."))


def bounds(ten):
    """Return where a number may lie, by what ten seeds printed: the mean -+ 5 deviations.

    At least one unit of the last place is left on each side.
    """
    values = [value(number) for number in ten]
    places = len(ten[0].rstrip("%").partition(",")[2])
    margin = max(5 * np.std(values, ddof=1), 10**-places)
    return np.mean(values) - margin - 1e-9, np.mean(values) + margin + 1e-9


def assert_size_of_numbers(cell_id, text, seeds):
    """Require as many numbers as ten seeds printed in this cell, each of the size of theirs."""
    found = numbers(text)
    printed = [by_cell.get(cell_id, []) for by_cell in seeds.values()]
    for row in printed:
        assert len(row) == len(found), (
            f"{cell_id} printed {found}, in tests/seeds.json are {row}: "
            "delete that file and run tests/refresh.py --seeds"
        )
    for number, *ten in zip(found, *printed, strict=True):
        low, high = bounds(ten)
        assert low <= value(number) <= high, f"{number} is not within {low:.4f} and {high:.4f}"


def figures(outputs):
    """Return the alternative texts of a cell's figures, and the PNG files."""
    shown = [out for out in outputs if "image/png" in out.get("data", {})]
    texts = [out["metadata"].get("image/png", {}).get("alt") for out in shown]
    return texts, [io.BytesIO(base64.b64decode(out["data"]["image/png"])) for out in shown]


def assert_same_figures(fresh, stored):
    """Require the texts of the stored figures, and none blank; nbval compares their sizes."""
    (texts, files), (stored_texts, _) = figures(fresh), figures(stored)
    assert texts == stored_texts, "other figures than those stored"
    for file in files:
        assert plt.imread(file)[..., :3].std() > 0.01, "a figure is blank"


def assert_no_stderr(outputs):
    assert "stderr" not in [out.get("name") for out in outputs], "the cell writes to stderr"


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
    assert_no_stderr(fresh)
    assert_same_figures(fresh, stored)
    compared = item.config.stash.setdefault(COMPARED, [])
    if item.cell.id == "load":
        compared.append(text_of(fresh) == text_of(stored))
    if all(compared):
        assert_size_of_numbers(item.cell.id, text_of(fresh), ten_seeds())
    return result


def pytest_terminal_summary(terminalreporter, config):
    if not all(config.stash.get(COMPARED, [])):
        terminalreporter.section("no MNIST: the notebook's numbers were not compared", "!")
