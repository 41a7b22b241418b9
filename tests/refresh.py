"""Execute the notebook whole, on MNIST, and store what follows from it.

.venv/bin/python tests/refresh.py           the notebook's outputs, its seed's numbers in
                                            seeds.json; README's table, picture, sentence
.venv/bin/python tests/refresh.py --seeds   the numbers of seeds 0 to 9 that seeds.json lacks,
                                            and README's sentence; an hour for all ten
"""

import argparse
import base64
import json
import re
import statistics

import nbformat
from conftest import NOTEBOOK, ROOT
from nbconvert.preprocessors import CoalesceStreamsPreprocessor, ExecutePreprocessor
from regression import SEEDS, numbers, text_of, value

README = ROOT / "README.md"


def execute(notebook):
    """Execute the notebook in a fresh kernel; return its outputs by cell."""
    executor = ExecutePreprocessor(timeout=None, record_timing=False)
    executor.preprocess(notebook, {"metadata": {"path": str(ROOT)}})
    CoalesceStreamsPreprocessor().preprocess(notebook, {})  # one line of progress
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    if text_of(outputs["load"]) != "Dane: MNIST\n":
        raise SystemExit("No MNIST: set MNIST_NPZ. Nothing was changed.")
    return outputs


def seed_line(notebook):
    """Return the cell with the parameters and the match of its line of the seed."""
    (cell,) = [cell for cell in notebook.cells if cell.id == "parameters"]
    return cell, re.search(r"^SEED = (\d+)$", cell.source, re.M)


def stored_seeds():
    return json.loads(SEEDS.read_text(encoding="utf-8")) if SEEDS.exists() else {}


def store_seed(seed, outputs):
    """Write the numbers that a seed's run printed, by cell, to seeds.json."""
    found = {cell_id: numbers(text_of(outs)) for cell_id, outs in outputs.items()}
    seeds = stored_seeds() | {str(seed): {cell_id: ns for cell_id, ns in found.items() if ns}}
    rows = [f"{json.dumps(name)}: {json.dumps(seeds[name])}" for name in sorted(seeds, key=int)]
    SEEDS.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


def replace_in_readme(pattern, text):
    readme = README.read_text(encoding="utf-8")
    assert len(re.findall(pattern, readme)) == 1, f"README lacks {pattern}"
    README.write_text(re.sub(pattern, lambda match: text, readme), encoding="utf-8")


def readme_table(scoreboard):
    """Return the scoreboard, as the notebook prints it, as a table in Markdown."""
    head, *rows = [re.split("  +", line) for line in scoreboard.splitlines()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def readme_sentence(seeds):
    """Return what ten seeds gave, on the mean and from the least to the greatest."""
    errors = [value(by_cell["errors"][2]) for by_cell in seeds.values()]
    shares = [value(by_cell["classify"][0]) for by_cell in seeds.values()]
    text = (
        f"Dziesięć ziaren (0–9) dało MSE od {min(errors):.4f} do {max(errors):.4f}, średnio "
        f"{statistics.mean(errors):.4f}, i dokładność od {min(shares):.1f}% do "
        f"{max(shares):.1f}%, średnio {statistics.mean(shares):.1f}%"
    )
    return text.replace(".", ",") + "."


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", action="store_true")
    if parser.parse_args().seeds:
        for seed in range(10):
            if str(seed) not in stored_seeds():
                notebook = nbformat.read(NOTEBOOK, as_version=4)
                cell, match = seed_line(notebook)
                cell.source = cell.source.replace(match[0], f"SEED = {seed}")
                store_seed(seed, execute(notebook))
    else:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        outputs = execute(notebook)
        NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        store_seed(seed_line(notebook)[1][1], outputs)
        (figure,) = outputs["atlas"]
        (ROOT / "tests" / "atlas.png").write_bytes(base64.b64decode(figure.data["image/png"]))
        replace_in_readme(
            r"(?s)(?<=\n\n)\| reprezentacja .*?(?=\n\n)",
            readme_table(text_of(outputs["scoreboard"])),
        )
    replace_in_readme(r"Dziesięć ziaren \(0–9\) .*?%\.", readme_sentence(stored_seeds()))


if __name__ == "__main__":
    main()
