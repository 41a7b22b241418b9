"""Can every section be run twice in one kernel, with the same outputs?"""
import re

import nbformat
from nbclient import NotebookClient

from conftest import ROOT


def without_counts(cell):
    """Return a cell's outputs without execution counts and display ids."""
    return [{key: value for key, value in out.items() if key not in ("execution_count", "transient")}
            for out in cell.outputs]


def test_sections_run_twice(notebook):
    """A short training is enough: what counts is that nothing carries over from the first run."""
    sections = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search("^## ", cell.source, flags=re.M):
            sections.append([])
        if cell.cell_type == "code":
            sections[-1].append(cell)
    assert len(sections) == 11
    twice = [nbformat.from_dict(dict(cell)) for section in sections for cell in section + section]
    for cell in twice:
        cell.source = re.sub(r"^EPOCHS = \d+", "EPOCHS = 12", cell.source, flags=re.M)
        cell.source = re.sub(r"^DIMENSIONS = \(.*\)", "DIMENSIONS = (2, 4)", cell.source, flags=re.M)
        cell.id = nbformat.v4.new_code_cell().id
    NotebookClient(nbformat.v4.new_notebook(cells=twice), timeout=600, kernel_name="python3", coalesce_streams=True,
                   resources={"metadata": {"path": str(ROOT)}}).execute()
    start = 0
    for section in sections:
        size = len(section)
        for offset, cell in enumerate(section):
            first, second = twice[start + offset], twice[start + size + offset]
            assert without_counts(first) == without_counts(second), f"cell {cell.id} differs when run again"
        start += 2 * size
