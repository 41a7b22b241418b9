"""The notebook's cells, executed once in this process for all tests."""

import contextlib
import io
import os
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import matplotlib
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "lab7_autoencoder.ipynb"


class Interrupted(Exception):
    """A reader's interrupt: a KeyboardInterrupt would swallow a developer's own."""


def run_cell(cell, space, folder):
    """Execute a code cell in space, as if it stood in folder; return what it printed."""
    source = TransformerManager().transform_cell(cell.source)
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.chdir(folder):
        exec(compile(source, cell.id, "exec"), space)
    return output.getvalue()


def run_cells(notebook, folder, images, epochs, changes=None, **parameters):
    """Execute the notebook on its first images, no training longer than epochs.

    changes: by cell, a function of the notebook's variables to call after it. Where a cell is
    interrupted, the rest of it is left out and the cells below it are executed. Returns
    space: the notebook's variables; printed: by cell, its text; figures: by description;
    trainings: model, x, y and options of each call of train; train: the notebook's own.
    """
    matplotlib.use("Agg")
    if os.environ.get("MNIST_NPZ"):
        os.environ["MNIST_NPZ"] = os.path.abspath(os.environ["MNIST_NPZ"])
    run = SimpleNamespace(space={"get_ipython": MagicMock()}, printed={}, figures={}, trainings=[])
    space = run.space

    def load(space):
        for name, count in [("images", images), ("labels", images)]:
            space[name] = space[name][:count]
        for name in ("images_test", "y_test"):
            space[name] = space[name][:3_000]

    def show(space):
        notebook_show = space["show"]

        def recorder(figure, description):
            run.figures[description] = figure
            notebook_show(figure, description)

        space["show"] = recorder

    def train(space):
        run.train = space["train"]

        def recorder(model, x, y, **options):
            run.trainings.append((model, x, y, options))
            run.train(model, x, y, **options | {"epochs": min(epochs, options["epochs"])})

        space["train"] = recorder

    after = {"load": [load], "helpers": [show], "train": [train]}
    after["parameters"] = [lambda space: space.update(parameters)]
    for cell_id, change in (changes or {}).items():
        after.setdefault(cell_id, []).append(change)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            with contextlib.suppress(Interrupted):
                run.printed[cell.id] = run_cell(cell, space, folder)
            for change in after.pop(cell.id, []):
                change(space)
    assert not after, f"the notebook lacks the cells {list(after)}"
    return run


@pytest.fixture(scope="session")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="session")
def code(notebook):
    """The notebook's code cells, by id."""
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


@pytest.fixture(scope="session")
def run(notebook, tmp_path_factory):
    """One execution on a part of the images, with few epochs."""
    return run_cells(notebook, tmp_path_factory.mktemp("lab"), images=16_000, epochs=4)


@pytest.fixture(scope="session")
def lab(run):
    """The variables of that execution."""
    return SimpleNamespace(**run.space)
