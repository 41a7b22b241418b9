"""Is the exported page the notebook, also for who hears it, prints it or holds a phone? With the README's command."""
import re
import shlex
import subprocess
import sys
from html import unescape

import pytest

from conftest import NOTEBOOK, ROOT


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page that the README's command writes, from the stored outputs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    options, = re.findall(r"\.venv/bin/jupyter nbconvert (--config .*? )lab7\.ipynb", readme)
    folder = tmp_path_factory.mktemp("page")
    subprocess.run([sys.executable, "-m", "nbconvert", *shlex.split(options), NOTEBOOK.name, "--output-dir", folder],
                   cwd=ROOT, check=True)
    return (folder / f"{NOTEBOOK.stem}.html").read_text(encoding="utf-8")


def test_every_figure_has_its_description(page, notebook):
    described = [out.metadata["image/png"]["alt"] for cell in notebook.cells for out in cell.get("outputs", [])
                 if "image/png" in out.get("data", {})]
    images = re.findall(r"<img [^>]*?alt=\"(.*?)\"[^>]*? src=\"data:image/png", page)
    assert list(map(unescape, images)) == described and page.count("<img ") == len(described) > 10


def test_folded_cells_stay_folded_under_their_titles(page, notebook):
    titles = [cell.source.splitlines()[0].removeprefix("# @title ") for cell in notebook.cells
              if cell.metadata.get("jupyter", {}).get("source_hidden")]
    details = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", page, flags=re.S)
    folded = [(unescape(title), content) for title, content in details if title != "Odpowiedź"]
    assert [title for title, _ in folded] == titles and page.count("<details") == len(details) > len(titles) > 5
    assert all("jp-InputArea" in content and "jp-OutputArea" not in content for _, content in folded)
    assert all(len(content) > 80 and "papermill" in content for title, content in details if title == "Odpowiedź")
    assert sum("&lt;!doctype html&gt;" in content for _, content in folded) == 1


def test_page_is_polish_and_looks_like_jupyterlab(page, notebook):
    assert '<html lang="pl">' in page and "jp-RenderedImage" in page
    assert page.count('class="jp-InputArea jp-Cell-inputArea"') == len(notebook.cells)


def test_paper_tells_where_the_interactive_page_is(page):
    printed = page.split("@media print {")[-1].split("</style>")[0]
    assert "iframe { display: none }" in printed and ".on-paper { display: block }" in printed
    after_frame = page[page.index("</iframe>"):]
    assert re.search(r'<p class="on-paper">[^<]*: lab7_models/eksplorator\.html</p>', after_frame)
    assert page.count('<p class="on-paper">') == 1
