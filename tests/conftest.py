"""The notebook's functions without its training, one short execution of its cells, and the checks that nbval leaves out."""
import ast
import base64
import contextlib
import io
import re
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import matplotlib
import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.colors import to_rgb
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "lab7_autoencoder.ipynb"
SETUP_CELLS = {"imports", "parameters"}


def figures(outputs):
    """Return the PNG figures among a cell's outputs as RGB arrays."""
    pngs = [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in pngs]


def is_blank(figure):
    """Say whether an RGB array has fewer than 1 % of pixels that differ from its corner."""
    return np.mean((figure != figure[0, 0]).any(axis=-1)) < 0.01


def palette(figure, least_share):
    """Return which of the ten digits' colours cover at least this share of an RGB array."""
    colours = (np.array(list(map(to_rgb, matplotlib.color_sequences["petroff10"]))) * 255).round().astype(int)
    shares = [np.mean(np.abs(figure.astype(int) - colour).max(axis=-1) < 12) for colour in colours]
    return {number for number, share in enumerate(shares) if share >= least_share}


def check_outputs(cell, fresh):
    """Require fresh outputs without stderr and with the stored cell's figures: number, size, ink and colours."""
    noise = [out.text for out in fresh if out.get("name") == "stderr" or "WARNING" in out.get("text", "")]
    assert not noise, f"cell {cell.id}: a warning or writing to stderr: {noise[0][:300]}"
    stored, new = figures(cell.outputs), figures(fresh)
    assert [f.shape for f in new] == [f.shape for f in stored], f"cell {cell.id}: number or size of figures differs"
    for old_figure, new_figure in zip(stored, new):
        assert not is_blank(new_figure), f"cell {cell.id}: a figure is blank"
        missing = palette(old_figure, 0.002) - palette(new_figure, 0.0002)
        assert not missing, f"cell {cell.id}: a figure lost colours {sorted(missing)} of petroff10"


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
def notebook(pytestconfig):
    """The notebook; tests/mutants.py puts a changed one in its place."""
    return getattr(pytestconfig, "changed_notebook", None) or nbformat.read(NOTEBOOK, as_version=4)


def plain_python(cell):
    """Return a code cell's source with IPython's magic commands as function calls."""
    return TransformerManager().transform_cell(cell.source)


def load_lab(notebook, whole_cells=frozenset()):
    """Return the notebook's imports, parameters, functions and classes; nothing is loaded or trained.

    whole_cells: ids of further cells to execute as they stand.
    """
    space = {"__name__": "lab"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tree = ast.parse(plain_python(cell))
            if cell.id not in SETUP_CELLS | whole_cells:
                tree.body = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
                             or isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper()]
            exec(compile(tree, cell.id, "exec"), space)
    return SimpleNamespace(**space)


@pytest.fixture(scope="session")
def lab(notebook):
    return load_lab(notebook)


class Run:
    """The notebook's code cells, executed in this process on a part of the data, with a short training.

    space: the cells' variables. shown: for each cell a list of (object, metadata) that it displayed.
    printed: for each cell the text that it printed. The cells' own claims hold here too.
    """

    IMAGES = {"train": 24_000, "test": 2_500}
    PARAMETERS = {"EPOCHS": "40", "VALID_SIZE": "2_000", "DIMENSIONS": "(2, 4)"}

    def __init__(self, notebook, folder):
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self.space = {"__name__": "lab", "get_ipython": MagicMock()}
        self.folder = folder
        self.shown, self.printed = {}, {}
        self.execute(self.cells)

    def execute(self, cells):
        """Execute code cells, with the variables that are there."""
        for cell in cells:
            self.now, self.shown[cell.id], output = cell.id, [], io.StringIO()
            if cell.id == "split":
                self.space.update(self.part)  # the cell deletes them
            with contextlib.redirect_stdout(output), contextlib.chdir(self.folder):
                exec(compile(self.shortened(cell), cell.id, "exec"), self.space)
            self.printed[cell.id] = output.getvalue()
            self.space["display"] = self.display
            if cell.id == "load":
                self.keep_a_part()

    def display(self, thing, metadata=None, **options):
        """Stand for IPython's display."""
        self.shown[self.now].append((thing, metadata))
        return MagicMock()

    def shortened(self, cell):
        source = plain_python(cell)
        if cell.id == "parameters":
            for name, value in self.PARAMETERS.items():
                source, count = re.subn(rf"^{name} = [^#\n]*", f"{name} = {value}  ", source, flags=re.M)
                assert count == 1, f"no parameter {name}"
        return source

    def keep_a_part(self):
        """Keep a random part of the images, the same each time."""
        rng, self.part = np.random.default_rng(0), {}
        for part, count in self.IMAGES.items():
            images, labels = self.space[f"images_{part}"], self.space[f"labels_{part}"]
            chosen = rng.choice(len(images), count, replace=False)
            self.part |= {f"images_{part}": images[chosen], f"labels_{part}": labels[chosen]}

    def figure(self, cell_id):
        """Return the one figure that a cell has shown."""
        (figure, metadata), = [item for item in self.shown[cell_id] if hasattr(item[0], "axes")]
        assert len(metadata["image/png"]["alt"]) > 20
        return figure

    def __getattr__(self, name):
        return self.space[name]


@pytest.fixture(scope="session")
def run(pytestconfig, notebook, tmp_path_factory):
    """One execution for all tests; tests/mutants.py puts a changed one in its place."""
    return getattr(pytestconfig, "changed_run", None) or Run(notebook, tmp_path_factory.mktemp("run"))
