"""Are the stored notebook, its text, its export, the README and the pins true?"""

import ast
import base64
import copy
import json
import re
import shlex
import subprocess
import sys
import urllib.parse
from importlib.metadata import packages_distributions
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from conftest import NOTEBOOK, ROOT, run_cell
from nbconvert.preprocessors import ExecutePreprocessor
from refresh import execute, readme_sentence, readme_table
from regression import SEEDS, numbers, text_of, value

README = (ROOT / "README.md").read_text(encoding="utf-8")
TESTS_README = ROOT / "tests" / "README.md"
TEN = json.loads(SEEDS.read_text(encoding="utf-8"))
STORED = nbformat.read(NOTEBOOK, as_version=4)
CODE = [cell for cell in STORED.cells if cell.cell_type == "code"]
TEXTS = {cell.id: cell.source for cell in STORED.cells if cell.cell_type == "markdown"}
(PARAMETERS,) = [cell.source for cell in CODE if cell.id == "parameters"]
PRINTED = {cell.id: text_of(cell.outputs) for cell in CODE}
FOLDED = ["silence", "helpers", "load-data", "progress", "planes"]
ANSWER = re.compile(r"<details>.*?</details>", re.S)
ANSWERS = {
    (cell_id, index): re.search(r"```python\n(.*?)```", answer, re.S)
    for cell_id, text in TEXTS.items()
    for index, answer in enumerate(ANSWER.findall(text))
}


def test_the_outputs_are_of_one_complete_run_on_mnist():
    assert [cell.execution_count for cell in CODE] == list(range(1, len(CODE) + 1))
    outputs = [out for cell in CODE for out in cell.outputs]
    assert {out.output_type for out in outputs} == {"stream", "display_data"}
    assert {out.name for out in outputs if out.output_type == "stream"} == {"stdout"}
    text = "".join(PRINTED.values())
    assert not re.search(r"/(root|home|tmp|work|Users)/|[A-Z]:\\|\x1b", text)
    assert PRINTED["load"] == "Dane: MNIST\n"
    parameters = dict(re.findall(r"^(\w+) = (\S+)", PARAMETERS, re.M))
    assert PRINTED["training"].startswith("Epoka {0}/{0},".format(parameters["EPOCHS"]))
    assert {c: ns for c, text in PRINTED.items() if (ns := numbers(text))} == TEN[
        parameters["SEED"]
    ]


def test_ten_seeds_are_stored():
    assert list(TEN) == [str(seed) for seed in range(10)]
    shapes = {json.dumps({cell: len(found) for cell, found in run.items()}) for run in TEN.values()}
    assert len(shapes) == 1, "a seed lacks numbers: delete tests/seeds.json, refresh.py --seeds"


def test_every_figure_is_stored_once(run):
    outputs = [out for cell in CODE for out in cell.outputs if "image/png" in out.get("data", {})]
    assert [out.metadata["image/png"]["alt"] for out in outputs] == list(run.figures)
    assert len({out.data["image/png"] for out in outputs}) == len(outputs)


def test_folded_cells_have_titles_and_tags_are_few():
    """JupyterLab folds a cell by one piece of metadata, Colab by another."""
    folded = [cell for cell in STORED.cells if cell.metadata.get("cellView") == "form"]
    assert [cell.id for cell in folded] == FOLDED
    hidden = [c.id for c in STORED.cells if c.metadata.get("jupyter") == {"source_hidden": True}]
    assert hidden == FOLDED
    assert all(cell.source.startswith("# @title ") for cell in folded)
    tags = {cell.id: cell.metadata.tags for cell in STORED.cells if "tags" in cell.metadata}
    assert tags == {"parameters": ["parameters"], "load": ["nbval-ignore-output"]}
    assert not [cell.id for cell in CODE if "nbval" in cell.source.lower()]


def test_links_lead_to_headings():
    text = "\n".join(TEXTS.values())
    targets = {found.replace(" ", "-") for found in re.findall(r"^#+ (.+)$", text, re.M)}
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) > 9 and {urllib.parse.unquote(link) for link in links} <= targets
    task = re.findall(r"\[(\d)\]\(#(\d)\.", text)
    assert task and all(number == target for number, target in task)


def test_every_exercise_has_its_answer():
    exercises = [len(re.findall(r"^> \*\*(?:Sprawdź|Dla zab)", t, re.M)) for t in TEXTS.values()]
    assert exercises == [text.count("<details>") for text in TEXTS.values()]
    assert sum(exercises) == len(ANSWERS) > 5


def is_plain(space, words):
    _, bias = space["plain_decoder"](2).layers[0].get_weights()
    return not bias.any() and words[0::3] == ["plain_decoder", "decoder"]


def is_sigmoid(space, words):
    last = space["model"].layers[1].layers[-2]
    return last.activation.__name__ == "sigmoid" and space["model"].loss == "binary_crossentropy"


def is_linear(space, words):
    layers = [layer for layer in space["linear"].layers if layer.get_weights()]
    return [(x.units, x.activation.__name__) for x in layers] == [(2, "linear"), (784, "linear")]


def is_the_way(space, words):
    zero, one = [space["codes_test"][space["ten"][digit]] for digit in (0, 1)]
    return len(space["way"]) == 20 and (space["way"][[0, -1]] == [zero, one]).all()


def is_of_two_sizes(space, words):
    return words[0::2] == ["2", "16"] and space["classifier_size"].input_shape == (None, 16)


def is_z_1_on_the_first_slider(space, words):
    drawn = []
    space["show_images"] = lambda rows, *texts: drawn.append(rows[0])
    space["show_code"](0.5, -0.5)
    code = space["np"].array([[0.5, -0.5]])
    return (drawn[0] == space["dec"].predict_on_batch(code)).all()


# By answer: does it do what its exercise says?
DOES = {
    ("loss-text", 0): is_plain,
    ("loss-text", 1): is_sigmoid,
    ("linear-exercise", 0): is_linear,
    ("path-text", 0): is_the_way,
    ("dimensions-text", 0): is_of_two_sizes,
    ("sliders", 0): is_z_1_on_the_first_slider,
}


@pytest.mark.parametrize("place", DOES)
def test_an_answer_does_what_its_exercise_says(run, tmp_path, monkeypatch, place):
    def train(model, x, y, epochs, **options):
        run.train(model, x[:1_000], y[:1_000], epochs=1, **options)

    monkeypatch.setattr(run, "figures", dict(run.figures))  # the answer's own are no lab's
    space = run.space | {"train": train}
    cell = SimpleNamespace(source=ANSWERS[place][1], id="answer")
    printed = text_of([{"text": run_cell(cell, space, tmp_path)}])
    words = [word for word in printed.split() if not re.match(r"Epoka|\d+/", word)]
    assert DOES[place](space, words)


def test_every_answer_with_code_is_tested():
    assert {place for place, code in ANSWERS.items() if code} == DOES.keys()


# By cell of text: the numbers that it takes from the stored run, in its order (cell, index).
NUMBERS = {
    "local-means-text": [("local-means-errors", 2), ("local-means-errors", 1)],
    "conclusions": [
        *(("errors", 2), ("errors", 1), ("errors", 0), ("classify", 0)),
        *(("local-means-errors", 0), ("labelled-errors", 0)),
    ],
    "labelled-text": [*(("labelled-errors", index) for index in (0, 2, 1)), ("errors", 2)],
    "few-text": [("few-errors", 1), ("errors", 0), ("few-errors", 7), ("few-errors", 8)],
    "unseen-text": [("unseen-errors", index) for index in (1, 5, 3, 2)],
    "dimensions-text": [("dimensions-errors", 0), ("training", 1), ("dimensions-errors", 2)],
}
OTHERS = {"decoder-intro": ["0,1"], "confusion-intro": ["0,5%"], "few-intro": ["0,01"]}


def test_each_number_in_the_text_is_that_of_the_stored_run():
    prose = {cell_id: ANSWER.sub("", text) for cell_id, text in TEXTS.items()}
    prose = {cell_id: re.sub(r"^>.*", "", text, flags=re.M) for cell_id, text in prose.items()}
    found = {cell_id: ns for cell_id, text in prose.items() if (ns := numbers(text))}
    stored = {
        cell_id: [numbers(PRINTED[cell])[index] for cell, index in places]
        for cell_id, places in NUMBERS.items()
    }
    assert found == stored | OTHERS


def test_what_the_text_and_the_readme_say_of_ten_seeds():
    errors, shares = [
        [value(run[cell][index]) for run in TEN.values()]
        for cell, index in [("errors", 2), ("classify", 0)]
    ]
    sentence = (
        f"MSE wynosi od {min(errors):.4f} do {max(errors):.4f}, a dokładność klasyfikatora "
        f"od {min(shares):.1f}% do {max(shares):.1f}%".replace(".", ",")
    )
    assert sentence in TEXTS["scoreboard-text"]
    assert readme_sentence(TEN) in README


def test_the_readmes_table_and_picture_are_the_notebooks():
    assert f"\n\n{readme_table(PRINTED['scoreboard'])}\n\n" in README
    (picture,) = [
        out.data["image/png"] for cell in CODE if cell.id == "atlas" for out in cell.outputs
    ]
    assert base64.b64decode(picture) == (ROOT / "tests" / "atlas.png").read_bytes()


def test_the_readmes_table_has_a_column_for_each_word():
    printed = "name    MSE (test)  share\na, b    0,1         2,0%\nc       –           3,0%\n"
    table = "| name | MSE (test) | share |\n| --- | --- | --- |\n| a, b | 0,1 | 2,0% |\n"
    assert readme_table(printed) == table + "| c | – | 3,0% |"


def test_other_data_than_mnist_are_not_stored(monkeypatch):
    notebook = copy.deepcopy(STORED)
    (load,) = [cell for cell in notebook.cells if cell.id == "load"]
    load.outputs[0].text = "Dane: zastępcze\n"
    monkeypatch.setattr(ExecutePreprocessor, "preprocess", lambda *args: None)
    with pytest.raises(SystemExit, match="Nothing was changed"):
        execute(notebook)


def commands():
    """Return the commands of both READMEs, in blocks and inline, each a list of words."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", TESTS_README)]
    text = "\n".join(texts).replace("\\", "/").replace("/Scripts/", "/bin/")
    blocks = re.findall(r"```(?:sh|powershell)\n(.*?)\n```", text, re.S)
    blocks += re.findall(r"(?<!`)`(\.venv/[^`]+)`", text)
    lines = [line for block in blocks for line in re.split(r" && | \| |\n", block)]
    return [shlex.split(line) for line in lines]


def test_the_readmes_commands_name_programs_files_and_parameters_that_exist():
    for program, *words in commands():
        if program.startswith(".venv/") and not program.endswith("/uv"):
            assert (Path(sys.executable).parent / Path(program).name).exists(), program
        files = [word for word in words if re.fullmatch(r"[\w./-]+\.(ipynb|py|txt)", word)]
        if program.endswith("papermill"):
            assert files.pop() == "lab7.ipynb"  # written for the page
        assert all((ROOT / name).exists() or name == "lab7.ipynb" for name in files), files
        for option, name in zip(words, words[1:]):
            assert option != "-p" or f"{name} = " in PARAMETERS, f"no parameter {name}"
    assert len(commands()) > 15


def test_the_documented_command_collects_every_cell_and_every_test_file():
    assert [".venv/bin/python", "-m", "pytest"] in commands()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    cells = [line for line in lines if line.startswith(NOTEBOOK.name)]
    assert len(cells) == len(CODE)
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("test_*.py")}
    assert {line.partition("::")[0] for line in lines if line.startswith("tests/")} == files


def test_pins_cover_the_imports_and_the_readmes_programs():
    sources = [cell.source for cell in CODE] + [code[1] for code in ANSWERS.values() if code]
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
    named = {line.split("==")[0] for line in lines if re.match(r"[a-z]", line)}
    assert needed <= named, f"not pinned: {needed - named}"
    assert named - needed <= {"ipykernel", "nbval"}, "pinned, but nobody uses it"
    constraints = (ROOT / "tests" / "constraints.txt").read_text(encoding="utf-8")
    loose = [name for name in named if f"{name}==" not in "\n".join(lines) + constraints]
    assert not loose, f"without a version: {loose}"


def test_the_exported_page_keeps_what_readers_need(tmp_path):
    """Alternative texts, folded cells, the language; the style for phones and paper."""
    (command,) = [words for words in commands() if "--config" in words]
    options = ["--output-dir", tmp_path, NOTEBOOK.name]
    subprocess.run([sys.executable, "-m", *command[1:-1], *options], cwd=ROOT, check=True)
    page = (tmp_path / NOTEBOOK.with_suffix(".html").name).read_text(encoding="utf-8")
    assert '<html lang="pl">' in page
    outputs = [out for cell in CODE for out in cell.outputs if "image/png" in out.get("data", {})]
    for alt in [out.metadata["image/png"]["alt"] for out in outputs]:
        assert page.count(f'alt="{alt}"') == 1
    titles = [cell.source.split("\n")[0] for cell in CODE if cell.id in FOLDED]
    for title in titles:
        head = f"<details><summary>{title.removeprefix('# @title ')}</summary>"
        folded = page.partition(head)[2].partition("</details>")[0]
        assert folded.count("<span") > 20, f"{title} is missing or empty on the page"
    answers = re.findall(r"<summary>Odpowiedź</summary>(.*?)</details>", page, re.S)
    assert len(answers) == len(ANSWERS), "an answer stands open on the page"
    with_code = [answer for answer in answers if 'class="highlight"' in answer]
    assert len(with_code) == len(DOES), "the code of an answer stands open on the page"
    style = (ROOT / "tests" / "export" / "style.css").read_text(encoding="utf-8")
    assert style in page and "@media print" in style and "max-width: 760px" in style
