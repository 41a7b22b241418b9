"""One short execution of the notebook's cells for all tests, and what nbval leaves unchecked."""

import base64
import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbval.plugin import IPyNbCell

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "lab7_autoencoder.ipynb"


def pictures(outputs):
    """Return the figures among a cell's outputs as arrays."""
    pngs = [out.data["image/png"] for out in outputs if "image/png" in out.get("data", {})]
    return [plt.imread(io.BytesIO(base64.b64decode(png))) for png in pngs]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Close nbval's holes: a cell that was never executed, stderr in both runs, the figures."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    name = item.cell.id
    assert item.cell.execution_count, f"{name} has no stored outputs: refresh the notebook"
    item.output_timeout = 120  # seconds
    result = yield
    assert [out.text for out in item.test_outputs if out.get("name") == "stderr"] == [], name
    fresh = pictures(item.test_outputs)
    assert len(fresh) == len(pictures(item.cell.outputs)), f"{name}: another number of figures"
    for picture in fresh:
        share = np.mean((picture != picture[0, 0]).any(axis=-1))
        assert share > 0.01, f"{name}: a figure is blank"
    return result


class Lab:
    """The notebook's cells, executed in this process, with some images and changed parameters.

    Its attributes are the notebook's variables. By cell: shown, the (object, metadata) pairs that
    it displayed; printed, its text; fits, the calls of fit, each a dictionary of its arguments.
    """

    def __init__(self, notebook, folder, images=24_000, changes=(), **parameters):
        self.folder = folder
        self.variables = {"get_ipython": MagicMock()}
        self.shown, self.printed, self.fits = {}, {}, {}
        matplotlib.use("Agg")
        for cell in notebook.cells:
            if cell.cell_type == "code":
                self.execute(cell)
            if cell.id == "helpers":
                self.variables["display"] = self.display
            if cell.id == "parameters":
                self.variables.update(parameters)
            if cell.id == "load":
                for name in ("images", "labels"):
                    self.variables[name] = self.variables[name][:images]
        for value in self.variables.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False  # tests share it

    def execute(self, cell):
        """Execute a code cell with the variables that are there."""
        source = TransformerManager().transform_cell(cell.source)
        self.now, self.shown[cell.id], self.fits[cell.id] = cell.id, [], []
        with (
            contextlib.redirect_stdout(io.StringIO()) as output,
            contextlib.chdir(self.folder),
            self.recorded_fits(),
        ):
            exec(compile(source, cell.id, "exec"), self.variables)
        self.printed[cell.id] = output.getvalue()

    def display(self, thing, metadata=None, **options):
        """Stand for IPython's display."""
        self.shown[self.now].append((thing, metadata))
        return MagicMock()

    @contextlib.contextmanager
    def recorded_fits(self):
        """Note how models are trained."""
        if "keras" not in self.variables:
            yield
            return
        model_class = self.variables["keras"].Sequential

        def fit(model, x, y, **options):
            call = {"model": model, "x": x, "y": y, "loss": model.loss, **options}
            self.fits[self.now].append(call)
            return super(model_class, model).fit(x, y, **options)

        model_class.fit = fit
        try:
            yield
        finally:
            del model_class.fit

    def __getattr__(self, name):
        return self.variables[name]

    def figure(self, cell_id):
        """Return the one figure that a cell has shown."""
        (figure,) = [thing for thing, _ in self.shown[cell_id] if hasattr(thing, "axes")]
        return figure

    def table(self, cell_id):
        """Return the rows of the one table that a cell has shown, its head first, as texts."""
        ((table, _),) = self.shown[cell_id]
        head, _, *rows = table.data.splitlines()
        return [line.split(" | ") for line in (head, *rows)]

    def image_rows(self, cell_id, columns=10):
        """Return a grid's images (rows, columns, 28, 28, 1), its captions and its row titles."""
        axes = self.figure(cell_id).axes
        images = np.array([ax.images[0].get_array() for ax in axes])
        captions = [ax.get_title() for ax in axes]
        titles = [ax.get_ylabel().replace("\n", " ") for ax in axes[::columns]]
        return images.reshape(-1, columns, 28, 28, 1), captions, titles

    def number(self, cell_id, name):
        """Return the number that a cell printed after a name; of a percentage, the share."""
        (text,) = self.printed[cell_id].split(name)[1:]
        word = text.lstrip(" :").split()[0]
        number = float(word.strip("%,()").replace(",", "."))
        return number / 100 if "%" in word else number


@pytest.fixture(scope="session")
def notebook(pytestconfig):
    """The notebook; tests/mutants.py puts a changed one in its place."""
    return getattr(pytestconfig, "changed_notebook", None) or nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="session")
def executed(pytestconfig, notebook, tmp_path_factory):
    """The one execution; tests/mutants.py puts a changed one in its place."""
    changed = getattr(pytestconfig, "changed_lab", None)
    return changed or Lab(notebook, tmp_path_factory.mktemp("lab"), EPOCHS=20)


@pytest.fixture
def lab(executed):
    """The one execution; variables that a test sets are afterwards what they were."""
    kept = dict(executed.variables)
    yield executed
    executed.variables.clear()
    executed.variables.update(kept)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The page that the README's command writes, from the stored outputs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (options,) = re.findall(r"jupyter nbconvert (--config .*?) lab7\.ipynb", readme)
    folder = tmp_path_factory.mktemp("exported")
    command = [sys.executable, "-m", "nbconvert", *shlex.split(options), NOTEBOOK.name]
    subprocess.run([*command, "--output-dir", folder], cwd=ROOT, check=True)
    return folder / f"{NOTEBOOK.stem}.html"
