"""Is the stored notebook one complete, clean run, and does a reader find the core of the task in it?"""
import ast
import re
import urllib.parse

import pytest

from conftest import NOTEBOOK, noise, pictures, plain_python

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


@pytest.fixture
def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_folded(cell):
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def lines(cell):
    """Return a cell's lines that are neither blank nor its title."""
    return [line for line in cell.source.splitlines() if line.strip() and not line.startswith("# @title")]


def test_outputs_are_of_one_clean_run_on_mnist(code_cells, notebook):
    """In order; no error, no warning, no value of a last line that nobody asked for, no machine's paths; all claims."""
    assert [cell.execution_count for cell in code_cells] == list(range(1, len(code_cells) + 1))
    for cell in code_cells:
        assert noise(cell.outputs) == [], cell.id
        assert {out.output_type for out in cell.outputs} <= {"stream", "display_data"}, cell.id
        shown = [str({**out, "data": {**out.get("data", {}), "image/png": ""}}) for out in cell.outputs]
        assert re.findall(r"/(?:root|home|tmp|work|Users|opt|var)/|[A-Z]:\\\\", " ".join(shown)) == [], cell.id
        printed = "".join(out.get("text", "") for out in cell.outputs)
        assert cell.id != "load" or printed == "Dane: MNIST\n"
        for claim in re.findall(r'^check\(f?"([^"]+)"', cell.source, flags=re.M):
            assert f"OK: {claim}\n" in printed, cell.id
    assert {cell.id: cell.metadata.tags for cell in notebook.cells if cell.metadata.get("tags")} == {
        "parameters": ["parameters"], **{cell_id: ["nbval-ignore-output"] for cell_id in IGNORED_OUTPUT}}
    assert not [cell.id for cell in notebook.cells if re.search("(?i)nbval_|pytest_validate", cell.source)]


def test_sections_and_links(notebook):
    """Sections follow the lab, each begins its cell, and the links to them work."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    headings = [heading for source in sources for heading in re.findall("^(#+) (.+)$", source, flags=re.M)]
    assert [title for marks, title in headings if marks == "##"] == SECTIONS
    assert [source[:60] for source in sources if re.search("\n##+ ", source) and source[:2] != "##"] == []
    links = {urllib.parse.unquote(link) for source in sources for link in re.findall(r"\]\(#([^)]+)\)", source)}
    assert links and links <= {title.strip().replace(" ", "-") for _, title in headings}
    assert all(map(str.isascii, links)), "JupyterLab does not follow links with Polish letters"


def test_folded_cells_have_titles_and_the_core_is_in_sight(code_cells):
    """JupyterLab folds a cell by one piece of metadata, Colab by another, and shows the title."""
    for cell in code_cells:
        folded = is_folded(cell)
        assert (cell.metadata.get("cellView") == "form") == ("@title" in cell.source) == folded, cell.id
        assert not folded or re.match(r"# @title [A-ZĄĆĘŁŃÓŚŹŻ]\S* ?[^\n]{3,}[^.\n]\n", cell.source), cell.id
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
    assert max(len(line) for cell in code_cells if cell.id != "page-source" for line in lines(cell)) <= COLUMNS
    nodes = [node for cell in code_cells for node in ast.walk(ast.parse(plain_python(cell)))]
    assert sum(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in nodes) <= FUNCTIONS_AND_CLASSES
    assert sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in nodes) <= IMPORT_LINES
    assert NOTEBOOK.stat().st_size < BYTES
