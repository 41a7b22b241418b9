"""Is the stored notebook one complete, clean run, and does a reader find the core of the task in it?"""
import ast
import re
import urllib.parse

import pytest

from conftest import NOTEBOOK, is_blank, pictures, plain_python

IGNORED_OUTPUT = {"load", "training", "dead-pixels", "linear", "unseen", "unseen-errors", "edge", "classify",
                  "random-counts", "scoreboard", "cost", "conclusions", "dimensions", "page"}
SECTIONS = ["1. Przygotowanie", "2. Dane", "3. Architektura", "4. Trening", "5. Rekonstrukcje",
            "6. Przestrzeń latentna", "7. Losowe kody", "8. Klasyfikacja", "9. Wnioski", "Dla dociekliwych"]
VISIBLE_LINES, LINES_BEFORE_A_PICTURE, LINES_OF_A_CELL, COLUMNS = 350, 32, 22, 100
FUNCTIONS_AND_CLASSES, IMPORT_LINES, BYTES = 30, 20, 5_000_000
# What a reader who opens no folded cell sees, in this order. A comment may stand between compile and fit.
CORE = [
    r"keras\.datasets\.mnist\.load_data\(\)",
    r"enc = encoder\(n\)\n", r"dec = decoder\(n\)\n", r"= Sequential\(\[enc, dec\]",
    r"\.compile\([^()]*\)[^\n]*\n( *#[^\n]*\n)*[^\n]*\.fit\(images, images\b",
    r"\.scatter\(codes_test\[:, 0\], codes_test\[:, 1\], c=y_test\b",
    r"random_codes = rng\.uniform\(", r"dec\.predict\(random_codes\b", r"train_classifier\(codes_train, y_train\)",
]


@pytest.fixture(scope="module")
def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def text(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def is_folded(cell):
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def lines(cell):
    """Return a cell's lines that are neither blank nor its title."""
    return [line for line in cell.source.splitlines() if line.strip() and not line.startswith("# @title")]


def test_outputs_are_of_one_clean_run_on_mnist(code_cells):
    """In order; no error, no writing to stderr, no value of a last line that nobody asked for, no machine's paths."""
    assert [cell.execution_count for cell in code_cells] == list(range(1, len(code_cells) + 1))
    outputs = [(cell.id, out) for cell in code_cells for out in cell.outputs]
    assert [cell_id for cell_id, out in outputs if out.output_type not in ("stream", "display_data")
            or out.get("name") == "stderr" or "WARNING" in out.get("text", "")] == []
    shown = "\n".join(out.get("text", "") + str({kind: data for kind, data in out.get("data", {}).items()
                                                 if not kind.startswith("image/")}) for _, out in outputs)
    assert re.findall(r"/(?:root|home|tmp|work|Users|opt|var)/|[A-Z]:\\\\", shown) == []
    assert [out.text for cell_id, out in outputs if cell_id == "load"] == ["Dane: MNIST\n"]


def test_every_claim_is_in_the_outputs(code_cells):
    for cell in code_cells:
        printed = "".join(out.get("text", "") for out in cell.outputs)
        for claim in re.findall(r'^check\(f?"([^"]+)"', cell.source, flags=re.M):
            assert f"OK: {claim}\n" in printed, cell.id


def test_tags(notebook):
    assert {cell.id: cell.metadata.tags for cell in notebook.cells if cell.metadata.get("tags")} == {
        "parameters": ["parameters"], **{cell_id: ["nbval-ignore-output"] for cell_id in IGNORED_OUTPUT}}
    assert not [cell.id for cell in notebook.cells if re.search("(?i)nbval_|pytest_validate", cell.source)]


def test_figures(code_cells):
    """Where a visible cell calls show or show_images, there is one figure, with ink and alternative text."""
    for cell in code_cells:
        calls = 0 if is_folded(cell) else len(re.findall(r"^show(?:_images)?\(", cell.source, flags=re.M))
        found = pictures(cell.outputs)
        assert len(found) == calls <= 1 and not any(map(is_blank, found)), cell.id
        for out in cell.outputs:
            assert "image/png" not in out.get("data", {}) or len(out.metadata["image/png"]["alt"]) >= 30, cell.id


def test_sections_and_links(notebook, text):
    """Sections follow the lab, each begins its cell, and the links to them work."""
    assert re.findall("^## (.+)$", text, flags=re.M) == SECTIONS
    assert [cell.id for cell in notebook.cells if cell.cell_type == "markdown"
            and re.search("\n##+ ", cell.source) and not re.match("##+ ", cell.source)] == []
    anchors = {title.strip().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, flags=re.M)}
    links = {urllib.parse.unquote(link) for link in re.findall(r"\]\(#([^)]+)\)", text)}
    assert links and links <= anchors, links - anchors
    assert all(map(str.isascii, links)), "JupyterLab does not follow links with Polish letters"


def test_folded_cells_have_a_title_and_visible_ones_none(code_cells):
    """JupyterLab folds a cell by one piece of metadata, Colab by another, and shows the title."""
    for cell in code_cells:
        folded = is_folded(cell)
        assert (cell.metadata.get("cellView") == "form") == ("@title" in cell.source) == folded, cell.id
        assert not folded or re.match(r"# @title [A-ZĄĆĘŁŃÓŚŹŻ]\S* ?[^\n]{3,}[^.\n]\n", cell.source), cell.id


def test_the_core_is_in_sight_and_in_order(code_cells):
    source = "\n".join(cell.source for cell in code_cells if not is_folded(cell))
    places = [re.search(part, source) for part in CORE]
    assert [part for part, place in zip(CORE, places) if not place] == []
    assert [place.start() for place in places] == sorted(place.start() for place in places)


def test_notebook_is_small(code_cells):
    visible = [cell for cell in code_cells if not is_folded(cell)]
    first = next(index for index, cell in enumerate(visible) if pictures(cell.outputs))
    assert sum(len(lines(cell)) for cell in visible) <= VISIBLE_LINES
    assert sum(len(lines(cell)) for cell in visible[:first]) <= LINES_BEFORE_A_PICTURE
    assert [cell.id for cell in visible if len(lines(cell)) > LINES_OF_A_CELL] == []
    assert [line for cell in code_cells if cell.id != "page-source" for line in cell.source.splitlines()
            if len(line) > COLUMNS] == []
    nodes = [node for cell in code_cells for node in ast.walk(ast.parse(plain_python(cell)))]
    assert sum(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in nodes) <= FUNCTIONS_AND_CLASSES
    assert sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in nodes) <= IMPORT_LINES
    assert NOTEBOOK.stat().st_size < BYTES
