"""One short execution of the notebook's cells for all tests, and the checks that nbval leaves out."""
import base64
import contextlib
import io
import re
import symtable
from pathlib import Path
from unittest.mock import MagicMock

import matplotlib
import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "lab7_autoencoder.ipynb"


def pictures(outputs):
    """Return the PNG figures among a cell's outputs as RGB arrays."""
    pngs = [out["data"]["image/png"] for out in outputs if "image/png" in out.get("data", {})]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in pngs]


def is_blank(picture):
    """Say whether an RGB array has fewer than 1 % of pixels that differ from its corner."""
    return np.mean((picture != picture[0, 0]).any(axis=-1)) < 0.01


def check_outputs(cell, fresh):
    """Require fresh outputs without stderr, and figures of the stored ones' number and size that are not blank."""
    noise = [out.text for out in fresh if out.get("name") == "stderr" or "WARNING" in out.get("text", "")]
    assert not noise, f"cell {cell.id}: a warning or writing to stderr: {noise[0][:300]}"
    stored, new = pictures(cell.outputs), pictures(fresh)
    assert [p.shape for p in new] == [p.shape for p in stored], f"cell {cell.id}: number or size of figures differs"
    assert not any(map(is_blank, new)), f"cell {cell.id}: a figure is blank"


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


def names(cell):
    """Return the global names that a cell takes from elsewhere and those that it defines."""
    def referenced(table):
        own = {symbol.get_name() for symbol in table.get_symbols()
               if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())}
        return own.union(*map(referenced, table.get_children()))

    table = symtable.symtable(plain_python(cell), cell.id, "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    return referenced(table) - defined, defined


class Run:
    """The notebook's code cells, executed in this process on a part of the data, with a short training.

    space: the cells' variables; they are attributes too. shown: for each cell a list of (object, metadata) that it
    displayed. printed: for each cell the text that it printed. The cells' own claims hold here too.
    """

    IMAGES = {"images": 24_000, "images_test": 2_500}
    PARAMETERS = {"EPOCHS": "40", "VALID_SIZE": "2_000", "DIMENSIONS": "(2, 4)"}

    def __init__(self, notebook, folder, until=None):
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self.space = {"__name__": "lab", "get_ipython": MagicMock()}
        self.folder = folder
        self.shown, self.printed = {}, {}
        matplotlib.use("Agg")
        for cell in self.cells:
            self.execute([cell])
            if cell.id == until:
                break

    def execute(self, cells):
        """Execute code cells, with the variables that are there."""
        for cell in cells:
            self.now, self.shown[cell.id], output = cell.id, [], io.StringIO()
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
        """Return a cell's source with this run's parameters."""
        source = plain_python(cell)
        for name, value in self.PARAMETERS.items():
            source = re.sub(rf"^{name} = [^#\n]*", f"{name} = {value}  ", source, flags=re.M)
        return source

    def keep_a_part(self):
        """Keep a random part of the images, the same each time."""
        rng = np.random.default_rng(0)
        for images, count in self.IMAGES.items():
            labels = {"images": "labels", "images_test": "y_test"}[images]
            chosen = rng.choice(len(self.space[images]), count, replace=False)
            self.space[images], self.space[labels] = self.space[images][chosen], self.space[labels][chosen]

    def figure(self, cell_id):
        """Return the one figure that a cell has shown."""
        (figure, metadata), = [item for item in self.shown[cell_id] if hasattr(item[0], "axes")]
        return figure

    def alt(self, cell_id):
        """Return the alternative text of the one figure that a cell has shown."""
        (figure, metadata), = [item for item in self.shown[cell_id] if hasattr(item[0], "axes")]
        return metadata["image/png"]["alt"]

    def __getattr__(self, name):
        return self.space[name]


@pytest.fixture(scope="session")
def run(pytestconfig, notebook, tmp_path_factory):
    """One execution for all tests; tests/mutants.py puts a changed one in its place."""
    return getattr(pytestconfig, "changed_run", None) or Run(notebook, tmp_path_factory.mktemp("run"))
