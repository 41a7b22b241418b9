"""Are the stored notebook, its text, its export, the READMEs and the pins true?"""

import base64
import copy
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest
from conftest import NOTEBOOK, ROOT
from nbconvert.preprocessors import ExecutePreprocessor
from refresh import (
    ANSWERS,
    answers,
    errors_and_accuracies,
    execute,
    parameters,
    readme_sentence,
    readme_table,
)
from regression import numbers, stored_seeds, ten_seeds, text_of

README = (ROOT / "README.md").read_text(encoding="utf-8")
READMES = README + (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
STORED = nbformat.read(NOTEBOOK, as_version=4)
CODE = [cell for cell in STORED.cells if cell.cell_type == "code"]
TEXTS = {cell.id: cell.source for cell in STORED.cells if cell.cell_type == "markdown"}
PROSE = {cell: re.sub(r"(?ms)^```.*?^```", "", text) for cell, text in TEXTS.items()}
PRINTED = {cell.id: text_of(cell.outputs) for cell in CODE}
FIGURES = [out for cell in CODE for out in cell.outputs if "image/png" in out.get("data", {})]
FOLDED = ["silence", "helpers", "load-data", "progress", "planes"]


def test_the_outputs_are_of_one_complete_run_on_mnist():
    counts = [cell.execution_count for cell in CODE]
    assert counts == list(range(1, len(CODE) + 1)), "run tests/refresh.py"
    outputs = [out for cell in CODE for out in cell.outputs]
    assert {out.output_type for out in outputs} == {"stream", "display_data"}
    assert {out.name for out in outputs if out.output_type == "stream"} == {"stdout"}
    text = "".join(PRINTED.values())
    assert not re.search(r"/(root|home|tmp|work|Users)/|[A-Z]:\\|\x1b", text)
    assert PRINTED["load"] == "Dane: MNIST\n"


def test_the_stored_numbers_are_those_that_the_seed_printed_with_these_parameters():
    own, seeds = parameters(STORED), stored_seeds()
    assert own["SEED"] in seeds, "the outputs are of another seed: run tests/refresh.py"
    printed = {cell: ns for cell, text in PRINTED.items() if (ns := numbers(text))}
    assert printed == seeds[own["SEED"]]["printed"]
    for seed, run in seeds.items():
        assert run["parameters"] == own | {"SEED": seed}, (
            "made with other parameters: delete seeds.json, refresh.py --seeds"
        )


def test_every_figure_is_stored_once(run):
    stored = [out.metadata["image/png"]["alt"] for out in FIGURES]
    assert stored == list(run.figures), "run tests/refresh.py"
    assert len({out.data["image/png"] for out in FIGURES}) == len(FIGURES)


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


def test_links_lead_to_headings_and_files():
    text = "\n".join(TEXTS.values())
    targets = {found.replace(" ", "-") for found in re.findall(r"^#+ (.+)$", text, re.M)}
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) > 9 and {urllib.parse.unquote(link) for link in links} <= targets
    task = re.findall(r"\[(\d)\]\(#(\d)\.", text)
    assert task and all(number == target for number, target in task)
    files = re.findall(r"\]\(([^)#:]+)\)", READMES) + re.findall(r"`(tests/[\w./]+)`", READMES)
    assert len(files) > 5 and all((ROOT / name).exists() for name in files)


def test_every_exercise_has_its_answer():
    exercises = [len(re.findall(r"^> \*\*(?:Sprawdź|Dla zab)", t, re.M)) for t in TEXTS.values()]
    assert exercises == [text.count("<details>") for text in TEXTS.values()]
    assert sum(exercises) > 5


# By cell of text: the numbers that it takes from the stored run, in its order (cell, index).
NUMBERS = {
    "loss-text": [("loss-text-0", 0), ("loss-text-0", 1), ("loss-text-1", 0), ("loss-text-0", 1)],
    "linear-exercise": [("linear-exercise-0", 0)],
    "local-means-text": [("local-means-errors", 2), ("local-means-errors", 1)],
    "conclusions": [
        *(("errors", 2), ("errors", 1), ("errors", 0), ("classify", 0)),
        *(("local-means-errors", 0), ("labelled-errors", 0)),
    ],
    "labelled-text": [*(("labelled-errors", index) for index in (0, 2, 1)), ("errors", 2)],
    "few-text": [("few-errors", 1), ("errors", 0), ("few-errors", 7), ("few-errors", 8)],
    "unseen-text": [("unseen-errors", index) for index in (1, 5, 3, 2)],
    "dimensions-text": [
        *(("dimensions-errors", 0), ("training", 1), ("dimensions-errors", 2)),
        *(("dimensions-text-0", 0), ("dimensions-text-0", 1), ("classify", 0)),
    ],
}
OTHERS = {"decoder-intro": ["0,1"], "confusion-intro": ["0,5%"], "few-intro": ["0,01"]}


def test_each_number_in_the_text_is_that_of_the_stored_run():
    prose = {cell: re.sub(r"(?m)^>.*$", "", text) for cell, text in PROSE.items()}
    del prose["scoreboard-text"]  # of ten seeds
    found = {cell: ns for cell, text in prose.items() if (ns := numbers(text))}
    printed = PRINTED | json.loads(ANSWERS.read_text(encoding="utf-8"))
    assert found == OTHERS | {
        cell: [numbers(printed[source])[index] for source, index in places]
        for cell, places in NUMBERS.items()
    }


def test_what_the_text_and_the_readme_say_of_ten_seeds():
    errors, shares = errors_and_accuracies(ten_seeds())
    sentence = (
        f"MSE wynosi od {min(errors):.4f} do {max(errors):.4f}, a dokładność klasyfikatora "
        f"od {min(shares):.1f}% do {max(shares):.1f}%".replace(".", ",")
    )
    assert sentence in TEXTS["scoreboard-text"]
    assert readme_sentence(ten_seeds()) in README


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


def test_names_in_the_text_are_those_of_the_code():
    """Inline code in the notebook's text, and the variables that the READMEs name."""
    code = "\n".join(cell.source for cell in CODE) + "\n".join(answers(STORED).values())
    named = re.findall(r"`([^`]+)`", "\n".join(PROSE.values()))
    named += re.findall(r"\b[A-Z]+_[A-Z_]+\b", READMES)
    names = {name for piece in named for name in re.findall(r"[A-Za-z_]\w+", piece)}
    assert len(names) > 20 and names - set(re.findall(r"\w+", code)) <= {"None"}


def commands():
    """Return the commands of both READMEs, in blocks and inline, each a list of words."""
    text = READMES.replace("\\", "/").replace("/Scripts/", "/bin/")
    blocks = re.findall(r"```(?:sh|powershell)\n(.*?)\n```", text, re.S)
    blocks += re.findall(r"(?<!`)`(\.venv/[^`]+)`", text)
    lines = [line for block in blocks for line in re.split(r" && | \| |\n", block)]
    return [shlex.split(line) for line in lines]


def start_of(words):
    """Return the words that choose what a program does: a module, a script or a command."""
    if words[:1] == ["-m"]:
        return words[:2]
    return words[:1] if re.fullmatch(r"[a-z]+|[\w/]+\.py", words[0]) else []


def test_the_readmes_commands_name_what_exists():
    """Programs, what they are told to do, options, files and the notebook's parameters."""
    helps, written = {}, []
    for program, *words in commands():
        files = [word for word in words if re.fullmatch(r"[\w./-]+\.(ipynb|py|txt)", word)]
        if program.endswith("papermill"):
            written.append(files.pop())
        assert all((ROOT / name).exists() or name in written for name in files), files
        for option, name in zip(words, words[1:]):
            assert option != "-p" or name in parameters(STORED), f"no parameter {name}"
        if program in ("grep", ".venv/bin/uv"):
            continue
        start = start_of(words)
        own = "python" if program in ("py", "python3") else Path(program).name
        file = shutil.which(own, path=Path(sys.executable).parent)
        assert file, f"no program {own}"
        if (own, *start) not in helps:
            shown = subprocess.run([file, *start, "--help"], cwd=ROOT, capture_output=True)
            assert shown.returncode == 0, [program, *words]
            helps[own, *start] = shown.stdout.decode()
        for option in [word for word in words[len(start) :] if word.startswith("-")]:
            assert re.search(rf"(?<![\w-]){option}\b", helps[own, *start]), [program, *words]
    assert len(helps) > 8


def test_the_documented_command_collects_every_cell_and_every_test_file():
    assert [".venv/bin/python", "-m", "pytest"] in commands()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    cells = [line for line in lines if line.startswith(NOTEBOOK.name)]
    assert len(cells) == len(CODE)
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("test_*.py")}
    assert {line.partition("::")[0] for line in lines if line.startswith("tests/")} == files


@pytest.mark.parametrize("step", ["-m venv", "install", "format --check", "check .", "-m pytest"])
def test_each_step_of_ci_can_fail_it(tmp_path, step):
    """With programs in the place of the true ones that do nothing, and fail at one step."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python3", "python", "pip", "ruff"):
        (programs / name).write_text('#!/bin/sh\ncase "$*" in "$STEP"*) exit 9;; esac\n')
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    for failing, code in [(step, 9), ("nothing", 0)]:
        environment = os.environ | {"PATH": path, "STEP": failing}
        assert subprocess.run(["bash", tmp_path / ".ci/run"], env=environment).returncode == code


def test_pins_cover_the_imports_and_the_readmes_programs():
    sources = [*(cell.source for cell in CODE), *answers(STORED).values()]
    sources += [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    modules = {"papermill", "jupyterlab", "nbconvert", "ruff"}  # run by name
    modules |= set(re.findall(r"^ *(?:import|from) (\w+)", "\n".join(sources), re.M))
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


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page that the documented command writes."""
    folder = tmp_path_factory.mktemp("page")
    (command,) = [words for words in commands() if "--config" in words]
    options = ["--output-dir", folder, NOTEBOOK.name]
    subprocess.run([sys.executable, "-m", *command[1:-1], *options], cwd=ROOT, check=True)
    return (folder / NOTEBOOK.with_suffix(".html").name).read_text(encoding="utf-8")


def text_in(page):
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def test_the_page_keeps_alternative_texts_code_and_language(page):
    assert '<html lang="pl">' in page
    for alt in [out.metadata["image/png"]["alt"] for out in FIGURES]:
        assert page.count(f'alt="{alt}"') == 1
    text = text_in(page)
    assert not [cell.id for cell in CODE if cell.source not in text], "lost on the page"


def test_folded_cells_and_answers_are_closed_on_the_page(page):
    closed = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", page, re.S)
    for cell in [cell for cell in CODE if cell.id in FOLDED]:
        title = cell.source.split("\n")[0].removeprefix("# @title ")
        (code,) = [inside for summary, inside in closed if summary == title]
        assert cell.source in text_in(code), f"{title} is not whole"
    inside = [text_in(inside) for summary, inside in closed if summary == "Odpowiedź"]
    assert len(inside) == "".join(TEXTS.values()).count("<details>")
    for code in answers(STORED).values():
        assert any(code.strip() in text for text in inside), f"stands open: {code}"


def test_the_pages_style_is_for_phones_and_paper_too(page):
    style = (ROOT / "tests" / "export" / "style.css").read_text(encoding="utf-8")
    assert style in page and style.count("{") == style.count("}")
    media = dict(re.findall(r"^@media (.*?) {(.*?)^}", style, re.M | re.S))
    assert list(media) == ["only screen and (max-width: 760px)", "print"]
    assert all(rules.count("{") > 3 for rules in media.values())
    for name in set(re.findall(r"\.([a-z][\w-]+)", style)):
        assert f"{name} " in page or f'{name}"' in page, f"nothing on the page is a {name}"
