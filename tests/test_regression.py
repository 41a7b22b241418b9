"""Does the plugin regression.py close nbval's holes? Each cell of a small notebook is one."""

import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest
from conftest import ROOT
from nbformat import v4
from refresh import execute
from regression import assert_size_of_numbers, bounds, numbers, text_of

PICTURE = """\
%matplotlib inline
import matplotlib.pyplot as plt
from IPython.display import display
figure, ax = plt.subplots(figsize=(3, 3))
ax.plot([0, 1], linewidth=9)
display(figure, metadata={"image/png": {"alt": "line"}})
plt.close(figure)"""
STDERR = "import sys\nprint('oops', file=sys.stderr)"
# By cell: its source, what is changed in it after its outputs were stored (old, new), and what
# pytest must say of it; "" if it passes. The numbers of errors and classify are in seeds.json.
CELLS = {
    "load": ("print('Dane: MNIST')", ("", ""), ""),
    "same": (PICTURE, ("", ""), ""),
    "errors": ("print('0,0675 0,0557 0,0344')", ("0,0344", "0,0347"), ""),
    "classify": ("print('85,2%')", ("85,2", "70,1"), "70,1% is not within"),
    "training": ("print('0,0328 0,0344')", ("0,0344", ""), "Cell outputs differ"),
    "new": ("print('0,5')", ("", ""), "run tests/refresh.py --seeds"),
    "word": ("print('MSE: 1')", ("MSE", "PCA"), "Cell outputs differ"),
    "last_state": ("print('\\rEpoka 1\\rEpoka 2')", ("Epoka 2", "Epoka 3"), "outputs differ"),
    "stderr": ("print(1)", ("print(1)", "print(1)\n" + STDERR), "stderr"),
    "stderr_in_both": (STDERR, ("", ""), "writes to stderr"),
    "never_executed": ("x = 1", ("", ""), "never_executed has no stored outputs"),
    "blank": (PICTURE, ("ax.plot([0, 1], linewidth=9)", "ax.axis('off')"), "is blank"),
    "twice": (PICTURE, ("display(figure, ", "display(figure)\ndisplay(figure, "), "differ"),
    "another_text": (PICTURE, ('"line"', '"curve"'), "other figures"),
    "another_size": (PICTURE, ("(3, 3)", "(4, 3)"), "differ"),
}


def write(folder, name, cells):
    nbformat.write(v4.new_notebook(cells=cells), folder / name)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What pytest says with the documented options: by cell, and in all."""
    folder = tmp_path_factory.mktemp("holes")
    cells = [v4.new_code_cell(source, id=cell_id) for cell_id, (source, _, _) in CELLS.items()]
    cells[0].metadata["tags"] = ["nbval-ignore-output"]
    execute(v4.new_notebook(cells=cells))
    for cell in cells:
        _, (old, new), _ = CELLS[cell.id]
        assert old in cell.source
        cell.source = cell.source.replace(old, new) if old else cell.source
        if cell.id == "never_executed":
            cell.execution_count = None
    write(folder, "a.ipynb", cells)
    other, wrong = nbformat.from_dict(cells[0]), nbformat.from_dict(cells[3])
    other.source = "print('Dane: inne')"
    write(folder, "b_without_mnist.ipynb", [other, wrong])
    report = folder / "report.xml"
    options = ["-c", ROOT / ".pytest.ini", f"--junit-xml={report}", folder]
    command = [sys.executable, "-m", "pytest", *options]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    cases = list(ElementTree.parse(report).iter("testcase"))
    assert len(cases) == len(cells) + 2, output
    by_cell = dict(zip(CELLS, ["".join(case.itertext()) for case in cases]))
    return by_cell, ["".join(case.itertext()) for case in cases[len(cells) :]], output


@pytest.mark.parametrize("cell_id", CELLS)
def test_a_changed_cell_is_judged(verdicts, cell_id):
    reason, verdict = CELLS[cell_id][2], verdicts[0][cell_id]
    assert reason in verdict
    assert bool(reason) == bool(verdict)


def test_other_data_than_mnist_are_not_compared_and_the_last_lines_say_so(verdicts):
    _, without_mnist, output = verdicts
    assert without_mnist == ["", ""]
    before_failures = output.partition("= short test summary info")[0]
    assert "numbers were not compared" in before_failures.splitlines()[-2]


def test_a_reader_sees_the_last_state_of_a_line():
    outputs = [{"text": "a\nEpoka 1: 0,1\rEpo"}, {"text": "ka 2: 0,25\n"}, {"data": {}}]
    assert text_of(outputs) == "a\nEpoka 2: 0,25\n"
    assert numbers(text_of(outputs) + "85,2% 1 000") == ["0,25", "85,2%"]


def test_a_number_may_be_five_deviations_from_the_mean_and_a_unit_at_least():
    assert bounds(["1,0%", "3,0%"]) == pytest.approx((2 - 5 * 2**0.5, 2 + 5 * 2**0.5))
    assert bounds(["0,0557"] * 10) == pytest.approx((0.0556, 0.0558))
    seeds = {"0": {"errors": ["0,0344"]}, "1": {"errors": ["0,0346"]}}
    assert_size_of_numbers("errors", "MSE: 0,0349", seeds)
    for text in ("MSE: 0,0360", "MSE", "MSE: 0,0345 0,0345"):
        with pytest.raises(AssertionError):
            assert_size_of_numbers("errors", text, seeds)
