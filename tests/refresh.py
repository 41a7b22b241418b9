"""Store the outputs of one complete run on MNIST; take the README's table and picture from them.

.venv/bin/python tests/refresh.py
"""

import base64
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from conftest import NOTEBOOK, ROOT
from nbconvert.preprocessors import CoalesceStreamsPreprocessor


def execute():
    """Return the notebook, executed in a fresh kernel by nbconvert."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", NOTEBOOK]
        options = ["--ExecutePreprocessor.record_timing=False", "--output-dir", folder]
        subprocess.run([*command, *options], check=True)
        notebook = nbformat.read(Path(folder) / NOTEBOOK.name, as_version=4)
    return CoalesceStreamsPreprocessor().preprocess(notebook, {})[0]  # one line of progress


def main():
    notebook = execute()
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    if outputs["load"][0].get("text") != "Dane: MNIST\n":
        raise SystemExit("No MNIST: set MNIST_NPZ. Nothing was changed.")
    NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    (figure,) = outputs["atlas"]
    (ROOT / "tests" / "atlas.png").write_bytes(base64.b64decode(figure.data["image/png"]))
    head, *rows = [re.split("  +", line) for line in outputs["scoreboard"][0].text.splitlines()]
    lines = [f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    table = re.compile(r"(?<=\n\n)\| reprezentacja .*?(?=\n\n)", re.S)
    readme.write_text(table.sub("\n".join(lines), text), encoding="utf-8")


if __name__ == "__main__":
    main()
