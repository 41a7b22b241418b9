"""Does the plugin regression.py close nbval's holes? A small notebook is broken in each way."""

import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from nbformat import v4

PICTURE = """\
%matplotlib inline
import matplotlib.pyplot as plt
from IPython.display import display
figure, ax = plt.subplots(figsize=(3, 3))
ax.plot([0, 1], linewidth=9)
display(figure, metadata={"image/png": {"alt": "line"}})
plt.close(figure)"""
CELLS = {
    "load": "print('Dane: MNIST')",
    "errors": "print('MSE: 0,0345, 0,0557, 84,1%')",
    "progress": "print('\\rEpoka 1: 0,5555', end='')\nprint('\\rEpoka 2: 0,0666', end='')",
    "picture": PICTURE,
}


@pytest.fixture(scope="module")
def executed():
    cells = [v4.new_code_cell(source, id=cell_id) for cell_id, source in CELLS.items()]
    cells[0].metadata["tags"] = ["nbval-ignore-output"]
    notebook = v4.new_notebook(cells=cells)
    NotebookClient(notebook).execute()
    return notebook


def changed(notebook, changes):
    """Return a copy with changed sources beside the old outputs, without the other cells."""
    copy = nbformat.from_dict(notebook)
    ids = {"load"} | {cell_id for cell_id, _, _ in changes}
    copy.cells = [cell for cell in copy.cells if cell.id in ids or not changes]
    for cell_id, old, new in changes:
        (cell,) = [cell for cell in copy.cells if cell.id == cell_id]
        assert old in cell.source
        cell.source = cell.source.replace(old, new)
    return copy


# By name: the cells to change (id, old text, new text), and what pytest must say; "" if it passes.
CHANGES = {
    "same": ([], ""),
    "other_seed": ([("errors", "0,0345, 0,0557, 84,1%", "0,0351, 0,0552, 85,9%")], ""),
    "names_exchanged": ([("errors", "0,0345, 0,0557", "0,0557, 0,0345")], "0.0345"),
    "another_accuracy": ([("errors", "84,1%", "78,1%")], "84.1"),
    "another_word": ([("errors", "MSE", "PCA")], "Cell outputs differ"),
    "another_last_state": ([("progress", "Epoka 2", "Epoka 3")], "Cell outputs differ"),
    "other_data": ([("load", "MNIST", "inne"), ("errors", "0,0345", "0,0145")], ""),
    "other_data_word": ([("load", "MNIST", "inne"), ("errors", "MSE", "PCA")], "outputs differ"),
    "stderr": ([("errors", "print(", "import sys; print(file=sys.stderr); print(")], "stderr"),
    "blank": ([("picture", "ax.plot([0, 1], linewidth=9)", "ax.axis('off')")], "is blank"),
    "twice": ([("picture", "display(figure, ", "display(figure); display(figure, ")], "differ"),
    "another_text": ([("picture", '"line"', '"curve"')], "other figures"),
    "another_figure": ([("picture", "[0, 1]", "[1, 0]")], "the stored figure is another one"),
    "another_size": ([("picture", "(3, 3)", "(4, 3)")], "differ"),
}


@pytest.fixture(scope="module")
def verdicts(executed, tmp_path_factory):
    """By name: what the documented options of pytest say of a notebook changed in this way."""
    folder = tmp_path_factory.mktemp("changed")
    notebooks = {name: changed(executed, changes) for name, (changes, _) in CHANGES.items()}
    noisy = changed(executed, CHANGES["stderr"][0])
    NotebookClient(noisy).execute()
    never = nbformat.from_dict(executed)
    never.cells[1].update(execution_count=None, outputs=[])
    for name, notebook in (notebooks | {"stderr_in_both": noisy, "never_executed": never}).items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    report = folder / "report.xml"
    options = ["-c", ROOT / ".pytest.ini", f"--junit-xml={report}", folder]
    subprocess.run([sys.executable, "-m", "pytest", *options], cwd=ROOT, capture_output=True)
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname").split(".")[-2]
        found[name] = found.get(name, "") + "".join(case.itertext())
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_notebook_is_judged(verdicts, name):
    _, reason = CHANGES[name]
    assert reason in verdicts[name]
    assert reason or not verdicts[name]


def test_stderr_in_both_runs_is_red(verdicts):
    assert "stderr" in verdicts["stderr_in_both"]


def test_a_cell_that_was_never_executed_is_red(verdicts):
    assert "errors has no stored outputs" in verdicts["never_executed"]
