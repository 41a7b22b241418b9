"""Do the README, the measurements, the requirements and CI tell the truth?"""
import base64
import re

import pytest

from conftest import ROOT
from reading import number, rows_of

README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCHMARK = (ROOT / "tests" / "benchmark.md").read_text(encoding="utf-8")
CI = [".ci/run", ".github/workflows/test.yml"]
INSTALL = r"\.venv/bin/uv pip install -q --python \.venv --exclude-newer (\d{4}-\S+) -r requirements\.txt"


def table_after(text, header):
    """Return the rows below the head of the Markdown table whose first cell is header."""
    return rows_of(text[text.index(f"| {header} |"):].split("\n\n")[0])[1:]


@pytest.fixture
def cells(notebook):
    return {cell.id: cell for cell in notebook.cells}


def test_results_in_readme_and_answers_are_the_notebooks(cells):
    stored, = [out["data"]["text/markdown"] for out in cells["scoreboard"].outputs]
    rows = table_after(stored, "Reprezentacja")
    assert stored.splitlines()[0] in README and table_after(README, "Reprezentacja") == rows
    (_, _, error, _, valid, test), loss = rows[2], re.search(r"walidacja ([\d,]+\d)", str(cells["training"].outputs))[1]
    texts = {"loss-text": f" z {loss} do ", "confusion-text": f" z {valid} do ", "atlas-text": f" {error} i {test}."}
    assert [text for cell_id, text in texts.items() if text not in cells[cell_id].source] == []
    stored = [out["data"]["image/png"] for out in cells["atlas"].outputs]
    assert [base64.b64decode(png) for png in stored] == [(ROOT / "tests" / "atlas.png").read_bytes()]


def test_numbers_of_many_trainings_are_the_measurements(cells):
    """Ten seeds, the recipe without its parts, the learning rate that is best on validation."""
    rows = {name: row for name, *row in table_after(BENCHMARK, "ziarno")}
    error, deviation = f"{number(rows['średnia'][1]):.4f}".replace(".", ","), rows["odchylenie standardowe"][3]
    for text in (cells["seeds-text"].source, README):
        assert (f"MSE {error} i dokładność {rows['średnia'][3]}, z odchyleniem standardowym "
                f"{deviation.removesuffix(' p.p.')} punktu procentowego") in text
    own, measured = (table_after(text, "Trening") for text in (cells["recipe-text"].source, BENCHMARK))
    assert own == measured and len(own) == 4
    assert all(error > best for row in own[1:] for error, best in zip(row[1:4], own[0][1:4]))
    rates = {number(rate): error for rate, error in table_after(BENCHMARK, "`LEARNING_RATE`")}
    chosen = re.search(r"^LEARNING_RATE = (\S+)", cells["parameters"].source, flags=re.M)[1]
    assert len(rates) >= 3 and min(rates, key=rates.get) == float(chosen)


def test_commands_links_and_tables():
    """Both commands stand in the README once; CI runs the second; links lead to files; tables have decimal commas."""
    commands = re.findall(rf"^(python3 -m venv \.venv && \.venv/bin/pip install -q uv && {INSTALL} && (.*))$", README,
                          flags=re.M)
    (_, date, run), (test_command, _, test) = commands
    assert "papermill" in run and test == ".venv/bin/python -m pytest"
    assert README.count("papermill") == 1 and README.count("-m pytest") == 1
    for name in ["README.md", *CI]:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert [other for other in re.findall(r"--exclude-newer (\d\S+)", text) if other != date] == []
        assert text.count("-r requirements.txt") == text.count(f"--exclude-newer {date} -r requirements.txt") > 0
        if name in CI:
            assert re.findall(r"(?:- run: |^)(python3 -m venv .*)$", text, flags=re.M) == [test_command]
            assert "nbval" not in text  # pytest's options are in .pytest.ini
    assert README.count("tests/atlas.png") and len(README.splitlines()) <= 90
    assert [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not (ROOT / link).is_file()] == []
    rows = [line for line in (README + BENCHMARK).splitlines() if line.startswith("|")]
    assert len(rows) > 20 and [line for line in rows if re.search(r"\d\.\d", line)] == []
