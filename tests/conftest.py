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
TEST_PART = {"images_test": 3_000, "y_test": 3_000}


def run_cell(cell, space, folder):
    """Execute a code cell in space, as if it stood in folder; return what it printed."""
    source = TransformerManager().transform_cell(cell.source)
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.chdir(folder):
        exec(compile(source, cell.id, "exec"), space)
    return output.getvalue()


def run_cells(notebook, folder, images=30_000, callbacks=(), **parameters):
    """Execute the notebook on a part of the images; return its variables and what it did.

    printed: by cell, its text; figures: by description; trainings: x, y and options of each call
    of train. callbacks join each training; where one interrupts it, as a reader can, the rest of
    its cell is left out and the cells below it are executed.
    """
    matplotlib.use("Agg")
    if "MNIST_NPZ" in os.environ:
        os.environ["MNIST_NPZ"] = os.path.abspath(os.environ["MNIST_NPZ"])
    space, printed, figures, trainings = {"get_ipython": MagicMock()}, {}, {}, []

    def show(figure, description):
        figures[description] = figure
        space["notebook_show"](figure, description)

    def train(model, x, y, **options):
        trainings.append((x, y, options))
        joined = [*options.get("callbacks", []), *callbacks]
        space["notebook_train"](model, x, y, **{**options, "callbacks": joined})

    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        with contextlib.suppress(KeyboardInterrupt):
            printed[cell.id] = run_cell(cell, space, folder)
        if cell.id == "parameters":
            space.update(parameters)
        if cell.id == "load":
            for name, count in [("images", images), ("labels", images), *TEST_PART.items()]:
                space[name] = space[name][:count]
        for cell_id, name, recorder in [("helpers", "show", show), ("train", "train", train)]:
            if cell.id == cell_id:
                space[f"notebook_{name}"], space[name] = space[name], recorder
    return SimpleNamespace(
        **space, space=space, printed=printed, figures=figures, trainings=trainings
    )


@pytest.fixture(scope="session")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="session")
def lab(notebook, tmp_path_factory):
    """One execution on half of the images, with few epochs."""
    return run_cells(notebook, tmp_path_factory.mktemp("lab"), EPOCHS=12)
