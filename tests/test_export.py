"""Is the exported page the notebook, also for who hears it or prints it? With the README's command."""
import re
from html import unescape


def test_exported_page(exported, notebook):
    """Figures have their descriptions, folded cells stay folded; paper tells where the interactive page is."""
    page = exported.read_text(encoding="utf-8")
    described = [out.metadata["image/png"]["alt"] for cell in notebook.cells for out in cell.get("outputs", [])
                 if "image/png" in out.get("data", {})]
    images = re.findall(r"<img [^>]*?alt=\"(.*?)\"[^>]*? src=\"data:image/png", page)
    assert list(map(unescape, images)) == described and page.count("<img ") == len(described) > 10
    titles = [cell.source.splitlines()[0].removeprefix("# @title ") for cell in notebook.cells
              if cell.metadata.get("jupyter", {}).get("source_hidden")]
    details = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", page, flags=re.S)
    folded = [(unescape(title), content) for title, content in details if title != "Odpowiedź"]
    assert [title for title, _ in folded] == titles and page.count("<details") == len(details) > len(titles) > 5
    assert all("jp-InputArea" in content and "jp-OutputArea" not in content for _, content in folded)
    assert all(len(content) > 80 and "papermill" in content for title, content in details if title == "Odpowiedź")
    assert sum("&lt;!doctype html&gt;" in content for _, content in folded) == 1
    assert '<html lang="pl">' in page and "jp-RenderedImage" in page  # it looks like JupyterLab
    assert page.count('class="jp-InputArea jp-Cell-inputArea"') == len(notebook.cells)
    on_paper = re.findall(r'</iframe>.*<p class="on-paper">[^<]*: lab7_models/eksplorator\.html</p>', page, flags=re.S)
    assert len(on_paper) == page.count('<p class="on-paper">') == 1
