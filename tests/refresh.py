"""Execute the notebook whole, on MNIST, and store what follows from it.

.venv/bin/python tests/refresh.py           the notebook's outputs, its seed's numbers in
                                            seeds.json, what its answers print in answers.json;
                                            README's table, picture, sentence
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
from nbformat.v4 import new_code_cell
from regression import SEEDS, numbers, stored_seeds, ten_seeds, text_of, value

README = ROOT / "README.md"
ANSWERS = SEEDS.with_name("answers.json")


def answers(notebook):
    """Return the code of the answers to the exercises, by cell and place in it."""
    return {
        f"{cell.id}-{index}": code
        for cell in notebook.cells
        for index, code in enumerate(re.findall(r"```python\n(.*?)```", cell.source, re.S))
    }


def execute(notebook):
    """Execute the notebook in a fresh kernel; return its outputs by cell."""
    executor = ExecutePreprocessor(timeout=None, record_timing=False)
    executor.preprocess(notebook, {"metadata": {"path": str(ROOT)}})
    CoalesceStreamsPreprocessor().preprocess(notebook, {})  # one line of progress
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    if text_of(outputs["load"]) != "Dane: MNIST\n":
        raise SystemExit("No MNIST: set MNIST_NPZ. Nothing was changed.")
    return outputs


def parameters(notebook):
    """Return the values in the cell of parameters, by name, as they stand there."""
    (cell,) = [cell for cell in notebook.cells if cell.id == "parameters"]
    return dict(re.findall(r"^(\w+) = (\S+)", cell.source, re.M))


def store_seed(notebook, outputs):
    """Write a run's parameters, and by cell the numbers that it printed, to seeds.json."""
    found = {cell_id: numbers(text_of(outs)) for cell_id, outs in outputs.items()}
    run = {"parameters": parameters(notebook)}
    run["printed"] = {cell_id: ns for cell_id, ns in found.items() if ns}
    seeds = stored_seeds() | {run["parameters"]["SEED"]: run}
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


def errors_and_accuracies(seeds):
    """Return of each seed the autoencoder's error, and the percentage that its codes give."""
    runs = seeds.values()
    return [[value(run[cell][i]) for run in runs] for cell, i in [("errors", 2), ("classify", 0)]]


def readme_sentence(seeds):
    """Return what ten seeds gave, on the mean and from the least to the greatest."""
    errors, shares = errors_and_accuracies(seeds)
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
                for cell in notebook.cells:
                    if cell.id == "parameters":
                        cell.source = re.sub(r"(?m)^SEED = \d+$", f"SEED = {seed}", cell.source)
                store_seed(notebook, execute(notebook))
    else:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        cells, answered = notebook.cells, answers(notebook)
        codes = [new_code_cell(code, id=name) for name, code in answered.items()]
        notebook.cells = cells + codes
        outputs = execute(notebook)
        notebook.cells = cells
        notebook.metadata.pop("widgets", None)  # the sliders of an answer
        printed = {name: text_of(outputs.pop(name)) for name in answered}
        ANSWERS.write_text(json.dumps(printed, indent=0, ensure_ascii=False) + "\n", "utf-8")
        NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        store_seed(notebook, outputs)
        (figure,) = outputs["atlas"]
        (ROOT / "tests" / "atlas.png").write_bytes(base64.b64decode(figure.data["image/png"]))
        replace_in_readme(
            r"(?s)(?<=\n\n)\| reprezentacja .*?(?=\n\n)",
            readme_table(text_of(outputs["scoreboard"])),
        )
    replace_in_readme(r"Dziesięć ziaren \(0–9\) .*?%\.", readme_sentence(ten_seeds()))


if __name__ == "__main__":
    main()
