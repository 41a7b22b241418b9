"""Are the stored notebook, its text, its export, the README and the pins true?"""

import ast
import base64
import re
import shlex
import subprocess
import sys
import urllib.parse
from importlib.metadata import packages_distributions
from types import SimpleNamespace

import pytest
from conftest import NOTEBOOK, ROOT, run_cell

README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDED = ["silence", "helpers", "load-data", "progress", "planes"]
ANSWER = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.S)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "markdown"}


def printed(notebook):
    """Return by cell the text that is stored."""
    return {
        cell.id: "".join(out.get("text", "") for out in cell.outputs)
        for cell in code_cells(notebook)
    }


def decimals(text):
    return re.findall(r"\d+,(?:\d{4}|\d)\b", text)


def test_the_outputs_are_of_one_complete_run_on_mnist(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [out for cell in cells for out in cell.outputs]
    assert {out.output_type for out in outputs} == {"stream", "display_data"}
    assert {out.name for out in outputs if out.output_type == "stream"} == {"stdout"}
    text = "".join(printed(notebook).values())
    assert not re.search(r"/(root|home|tmp|work|Users)/|[A-Z]:\\|\x1b", text)
    assert printed(notebook)["load"] == "Dane: MNIST\n"
    epochs = re.search(r"Epoka (\d+)/(\d+)", printed(notebook)["training"])
    (parameters,) = [cell.source for cell in cells if cell.id == "parameters"]
    assert epochs[1] == epochs[2] == re.search(r"EPOCHS = (\d+)", parameters)[1]


def test_cells_that_print_the_same_number_agree(notebook):
    """The errors and accuracies of the scoreboard are those printed above it."""
    stored = {cell_id: decimals(text) for cell_id, text in printed(notebook).items()}
    _, pca, ours = stored["errors"]
    (accuracy,) = stored["classify"]
    assert stored["scoreboard"][:6:2] == [pca, ours, ours]
    assert stored["scoreboard"][3] == accuracy
    assert stored["local-means-errors"][1] == stored["few-errors"][-1] == ours


def test_every_figure_is_stored_once(notebook, lab):
    outputs = [out for cell in code_cells(notebook) for out in cell.outputs if "data" in out]
    shown = [out for out in outputs if "image/png" in out.data]
    assert [out.metadata["image/png"]["alt"] for out in shown] == list(lab.figures)
    assert len({out.data["image/png"] for out in shown}) == len(shown)


def test_folded_cells_have_titles_and_tags_are_few(notebook):
    """JupyterLab folds a cell by one piece of metadata, Colab by another."""
    folded = [cell for cell in notebook.cells if cell.metadata.get("cellView") == "form"]
    assert [cell.id for cell in folded] == FOLDED
    hidden = [c.id for c in notebook.cells if c.metadata.get("jupyter") == {"source_hidden": True}]
    assert hidden == FOLDED
    assert all(cell.source.startswith("# @title ") for cell in folded)
    tags = {cell.id: cell.metadata.tags for cell in notebook.cells if "tags" in cell.metadata}
    assert tags == {"parameters": ["parameters"], "load": ["nbval-ignore-output"]}
    assert not [cell.id for cell in code_cells(notebook) if "nbval" in cell.source.lower()]


def test_links_lead_to_headings(notebook):
    text = "\n".join(texts(notebook).values())
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    links = re.findall(r"\]\(#([^)]+)\)", text)
    targets = {heading.replace(" ", "-") for heading in headings}
    assert len(links) > 9 and {urllib.parse.unquote(link) for link in links} <= targets
    task = re.findall(r"\[(\d)\]\(#(\d)\.", text)
    assert task and all(number == target for number, target in task)


def answers(notebook):
    return [code for text in texts(notebook).values() for code in ANSWER.findall(text)]


@pytest.mark.parametrize("index", range(6))
def test_an_answer_runs(lab, notebook, tmp_path, index):
    def train(model, x, y, epochs, **options):
        lab.notebook_train(model, x[:1_000], y[:1_000], epochs=1, **options)

    code = answers(notebook)[index]
    figures = dict(lab.figures)
    cell = SimpleNamespace(source=code, id="answer")
    text = run_cell(cell, lab.space | {"train": train}, tmp_path)
    assert text or lab.figures.keys() - figures.keys(), "it shows nothing"
    lab.figures.clear()
    lab.figures.update(figures)


def test_every_exercise_has_its_answer(notebook):
    text = "\n".join(texts(notebook).values())
    exercises = re.findall(r"^> \*\*(?:Sprawdź sam|Dla zabawy)", text, re.M)
    assert len(answers(notebook)) == len(exercises) == text.count("<details>") == 6


# By cell of text: all its numbers in its order, as expressions of the notebook's variables, of
# stored, the decimals that a cell printed, and of sizes, those of the parts of MNIST.
NUMBERS = {
    "title": "x_train[0].size, *range(2, 10)",
    "data-intro": "sum(sizes), *images.shape[1:]",
    "split-intro": "len(x_valid), 0, images.max(), images.max(), *x_train.shape[1:]",
    "architecture-intro": "-codes_train.min().round(), codes_train.max().round(), n, hidden.units",
    "decoder-intro": "dec.get_layer('pixels').bias_initializer.value",
    "build-text": "784, hidden.units, 784, 1, hidden.units, hidden.count_params()",
    "loss-text": "0, 1, 2",
    "reconstructions-text": "8, round(stored['classify'][0])",
    "local-means-intro": "nearest.shape[1]",
    "few-intro": "*list(networks)[:2],",
    "few-text": "100, 100, 100 * 784, dec.count_params(), round(sizes[0] * 784 / 1e6)",
    "unseen-intro": "0, 4",
    "unseen-text": "0, 4",
    "latent-text": "4, 9",
    "atlas-text": "4",
    "random-intro": "len(random_codes), 1, 1",
    "random-text": "*[3] * 8, 1",
    "classifier-intro": "1",
    "confusion-intro": "0.5",
    "scoreboard-intro": "knn.n_neighbors, knn.n_neighbors",
    "scoreboard-text": "round(stored['scoreboard'][7])",
    "conclusions": "*stored['errors'][::-1], *stored['classify'], stored['scoreboard'][7]",
    "dimensions-intro": "len(x_part), 4",
    "dimensions-text": "16, 5",
}
WORDS = {"stu": 100, "Stu": 100, "Sto": 100, "tysiącu": 1_000}


def numbers(text):
    """Return the numbers in a text, but those in formulas, links, headings and code."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$", "", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)|`[^`]*`|\$[^$]*\$|^#.*$", "", text, flags=re.M)
    found = re.findall(rf"\b(?:{'|'.join(WORDS)})\b|\d+(?: \d{{3}})*(?:,\d+)?", text)
    return [float(WORDS.get(word) or word.replace(" ", "").replace(",", ".")) for word in found]


@pytest.fixture
def stored(notebook):
    """By cell: the decimals that are stored."""
    return {
        cell_id: [float(number.replace(",", ".")) for number in decimals(text)]
        for cell_id, text in printed(notebook).items()
    }


def test_each_number_in_the_text_is_that_of_the_code_or_of_the_stored_run(lab, notebook, stored):
    sizes = [int(size) for size in re.findall(r"\((\d+),", printed(notebook)["split"])]
    names = {"stored": stored, "sizes": sizes, "hidden": lab.enc.layers[1]}
    found = {cell_id: numbers(text) for cell_id, text in texts(notebook).items()}
    assert {cell_id for cell_id in found if found[cell_id]} == NUMBERS.keys()
    for cell_id, expressions in NUMBERS.items():
        values = eval(f"[{expressions}]", lab.space | names)
        assert found[cell_id] == pytest.approx(values), cell_id


def test_what_the_text_says_of_the_stored_run(stored):
    mean, pca, ours = stored["errors"]
    assert ours < 0.75 * pca < 0.75 * mean
    training, validation = stored["training"]
    assert training < validation < 1.1 * training, "a little better than new images"
    assert stored["few-errors"][1] > mean, "new images are drawn worse than by the mean"
    known, unseen, _, mean_of_low = stored["unseen-errors"]
    assert known < unseen < mean_of_low < 1.15 * unseen


def test_the_readmes_table_and_picture_are_the_notebooks(notebook):
    outputs = {cell.id: cell.outputs for cell in code_cells(notebook)}
    lines = printed(notebook)["scoreboard"].splitlines()
    table = README[README.index("| reprezentacja") :].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in row.strip("| ").split("|")] for row in table]
    assert [rows[0], *rows[2:]] == [re.split("  +", line) for line in lines]
    (picture,) = [out.data["image/png"] for out in outputs["atlas"]]
    assert base64.b64decode(picture) == (ROOT / "tests" / "atlas.png").read_bytes()


def test_what_the_readme_says_of_ten_seeds_was_measured():
    measured = (ROOT / "tests" / "benchmark.md").read_text(encoding="utf-8")
    part = measured.split("## `benchmark.py --seeds 10`")[1].split("\n## ")[0]
    (mean,) = [line.strip("| ").split(" | ") for line in part.splitlines() if "średnia" in line]
    error = f"{float(mean[2].replace(',', '.')):.4f}".replace(".", ",")
    sentence = f"Dziesięć ziaren (0–9) dało średnio MSE {error} i dokładność {mean[3]}"
    assert sentence in README


def commands():
    """Return the README's shell commands, each a list of words."""
    blocks = re.findall(r"```sh\n(.*?)\n```", README, re.S)
    return [shlex.split(command) for block in blocks for command in block.split(" && ")]


def test_the_readmes_commands_read_files_that_exist_or_were_written_before():
    written = set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split())
    for program, *words in commands():
        files = [word for word in words if re.fullmatch(r"[\w./-]+\.(ipynb|py|txt)", word)]
        if program.endswith("papermill"):
            written.add(files.pop())
        assert written.issuperset(files), f"nobody wrote {files}"
    programs = {command[0] for command in commands()}
    assert {".venv/bin/papermill", ".venv/bin/jupyter", ".venv/bin/python"} <= programs


def test_pins_cover_the_imports_and_the_readmes_programs(notebook):
    sources = [cell.source for cell in code_cells(notebook)] + answers(notebook)
    sources += [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    modules = {"papermill", "jupyterlab", "nbconvert", "ruff"}  # run by name
    for source in sources:
        for node in ast.walk(ast.parse(source.replace("%matplotlib inline", ""))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                modules.add(node.module.split(".")[0])
    packages = packages_distributions()
    own = {path.stem for path in (ROOT / "tests").glob("*.py")} | {"tests"}
    needed = {packages[name][0].lower() for name in modules - own - sys.stdlib_module_names}
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0] for line in lines if "==" in line}
    assert needed <= pinned, f"not pinned: {needed - pinned}"
    assert pinned - needed <= {"ipykernel", "nbval"}, "pinned, but nobody uses it"


def test_the_exported_page_keeps_what_readers_need(notebook, tmp_path):
    """Alternative texts, folded cells, the language; the style for phones and paper."""
    (command,) = [words for words in commands() if "--config" in words]
    options = ["--output-dir", tmp_path, NOTEBOOK.name]
    subprocess.run([sys.executable, "-m", *command[1:-1], *options], cwd=ROOT, check=True)
    page = (tmp_path / NOTEBOOK.with_suffix(".html").name).read_text(encoding="utf-8")
    assert '<html lang="pl">' in page
    outputs = [out for cell in code_cells(notebook) for out in cell.outputs if "data" in out]
    for alt in [out.metadata["image/png"]["alt"] for out in outputs if "image/png" in out.data]:
        assert page.count(f'alt="{alt}"') == 1
    titles = [cell.source.split("\n")[0] for cell in code_cells(notebook) if cell.id in FOLDED]
    for title in titles:
        assert f"<details><summary>{title.removeprefix('# @title ')}</summary>" in page
    folded = re.findall(r"<summary>Odpowiedź</summary>\s*<div class=\"highlight\">", page)
    assert len(folded) == len(answers(notebook)), "an answer stands open on the page"
    style = (ROOT / "tests" / "export" / "style.css").read_text(encoding="utf-8")
    assert style in page and "@media print" in style and "max-width: 760px" in style
