"""Is the exported page the notebook, also for a reader who hears it? With the README's own nbconvert command."""
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
    commands = re.findall(r"\.venv/bin/jupyter nbconvert (--config .*? )lab7\.ipynb", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(commands) == 2 and len(set(commands)) == 1
    folder = tmp_path_factory.mktemp("page")
    subprocess.run([sys.executable, "-m", "nbconvert", *shlex.split(commands[0]), NOTEBOOK.name, "--output-dir", folder],
                   cwd=ROOT, check=True)
    return (folder / f"{NOTEBOOK.stem}.html").read_text(encoding="utf-8")


def test_every_figure_has_its_description(page, notebook):
    described = [out.metadata["image/png"]["alt"] for cell in notebook.cells for out in cell.get("outputs", [])
                 if "image/png" in out.get("data", {})]
    assert len(described) > 10 and all(len(text) > 20 for text in described)
    images = re.findall(r"<img [^>]*?alt=\"(.*?)\"[^>]*? src=\"data:image/png", page)
    assert list(map(unescape, images)) == described and page.count("<img ") == len(described)


def test_page_is_polish_and_its_long_source_is_folded(page):
    assert '<html lang="pl">' in page
    folded = re.findall(r"<details>(.*?)</details>", page, flags=re.S)
    assert len(folded) == 1 and "PAGE" in folded[0] and "&lt;!doctype html&gt;" in folded[0]


def test_page_looks_like_jupyterlab(page):
    assert "jp-Notebook" in page and "jp-RenderedImage" in page and page.count("jp-InputArea ") > 30
