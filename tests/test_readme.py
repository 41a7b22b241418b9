"""Does the README tell the truth?"""
import base64
import re

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def table_rows(text):
    """Return the rows of a Markdown table as lists of cells."""
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()
            if line.startswith("|") and not re.match(r"\|[ :|-]+\|$", line)]


def test_result_table_is_the_notebooks(notebook):
    cell = next(cell for cell in notebook.cells if cell.id == "scoreboard")
    stored = [out["data"]["text/markdown"] for out in cell.outputs if "text/markdown" in out.get("data", {})]
    assert len(stored) == 1
    results = README[README.index("| Opis obrazu |"):].split("\n\n")[0]
    assert table_rows(results) == table_rows(stored[0])


def markdown(notebook, cell_id):
    return next(cell.source for cell in notebook.cells if cell.id == cell_id)


def means_of_seeds():
    """Return the row of means and the row of standard deviations of the README's table of ten seeds."""
    rows = {row[0]: row[1:] for row in table_rows(README[README.index("| ziarno |"):].split("\n\n")[0])}
    return rows["średnia"], rows["odchylenie standardowe"]


def test_the_notebook_tells_what_ten_seeds_give(notebook):
    means, deviations = means_of_seeds()
    error = f"{float(means[1].replace(',', '.')):.4f}".replace(".", ",")
    for text in (markdown(notebook, "seeds-text"), README):
        assert f"MSE {error} i dokładność {means[3]}" in text
        assert f"odchyleniem standardowym {deviations[3].removesuffix(' p.p.')} punktu procentowego" in text


def test_the_choice_of_the_learning_rate_is_the_benchmarks(notebook):
    told = table_rows(markdown(notebook, "training-intro"))
    measured = {row[0]: row[1] for row in table_rows(README[README.index("| `LEARNING_RATE` |"):].split("\n\n")[0])[1:]}
    assert dict(zip(told[0][1:], told[1][1:])) == measured and len(measured) == 3
    parameters = markdown(notebook, "parameters")
    chosen = re.search(r"^LEARNING_RATE = (\S+)", parameters, flags=re.M)[1].replace(".", ",")
    assert min(measured, key=measured.get) == chosen


def test_polish_part_has_decimal_commas():
    tables = [line for line in README.split("## In English")[0].splitlines() if line.startswith("|")]
    assert len(tables) > 20 and [line for line in tables if re.search(r"\d\.\d", line)] == []


@pytest.mark.parametrize("file", [".ci/run", ".github/workflows/test.yml"])
def test_ci_runs_the_readmes_test_command(file):
    command = next(line for line in README.splitlines() if "pytest" in line and line.startswith("python3"))
    assert command in (ROOT / file).read_text(encoding="utf-8")


def test_english_part_has_the_same_commands():
    polish, english = README.split("## In English")
    commands = re.findall(r"^python3 -m venv \.venv.*$", polish, flags=re.M)
    assert len(commands) == 2 and re.findall(r"^python3 -m venv \.venv.*$", english, flags=re.M) == commands


@pytest.mark.parametrize("file", ["README.md", ".ci/run", ".github/workflows/test.yml"])
def test_installations_stop_at_one_date(file):
    """Every command that installs the requirements does so with uv, in .venv and up to the same date."""
    text = (ROOT / file).read_text(encoding="utf-8")
    installs = re.findall(r"uv pip install -q --python \.venv --exclude-newer (\S+) -r requirements\.txt", text)
    dates = re.findall(r"--exclude-newer (\d{4}-\d\d-\d\dT\S+)", README)
    assert installs and set(installs) == set(dates) and len(set(dates)) == 1
    assert len(installs) == text.count("-r requirements.txt")


def test_pictures_exist():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures and all((ROOT / picture).is_file() for picture in pictures)


def test_atlas_is_the_notebooks(notebook):
    cell = next(cell for cell in notebook.cells if cell.id == "atlas")
    stored = [out["data"]["image/png"] for out in cell.outputs if "image/png" in out.get("data", {})]
    assert [base64.b64decode(png) for png in stored] == [(ROOT / "tests" / "atlas.png").read_bytes()]
