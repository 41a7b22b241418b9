"""One short execution of the notebook's cells for all tests, and the checks that nbval leaves out."""
import base64
import contextlib
import io
import re
import shlex
import subprocess
import sys
import symtable
from functools import partial
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


def noise(outputs):
    """Return what was written to stderr or warns."""
    return [out.text for out in outputs if out.get("name") == "stderr" or "WARNING" in out.get("text", "")]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if type(item).__name__ == "IPyNbCell":
            item.output_timeout, item.runtest = 120, partial(run_checked, item, item.runtest)


def run_checked(item, runtest):
    """Run an nbval cell; refuse one without stored outputs and noise, and look at the figures."""
    assert item.cell.execution_count is not None, f"cell {item.cell.id} was never executed: refresh the notebook"
    runtest()
    stored, fresh = pictures(item.cell.outputs), pictures(item.test_outputs)
    assert noise(item.test_outputs) == [], item.cell.id
    assert [p.shape for p in fresh] == [p.shape for p in stored], f"{item.cell.id}: number or size of figures"
    for picture in fresh:
        assert np.mean((picture != picture[0, 0]).any(axis=-1)) >= 0.01, f"{item.cell.id}: a figure is blank"


@pytest.fixture(scope="session")
def notebook(pytestconfig):
    """The notebook; tests/mutants.py puts a changed one in its place."""
    return getattr(pytestconfig, "changed_notebook", None) or nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The page that the README's command writes, from the stored outputs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    options, = re.findall(r"\.venv/bin/jupyter nbconvert (--config .*? )lab7\.ipynb", readme)
    folder = tmp_path_factory.mktemp("exported")
    subprocess.run([sys.executable, "-m", "nbconvert", *shlex.split(options), NOTEBOOK.name, "--output-dir", folder],
                   cwd=ROOT, check=True)
    return folder / f"{NOTEBOOK.stem}.html"


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
    """The notebook's code cells, executed in this process on a part of the data, with a short training. Attributes: the
    cells' variables, and by cell what it displayed (shown: (object, metadata) pairs) and printed (printed: a text)."""

    IMAGES = {"images": ("labels", 24_000), "images_test": ("y_test", 2_500)}
    PARAMETERS = {"EPOCHS": 30, "CLASSIFIER_EPOCHS": 10, "VALID_SIZE": 2_000, "DIMENSIONS": (2, 4)}

    def __init__(self, notebook, folder):
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self.space = {"__name__": "lab", "get_ipython": MagicMock()}
        self.folder, self.shown, self.printed = folder, {}, {}
        matplotlib.use("Agg")
        self.execute(self.cells)

    def execute(self, cells):
        """Execute code cells, with the variables that are there."""
        for cell in cells:
            self.now, self.shown[cell.id] = cell.id, []
            with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.chdir(self.folder):
                exec(compile(plain_python(cell), cell.id, "exec"), self.space)
            self.printed[cell.id] = output.getvalue()
            self.space["display"] = self.display
            if cell.id == "parameters":
                self.space.update(self.PARAMETERS)
            if cell.id == "load":
                rng = np.random.default_rng(0)  # a random part of the images, the same each time
                for images, (labels, count) in self.IMAGES.items():
                    chosen = rng.choice(len(self.space[images]), count, replace=False)
                    self.space.update({name: self.space[name][chosen] for name in (images, labels)})

    def display(self, thing, metadata=None, **options):
        """Stand for IPython's display."""
        self.shown[self.now].append((thing, metadata))
        return MagicMock()

    @contextlib.contextmanager
    def unchanged(self):
        """Take back afterwards what cells have done to the variables and to what was shown and printed."""
        cells, kept = self.cells, [(own, dict(own)) for own in (self.space, self.shown, self.printed)]
        try:
            yield
        finally:
            self.cells = cells
            for own, old in kept:  # the same dictionary as before: functions look their globals up in it
                own.clear()
                own.update(old)

    def figure(self, cell_id):
        """Return the one figure that a cell has shown."""
        figure, = [thing for thing, _ in self.shown[cell_id] if hasattr(thing, "axes")]
        return figure

    def __getattr__(self, name):
        return self.space[name]


@pytest.fixture(scope="session")
def run(pytestconfig, notebook, tmp_path_factory):
    """One execution for all tests; tests/mutants.py puts a changed one in its place."""
    return getattr(pytestconfig, "changed_run", None) or Run(notebook, tmp_path_factory.mktemp("run"))
