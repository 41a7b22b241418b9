"""Measure the notebook's training with the notebook's own functions, seed by seed.

Run by hand, with MNIST:

    .venv/bin/python tests/benchmark.py --seeds 10               the notebook's recipe
    .venv/bin/python tests/benchmark.py --seeds 3 --without P    without a part of it
    .venv/bin/python tests/benchmark.py --seeds 3 --plain        Adam 1e-3, batch 256, 40 epochs
    .venv/bin/python tests/benchmark.py --seeds 5 --set LEARNING_RATE=0.002

Tables are Markdown in Polish; tests/benchmark.md holds what this script printed.
"""

import argparse
import ast
import datetime
import platform
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import nbformat
import numpy as np
from IPython.core.inputtransformer2 import TransformerManager
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier

NOTEBOOK = Path(__file__).resolve().parent.parent / "lab7_autoencoder.ipynb"
CELLS = [
    *("silence", "imports", "parameters", "helpers", "load-data", "load", "split", "encoder"),
    *("decoder", "autoencoder", "learning-rate", "train", "train-classifier"),
]
PARTS = {  # what can be left out of the recipe: (cell, text, replacement)
    "start dekodera": (
        "decoder",
        """,
                     kernel_initializer="he_normal",
                     bias_initializer=keras.initializers.RandomUniform(-1, 1)),""",
        "),",
    ),
    "rozgrzewka": ("learning-rate", "warmup = steps // 50", "warmup = 0"),
    "średni obraz": (
        "autoencoder",
        """    dec.get_layer("pixels").bias.assign(images.mean(axis=0).ravel())\n""",
        "",
    ),
}
FORMS = {
    "MSE (walidacja)": ".5f",
    "MSE (test)": ".5f",
    "dokładność (walidacja)": ".1%",
    "dokładność (test)": ".1%",
    "25 sąsiadów (test)": ".1%",
    "martwe piksele": ".0f",
}
NAMES = ["najlepsza cyfra", "najgorsza cyfra", "najczęstsza pomyłka"]


def load_lab(without=(), parameters=()):
    """Return the notebook's functions and data; parts of the recipe left out, parameters set."""
    space = {"get_ipython": MagicMock(), "print": MagicMock()}
    cells = {cell.id: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    for cell_id in CELLS:
        source = cells[cell_id].source
        for name in without:
            place, text, replacement = PARTS[name]
            if place == cell_id:
                assert source.count(text) == 1, f"{place} has no {text!r}"
                source = source.replace(text, replacement)
        exec(compile(TransformerManager().transform_cell(source), cell_id, "exec"), space)
        if cell_id == "parameters":
            assert dict(parameters).keys() <= space.keys(), f"no such parameter: {parameters}"
            space.update(parameters)
    if space["data_name"] != "MNIST":
        raise SystemExit("No MNIST: set MNIST_NPZ.")
    return SimpleNamespace(space=space, **space)


def measure(lab, seed, plain):
    """Train once, as section 4 does or with the plain recipe; return measurements by name."""
    found = {}
    lab.space["SEED"] = seed
    enc, dec, ae_model = lab.autoencoder(lab.CODE_SIZE, lab.x_train)
    if plain:
        ae_model.compile(optimizer=lab.keras.optimizers.Adam(1e-3), loss="mse")
        ae_model.fit(lab.x_train, lab.x_train, batch_size=256, epochs=40)
    else:
        lab.train(ae_model, lab.x_train, lab.EPOCHS, lab.LOSS)
    codes_train = enc.predict(lab.x_train, batch_size=10_000)
    classifier = lab.train_classifier(codes_train, lab.y_train)
    neighbours = KNeighborsClassifier(25).fit(codes_train, lab.y_train)
    for part, x, y in [("walidacja", lab.x_valid, lab.y_valid), ("test", lab.x_test, lab.y_test)]:
        codes = enc.predict(x, batch_size=10_000)
        decoded = dec.predict(codes, batch_size=10_000)
        predicted = classifier.predict(codes, batch_size=10_000).argmax(axis=1)
        found[f"MSE ({part})"] = np.mean((decoded - x) ** 2)
        found[f"dokładność ({part})"] = np.mean(predicted == y)
    # what follows is about the test images, which came last
    found["25 sąsiadów (test)"] = neighbours.score(codes, y)
    matters = lab.x_train.mean(axis=0) >= 0.05  # pixels that are dark often enough
    found["martwe piksele"] = np.sum((decoded.max(axis=0) == 0) & matters)
    found.update(zip(NAMES, mistakes(y, predicted)))
    return found


def mistakes(digits, answers):
    """Return the best and the worst digit with their recall and the pair mistaken most often."""
    counts = confusion_matrix(digits, answers)
    recall = counts.diagonal() / counts.sum(axis=1)
    pairs = np.triu(counts + counts.T, 1)
    first, second = np.unravel_index(pairs.argmax(), pairs.shape)
    return (
        f"{recall.argmax()} ({recall.max():.0%})",
        f"{recall.argmin()} ({recall.min():.0%})",
        f"{first} i {second} ({pairs.max() / pairs.sum():.0%})",
    )


def print_row(*cells):
    """Print a row of a table, with decimal commas."""
    print("|", re.sub(r"(?<=\d)\.(?=\d)", ",", " | ".join(cells)), "|", flush=True)


def repeat(count, lab, plain):
    """Print a recipe's measurements seed by seed, then the mean and the standard deviation."""
    print_row("ziarno", *FORMS, *NAMES)
    print_row(*["---"] * (1 + len(FORMS) + len(NAMES)))
    results = []
    for seed in range(count):
        found = measure(lab, seed, plain)
        results.append(found)
        numbers = [f"{found[name]:{form}}" for name, form in FORMS.items()]
        print_row(str(seed), *numbers, *(found[name] for name in NAMES))
    columns = {name: [result[name] for result in results] for name in FORMS}
    forms = FORMS | {"martwe piksele": ".1f"}
    means = [f"{np.mean(columns[name]):{form}}" for name, form in forms.items()]
    print_row("średnia", *means, *[""] * len(NAMES))
    if count > 1:
        spread = [f"{np.std(columns[name], ddof=1):{form}}" for name, form in forms.items()]
        points = [text.replace("%", " p.p.") for text in spread]
        print_row("odchylenie standardowe", *points, *[""] * len(NAMES))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, metavar="N", required=True)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--without", action="append", default=[], choices=PARTS, metavar="P")
    options = parser.parse_args()
    command = " ".join(["benchmark.py", *sys.argv[1:]])
    print(f"## `{command}`\n\n{datetime.date.today()}, {processor()}\n")
    pairs = [text.split("=") for text in options.set]
    parameters = {name: ast.literal_eval(value) for name, value in pairs}
    without = PARTS if options.plain else options.without
    repeat(options.seeds, load_lab(without, parameters), options.plain)


def processor():
    """Return the processor's name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", info.read_text(), re.M) if info.exists() else []
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
