"""Do the README, the measurements, the requirements and CI tell the truth?"""
import ast
import base64
import re
import sys
from importlib.metadata import packages_distributions

import pytest

from conftest import ROOT, plain_python

README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCHMARK = (ROOT / "tests" / "benchmark.md").read_text(encoding="utf-8")
CI = [".ci/run", ".github/workflows/test.yml"]


def table_after(text, header):
    """Return the rows of the Markdown table whose first cell is header, as lists of cells, without the header."""
    lines = text[text.index(f"| {header} |"):].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("| \n").split("|")] for line in lines[2:]]


def cell_of(notebook, cell_id):
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def test_result_table_is_the_notebooks(notebook):
    stored, = [out["data"]["text/markdown"] for out in cell_of(notebook, "scoreboard").outputs]
    assert README.count(stored.splitlines()[0]) == 1
    assert table_after(README, "Reprezentacja") == table_after(stored, "Reprezentacja")


def test_what_ten_seeds_give_is_the_measurements(notebook):
    rows = {row[0]: row[1:] for row in table_after(BENCHMARK, "ziarno")}
    means, deviations = rows["średnia"], rows["odchylenie standardowe"]
    error = f"{float(means[1].replace(',', '.')):.4f}".replace(".", ",")
    for text in (cell_of(notebook, "seeds-text").source, README):
        assert f"MSE {error} i dokładność {means[3]}" in text
        assert f"odchyleniem standardowym {deviations[3].removesuffix(' p.p.')} punktu procentowego" in text


def test_what_the_recipe_gives_is_the_measurements(notebook):
    own, measured = (table_after(text, "Trening") for text in (cell_of(notebook, "recipe-text").source, BENCHMARK))
    assert own == measured and len(own) == 4
    assert all(error > best for row in own[1:] for error, best in zip(row[1:4], own[0][1:4]))


def test_learning_rate_is_the_best_of_the_measured(notebook):
    measured = {float(rate.replace(",", ".")): error for rate, error in table_after(BENCHMARK, "`LEARNING_RATE`")}
    chosen = re.search(r"^LEARNING_RATE = (\S+)", cell_of(notebook, "parameters").source, flags=re.M)[1]
    assert len(measured) >= 3 and min(measured, key=measured.get) == float(chosen)


def test_tables_have_decimal_commas():
    rows = [line for line in (README + BENCHMARK).splitlines() if line.startswith("|")]
    assert len(rows) > 20 and [line for line in rows if re.search(r"\d\.\d", line)] == []


def test_both_commands_stand_in_the_readme_once():
    commands = re.findall(r"^python3 -m venv \.venv && .*? -r requirements\.txt && (.*)$", README, flags=re.M)
    assert len(commands) == 2 and README.count("papermill") == 1 and README.count("-m pytest") == 1
    assert "papermill" in commands[0] and commands[1] == ".venv/bin/python -m pytest"


@pytest.mark.parametrize("file", CI)
def test_ci_runs_the_readmes_test_command(file):
    command, = [line for line in README.splitlines() if line.endswith("-m pytest")]
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.findall(r"(?:- run: |^)(python3 -m venv .*)$", text, flags=re.M) == [command]
    assert "nbval" not in text  # pytest's options are in .pytest.ini


@pytest.mark.parametrize("file", ["README.md", *CI])
def test_installations_stop_at_one_date(file):
    """Every command that installs the requirements does so with uv, in .venv and up to the same date."""
    text = (ROOT / file).read_text(encoding="utf-8")
    installs = re.findall(r"uv pip install -q --python \.venv --exclude-newer (\S+) -r requirements\.txt", text)
    assert set(installs) == set(re.findall(r"--exclude-newer (\d{4}-\S+)", README)) and len(set(installs)) == 1
    assert len(installs) == text.count("-r requirements.txt")


def test_every_import_is_pinned(notebook):
    tests = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("*.py")}
    sources = [*tests.values(), *(plain_python(cell) for cell in notebook.cells if cell.cell_type == "code")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - set(tests)
    pinned = re.findall(r"^([\w-]+)==\S+$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.M)
    homes = packages_distributions()
    assert {"keras", "scipy", "pytest"} < modules
    assert [name for name in modules if not {home.lower() for home in homes.get(name, [])} & set(pinned)] == []


def test_pictures_and_files_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert "tests/atlas.png" in links and [link for link in links if not (ROOT / link).is_file()] == []


def test_atlas_is_the_notebooks(notebook):
    stored = [out["data"]["image/png"] for out in cell_of(notebook, "atlas").outputs]
    assert [base64.b64decode(png) for png in stored] == [(ROOT / "tests" / "atlas.png").read_bytes()]
