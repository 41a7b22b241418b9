"""Measure the notebook and its training against the plain recipe, with the notebook's own functions.

Run by hand, on Linux, on a machine that does nothing else, with MNIST: .venv/bin/python tests/benchmark.py. The plain
recipe is Adam 1e-3, batch 256, 40 epochs, the rest as Keras has it. tests/benchmark.md keeps the tables, in Polish.
"""
import argparse
import ast
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from types import SimpleNamespace
from unittest.mock import MagicMock

import nbformat
import numpy as np

from conftest import NOTEBOOK, plain_python

WHOLE_CELLS = {"silence", "imports", "parameters", "style", "read-npz", "stand-in", "load-data", "load", "split"}
PARTS = {  # what can be left out of the recipe: (cell, text, replacement)
    "start dekodera": ("decoder", """,
                     kernel_initializer="he_normal",
                     bias_initializer=keras.initializers.RandomUniform(-1, 1)),""", "),"),
    "rozgrzewka": ("learning-rate", "warmup = steps // 50", "warmup = 0"),
    "średni obraz": ("autoencoder", """    dec.get_layer("pixels").bias.assign(images.mean(axis=0).ravel())\n""", ""),
}
FORMS = {"MSE (walidacja)": ".5f", "MSE (test)": ".5f", "dokładność (walidacja)": ".1%", "dokładność (test)": ".1%",
         "martwe piksele": "g", "sekundy": ".1f", "szczyt pamięci, MiB": ".0f"}


def load_lab(without=(), parameters=()):
    """Return the notebook's functions and data; parts of the recipe can be left out and parameters set."""
    space = {"__name__": "lab", "get_ipython": MagicMock(), "print": MagicMock()}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        for place, text, replacement in [PARTS[name] for name in without if PARTS[name][0] == cell.id]:
            assert cell.source.count(text) == 1, f"{place} has no {text!r}"
            cell.source = cell.source.replace(text, replacement)
        tree = ast.parse(plain_python(cell) if cell.cell_type == "code" else "")
        if cell.id not in WHOLE_CELLS:
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        exec(compile(tree, cell.id, "exec"), space)
        if cell.id == "parameters":
            assert dict(parameters).keys() <= space.keys(), f"no such parameter: {parameters}"
            space.update(parameters)
    if space["data_name"] != "MNIST":
        raise SystemExit("No MNIST: set MNIST_NPZ.")
    return SimpleNamespace(space=space, **space)


def measure(lab, seed=0, plain=False):
    """Train once, as section 4 does or with the plain recipe; return the measurements by their names in FORMS."""
    lab.space["SEED"], start = seed, time.monotonic()
    enc, dec, ae_model = lab.autoencoder(lab.CODE_SIZE, lab.x_train)
    if plain:
        ae_model.compile(optimizer=lab.keras.optimizers.Adam(1e-3), loss="mse")
        ae_model.fit(lab.x_train, lab.x_train, batch_size=256, epochs=40, verbose=0,
                     validation_data=(lab.x_valid, lab.x_valid))
    else:
        lab.train(ae_model, lab.x_train, lab.EPOCHS)
    found = {"sekundy": time.monotonic() - start}
    classifier = lab.train_classifier(enc.predict(lab.x_train, batch_size=1_000, verbose=0), lab.y_train)
    for part, x, y in [("walidacja", lab.x_valid, lab.y_valid), ("test", lab.x_test, lab.y_test)]:
        codes = enc.predict(x, batch_size=1_000, verbose=0)
        decoded = dec.predict(codes, batch_size=1_000, verbose=0)
        found[f"MSE ({part})"] = lab.image_mse(decoded, x).mean()
        found[f"dokładność ({part})"] = classifier.evaluate(codes, y, verbose=0)[1]
    found["martwe piksele"] = np.sum((decoded.max(axis=0) == 0) & (lab.x_train.mean(axis=0) >= 0.05))
    return found | {"szczyt pamięci, MiB": getrusage(RUSAGE_SELF).ru_maxrss / 2 ** 10}


def measure_alone(what):
    """Measure the plain recipe, the notebook's or the whole notebook in a process of its own."""
    if what != "notatnik":
        return measure(load_lab(PARTS), plain=True) if what == "zwykły" else measure(load_lab())
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", NOTEBOOK],
                   stdout=subprocess.DEVNULL, check=True)
    return {"sekundy": time.monotonic() - start, "szczyt pamięci, MiB": getrusage(RUSAGE_CHILDREN).ru_maxrss / 2 ** 10}


def print_row(*cells):
    print("|", re.sub(r"(?<=\d)\.(?=\d)", ",", " | ".join(cells)), "|", flush=True)


def compare():
    """Print the table of the plain recipe (seed 0), the notebook's (seed 0) and the whole notebook, with ratios."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone:
        plain, *others = alone.map(measure_alone, ["zwykły", "przepis", "notatnik"])
    print_row("", "zwykły trening", "trening notatnika", "stosunek", "cały notatnik", "stosunek")
    print_row(*["---"] * 6)
    for name, form in FORMS.items():
        pairs = [(f"{other[name]:{form}}", f"{other[name] / plain[name]:.2f}" if plain[name] else "")
                 if name in other else ("", "") for other in others]
        print_row(name, f"{plain[name]:{form}}", *sum(pairs, ()))


def repeat(count, lab):
    """Print the notebook's recipe seed by seed, then the mean and the standard deviation."""
    names = list(FORMS)[:5]
    print_row("ziarno", *names)
    print_row(*["---"] * 6)
    results = []
    for seed in range(count):
        results.append(measure(lab, seed))
        print_row(str(seed), *(f"{results[-1][name]:{FORMS[name]}}" for name in names))
    for title, summary in [("średnia", np.mean), ("odchylenie standardowe", partial(np.std, ddof=1))][:2 * count - 2]:
        cells = [f"{summary([result[name] for result in results]):{FORMS[name]}}" for name in names]
        print_row(title, *(cells if summary is np.mean else [cell.replace("%", " p.p.") for cell in cells]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, metavar="N", help="instead: the notebook's recipe with seeds 0 to N-1")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="with --seeds: a parameter")
    parser.add_argument("--without", action="append", default=[], choices=PARTS, help="with --seeds: left out")
    options = parser.parse_args()
    parameters = {name: ast.literal_eval(value) for name, value in (text.split("=") for text in options.set)}
    repeat(options.seeds, load_lab(options.without, parameters)) if options.seeds else compare()
