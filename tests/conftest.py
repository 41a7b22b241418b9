"""The notebook's functions without its training, and the checks that nbval leaves out."""
import ast
import base64
import io
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "lab7_autoencoder.ipynb"
SETUP_CELLS = {"imports", "import-keras", "parameters"}


def figures(outputs):
    """Return the PNG figures among a cell's outputs as RGB arrays."""
    pngs = [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in pngs]


def is_blank(figure):
    """Say whether an RGB array has fewer than 1 % of pixels that differ from its corner."""
    return np.mean((figure != figure[0, 0]).any(axis=-1)) < 0.01


def palette(figure, least_share):
    """Return which of tab10's colours cover at least this share of an RGB array."""
    colours = (np.array(matplotlib.colormaps["tab10"].colors) * 255).round().astype(int)
    shares = [np.mean(np.abs(figure.astype(int) - colour).max(axis=-1) < 12) for colour in colours]
    return {number for number, share in enumerate(shares) if share >= least_share}


def check_outputs(cell, fresh):
    """Require fresh outputs without stderr and with the stored cell's figures: number, size, ink and colours."""
    stderr = "".join(out.text for out in fresh if out.get("name") == "stderr")
    assert not stderr, f"cell {cell.id}: writes to stderr: {stderr[:300]}"
    stored, new = figures(cell.outputs), figures(fresh)
    assert [f.shape for f in new] == [f.shape for f in stored], f"cell {cell.id}: number or size of figures differs"
    for old_figure, new_figure in zip(stored, new):
        assert not is_blank(new_figure), f"cell {cell.id}: a figure is blank"
        missing = palette(old_figure, 0.002) - palette(new_figure, 0.0002)
        assert not missing, f"cell {cell.id}: a figure lost colours {sorted(missing)} of tab10"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Around every nbval cell: wait longer for outputs, refuse stripped cells, look at the figures."""
    for item in items:
        if type(item).__name__ == "IPyNbCell":
            item.output_timeout = 120
            item.runtest = checked(item)


def checked(item):
    run = item.runtest

    def runtest():
        assert item.cell.execution_count is not None, f"cell {item.cell.id} was never executed: refresh the notebook"
        run()
        check_outputs(item.cell, item.test_outputs)

    return runtest


@pytest.fixture(scope="session")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def load_lab(notebook, whole_cells=frozenset()):
    """Return the notebook's imports, parameters, functions and classes; nothing is loaded or trained.

    whole_cells: ids of further cells to execute as they stand.
    """
    space = {"__name__": "lab"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tree = ast.parse(TransformerManager().transform_cell(cell.source))
            if cell.id not in SETUP_CELLS | whole_cells:
                tree.body = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
                             or isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper()]
            exec(compile(tree, cell.id, "exec"), space)
    return SimpleNamespace(**space)


@pytest.fixture(scope="session")
def lab(notebook):
    return load_lab(notebook)
