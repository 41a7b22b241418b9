"""Are the stored notebook, its text, its export, the README and the measurements true?"""

import base64
import re
import urllib.parse
from collections import Counter
from html import unescape

import nbformat
import pytest
from conftest import NOTEBOOK, ROOT, pictures

README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED = (ROOT / "tests" / "benchmark.md").read_text(encoding="utf-8")
IGNORED = {  # cells whose text depends on the training
    *("load", "training", "errors", "digit-errors", "local-means-errors", "linear"),
    *("unseen-errors", "classify", "mistakes", "shares", "scoreboard", "same-codes"),
    *("dimensions", "dimensions-plot", "bce", "page"),
}
SECTIONS = [
    "1. Przygotowanie",
    "2. Dane",
    "3. Architektura",
    "4. Trening",
    "5. Rekonstrukcje",
    "6. Przestrzeń latentna",
    "7. Losowe kody",
    "8. Klasyfikacja",
    "9. Wnioski",
    "Dla dociekliwych",
]


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture
def texts(notebook):
    return {cell.id: cell.source for cell in notebook.cells}


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def table_after(text, head):
    """Return the rows of the first Markdown table whose head begins with a cell."""
    lines = text[text.index(f"{head} |") :].split("\n\n")[0].splitlines()
    return [[part.strip() for part in line.strip("| ").split("|")] for line in lines[2:]]


def test_the_outputs_are_of_one_complete_run_on_mnist(notebook):
    """In order, without an error, a warning, a claim that does not hold or a machine's path."""
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert {out.output_type for out in cell.outputs} <= {"stream", "display_data"}, cell.id
        assert {out.name for out in cell.outputs if "name" in out} <= {"stdout"}, cell.id
        printed = "".join(out.get("text", "") for out in cell.outputs)
        assert "NIE:" not in printed, cell.id
        assert cell.source.count("\ncheck(") == printed.count("OK:"), cell.id
        shown = printed + str([out.get("data", {}).get("text/markdown") for out in cell.outputs])
        assert not re.search(r"/(root|home|tmp|work|Users)/|[A-Z]:\\", shown), cell.id
    assert [out.text for cell in cells if cell.id == "load" for out in cell.outputs] == [
        "Dane: MNIST\n"
    ]


def test_every_figure_is_stored(notebook, lab):
    for cell in code_cells(notebook):
        drawn = [thing for thing, _ in lab.shown[cell.id] if hasattr(thing, "axes")]
        assert len(pictures(cell.outputs)) == len(drawn), cell.id


def test_tags_say_which_outputs_nbval_does_not_compare(notebook):
    tags = {cell.id: cell.metadata.tags for cell in notebook.cells if cell.metadata.get("tags")}
    ignored = {cell_id: ["nbval-ignore-output"] for cell_id in IGNORED}
    assert tags == {"parameters": ["parameters"], **ignored}
    assert not [cell.id for cell in code_cells(notebook) if "nbval" in cell.source.lower()]


def test_folded_cells_are_folded_everywhere_and_have_titles(notebook):
    """JupyterLab folds a cell by one piece of metadata, Colab by another."""
    folded = {cell.id for cell in notebook.cells if cell.metadata.get("cellView") == "form"}
    hidden = [cell for cell in notebook.cells if "jupyter" in cell.metadata]
    assert folded == {cell.id for cell in hidden if cell.metadata.jupyter.get("source_hidden")}
    assert folded == {
        *("silence", "helpers", "load-data", "progress", "planes", "page-source", "live-page"),
    }
    titles = [cell.source.splitlines()[0] for cell in notebook.cells if cell.id in folded]
    assert all(title.startswith("# @title ") for title in titles)
    assert len(set(titles)) == len(folded)


def test_the_tasks_own_lines_are_in_sight_in_its_order(notebook):
    visible = [c.source for c in code_cells(notebook) if "cellView" not in c.metadata]
    source = "\n".join(visible)
    lines = [
        "def encoder(n):",
        "def decoder(n):",
        "enc = encoder(n)",
        "dec = decoder(n)",
        "Sequential([enc, dec]",
        "keras.optimizers.Adam(",
        "fit(images, images",
        "scatter(codes_test[:, 0], codes_test[:, 1], c=y_test",
        "random_codes = ",
        "dec.predict(random_codes)",
        "train_classifier(codes_train, y_train)",
    ]
    places = [source.find(line) for line in lines]
    assert -1 not in places, f"not in sight: {lines[places.index(-1)]}"
    assert places == sorted(places)


def test_sections_follow_the_task_and_links_lead_to_them(texts, notebook):
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    headings = [found for text in sources for found in re.findall("^(#+) (.+)$", text, flags=re.M)]
    assert [title for marks, title in headings if marks == "##"] == SECTIONS
    links = {link for text in sources for link in re.findall(r"\]\(#([^)]+)\)", text)}
    targets = {title.replace(" ", "-") for _, title in headings}
    assert links and {urllib.parse.unquote(link) for link in links} <= targets


# By cell: a text, and the expression whose value it must state.
NUMBERS = [
    ("data-intro", r"(\d+)×28 pikseli", "images.shape[2]"),
    ("split-intro", r"Ostatnie (\d+) obrazów", "len(x_valid)"),
    ("architecture-intro", r"obraz 28×28 → 784 → (\d+) →", "HIDDEN_UNITS"),
    ("architecture-intro", r"200 → +(\d+) +→ 200", "CODE_SIZE"),
    ("build-text", r"\(784 \+ 1\) · 200 = (\d+ \d+) ", "enc.layers[1].count_params()"),
    ("local-means-intro", r"średnia (stu) obrazów", "nearest.shape[1]"),
    ("same-codes-intro", r"wśród (\d+) obrazów", "knn.n_neighbors"),
    ("random-grid", r"ze (stu) losowych", "len(random_codes)"),
    ("dimensions-intro", r"\((\d+) epok", "fits['dimensions'][0]['epochs']"),
    ("conclusions-intro", r"na (\d+ \d+) obrazów", "20_000"),
    ("hardest-intro", r"(Dwanaście) obrazów", "len(hardest)"),
]


@pytest.mark.parametrize("cell_id, pattern, expression", NUMBERS)
def test_a_number_in_the_text_is_that_of_the_code(texts, lab, cell_id, pattern, expression):
    (found,) = re.findall(pattern, texts[cell_id])
    words = {"stu": 100, "Dwanaście": 12}
    number = words.get(found) or int(found.replace(" ", ""))
    assert number == eval(expression, lab.variables | {"fits": lab.fits})


def test_the_readmes_table_and_picture_are_the_notebooks(notebook):
    outputs = {cell.id: cell.outputs for cell in code_cells(notebook)}
    (table,) = [out.data["text/markdown"] for out in outputs["scoreboard"]]
    assert table_after(README, "Reprezentacja") == table_after(table, "Reprezentacja")
    (picture,) = [out.data["image/png"] for out in outputs["atlas"]]
    assert base64.b64decode(picture) == (ROOT / "tests" / "atlas.png").read_bytes()


def measured(command):
    """Return the rows of the table that a command of benchmark.py printed, by their first cell."""
    part = MEASURED.split(f"## `benchmark.py {command}`")[1].split("\n## ")[0]
    head = part[part.index("| ziarno") :].splitlines()[0]
    names = [name.strip() for name in head.strip("| ").split("|")][1:]
    rows = {row[0]: dict(zip(names, row[1:])) for row in table_after(part, "| ziarno")}
    return rows


def test_what_ten_seeds_gave_is_what_was_measured(texts):
    rows = measured("--seeds 10")
    means, spread = rows["średnia"], rows["odchylenie standardowe"]
    error = f"{float(means['MSE (test)'].replace(',', '.')):.4f}".replace(".", ",")
    sentence = (
        f"MSE {error} i dokładność {means['dokładność (test)']} "
        f"(odchylenie standardowe {spread['dokładność (test)'].replace('p.p.', 'punktu')}"
    )
    assert sentence in texts["conclusions-text"]
    assert sentence in README
    seeds = [rows[str(seed)] for seed in range(10)]
    assert Counter(row["najlepsza cyfra"][0] for row in seeds) == {"1": 9, "0": 1}
    worst = Counter(row["najgorsza cyfra"][0] for row in seeds)
    assert worst.keys() == {"9", "4", "5"} and worst["5"] == 1
    assert {row["najczęstsza pomyłka"][:5] for row in seeds} == {"4 i 9"}
    shares = [int(re.search(r"\((\d+)%", row["najczęstsza pomyłka"])[1]) for row in seeds]
    assert f"od {min(shares)} do {max(shares)}% wszystkich pomyłek" in texts["mistakes-text"]


def test_the_recipes_table_is_what_was_measured(texts):
    commands = {
        "pełny przepis": "--seeds 10",
        "bez losowych obciążeń i `he_normal`": "--seeds 3 --without start dekodera",
        "bez rozgrzewki": "--seeds 3 --without rozgrzewka",
        "bez średniego obrazu": "--seeds 3 --without średni obraz",
    }
    rows = table_after(texts["recipe-text"], "| Trening")
    assert [row[0] for row in rows] == list(commands)
    for name, *cells in rows:
        found = [measured(commands[name])[str(seed)] for seed in range(3)]
        errors = [row["MSE (walidacja)"] for row in found]
        dead = ", ".join(row["martwe piksele"] for row in found)
        assert cells == [*errors, dead], name


def test_the_export_describes_figures_and_keeps_cells_folded(exported, stored):
    page = exported.read_text(encoding="utf-8")
    described = [
        out.metadata["image/png"]["alt"]
        for cell in code_cells(stored)
        for out in cell.outputs
        if "image/png" in out.get("data", {})
    ]
    images = re.findall(r"<img [^>]*?alt=\"(.*?)\"[^>]*? src=\"data:image/png", page)
    assert [unescape(text) for text in images] == described
    assert page.count("<img ") == len(described) > 10
    folded = [cell for cell in stored.cells if "cellView" in cell.metadata]
    titles = [cell.source.splitlines()[0].removeprefix("# @title ") for cell in folded]
    summaries = re.findall(r"<details><summary>(.*?)</summary>", page)
    assert [unescape(text) for text in summaries if text != "Odpowiedź"] == titles
    assert '<html lang="pl">' in page
    assert page.count('<p class="on-paper">') == 1, "paper does not say where the page is"


def test_ci_runs_the_readmes_test_command():
    (command,) = re.findall(r"^python3 -m venv .* -m pytest$", README, flags=re.M)
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert "- run: bash .ci/run" in workflow


def test_links_of_the_readme_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", README)
    assert [link for link in links if not (ROOT / link).is_file()] == []
    assert len(links) >= 3


def test_requirements_and_constraints_pin_the_same_versions():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and line[0] not in "#-"]
    constraints = (ROOT / "tests" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert "-c tests/constraints.txt" in lines
    assert all("==" in pin for pin in pins) and set(pins) <= set(constraints)
