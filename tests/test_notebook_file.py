"""Is the stored notebook one complete, clean run?"""
import re
import urllib.parse

import pytest

from conftest import NOTEBOOK, figures, is_blank

IGNORED_OUTPUT = {"load", "training", "gauges", "scoreboard", "conclusions", "dimensions", "page"}
FIGURES = {"examples", "loss-curves", "reconstructions", "digit-mse", "latent-plane", "random-grid", "random-plane",
           "strange", "confusion", "regions", "atlas", "random-answers", "hardest", "path", "dimensions-plot"}
SECTIONS = ["1. Przygotowanie", "2. Dane", "3. Architektura", "4. Trening", "5. Rekonstrukcje",
            "6. Przestrzeń latentna", "7. Losowe kody", "8. Klasyfikacja", "9. Wnioski", "Dla dociekliwych"]


@pytest.fixture(scope="module")
def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_execution_counts(code_cells):
    assert [cell.execution_count for cell in code_cells] == list(range(1, len(code_cells) + 1))


def test_no_error_and_no_stderr(code_cells):
    bad = [cell.id for cell in code_cells for out in cell.outputs
           if out.output_type == "error" or out.get("name") == "stderr" or "WARNING" in out.get("text", "")]
    assert bad == []


def test_no_cell_ends_with_a_stray_value(code_cells):
    """What a reader sees is displayed or printed on purpose, never the value of a last line."""
    assert [cell.id for cell in code_cells for out in cell.outputs if out.output_type == "execute_result"] == []


def test_tags(notebook):
    assert {cell.id: cell.metadata.tags for cell in notebook.cells if cell.metadata.get("tags")} == {
        cell_id: ["nbval-ignore-output"] for cell_id in IGNORED_OUTPUT}
    assert not [cell.id for cell in notebook.cells if re.search("(?i)nbval_|pytest_validate", cell.source)]


def test_figures(code_cells):
    stored = {cell.id: figures(cell.outputs) for cell in code_cells}
    assert {cell_id for cell_id, pictures in stored.items() if pictures} == FIGURES
    assert [cell_id for cell_id, pictures in stored.items() if any(map(is_blank, pictures))] == []


def test_every_figure_has_alternative_text(code_cells):
    for cell in code_cells:
        for out in cell.outputs:
            if "image/png" in out.get("data", {}):
                assert len(out.metadata["image/png"]["alt"]) > 20, cell.id


def test_links_resolve(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    anchors = {title.strip().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, flags=re.M)}
    links = {urllib.parse.unquote(link) for link in re.findall(r"\]\(#([^)]+)\)", text)}
    assert links and links <= anchors, links - anchors
    assert all(map(str.isascii, links)), "JupyterLab does not follow links with Polish letters"


def test_outputs_name_no_machine(code_cells):
    text = "\n".join(str({k: v for k, v in out.get("data", {}).items() if not k.startswith("image/")}) + out.get("text", "")
                     for cell in code_cells for out in cell.outputs)
    assert re.findall(r"/(?:root|home|tmp|work|Users|opt|var)/|[A-Z]:\\\\", text) == []


def test_stored_outputs_are_of_mnist(code_cells):
    load = next(cell for cell in code_cells if cell.id == "load")
    assert [out.text for out in load.outputs] == ["Dane wczytane.\n"]


def test_size_and_kernel(notebook):
    assert NOTEBOOK.stat().st_size < 5_200_000
    assert notebook.metadata.kernelspec.name == "python3"


def test_sections_follow_the_lab(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall("^## (.+)$", text, flags=re.M) == SECTIONS


def test_a_section_begins_its_cell(notebook):
    """Nobody who jumps to a section lands in the middle of the last one."""
    inside = [cell.id for cell in notebook.cells if cell.cell_type == "markdown" and re.search("\n##+ ", cell.source)
              and not re.match("##+ ", cell.source)]
    assert inside == []


def test_cells_are_short(code_cells):
    lengths = {cell.id: len([line for line in cell.source.splitlines() if line.strip()]) for cell in code_cells
               if cell.id != "page-source"}
    assert {cell_id: n for cell_id, n in lengths.items() if n > 25} == {}


def test_lines_fit_the_window(code_cells):
    assert [line for cell in code_cells for line in cell.source.splitlines() if len(line) > 100] == []


def test_claims_stand_beside_what_they_guard(code_cells):
    claims = {cell.id: cell.source.count("check(") for cell in code_cells}
    assert sum(claims.values()) >= 10 and max(claims.values()) <= 5


def test_no_claim_is_silent(code_cells):
    """Every check that the sources hold has printed its line in the stored outputs."""
    for cell in code_cells:
        printed = "".join(out.get("text", "") for out in cell.outputs)
        for claim in re.findall(r'^check\("([^"]+)"', cell.source, flags=re.M):
            assert f"OK: {claim}\n" in printed, cell.id


def test_the_pages_source_is_collapsed(code_cells):
    assert [cell.id for cell in code_cells if cell.metadata.get("jupyter", {}).get("source_hidden")] == ["page-source"]
