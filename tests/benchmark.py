"""Measure the notebook and its training against the plain recipe, with the notebook's own functions.

Run by hand, on Linux, on a machine that does nothing else, with MNIST: .venv/bin/python tests/benchmark.py
[--seeds N [--set NAME=VALUE] [--without PART]]. It asserts nothing. The plain recipe is Adam 1e-3, batch 256,
40 epochs, everything else as Keras has it. The tables are in Polish; tests/benchmark.md keeps the last ones.
"""
import argparse
import ast
import json
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import nbformat
import numpy as np
from nbclient import NotebookClient

from conftest import NOTEBOOK, ROOT, plain_python

WHOLE_CELLS = {"silence", "imports", "parameters", "style", "read-npz", "stand-in", "load-data", "load", "split"}
PARTS = {  # what can be left out of the recipe: (cell, text, replacement)
    "start dekodera": ("decoder", """, name="hidden_1",
                     kernel_initializer="he_normal",
                     bias_initializer=keras.initializers.RandomUniform(-1, 1)),""", """, name="hidden_1"),"""),
    "rozgrzewka": ("learning-rate", "warmup = steps // 50", "warmup = 0"),
    "średni obraz": ("autoencoder", """    dec.get_layer("pixels").bias.assign(images.mean(axis=0).ravel())\n""", ""),
}


def load_lab(without=(), parameters=()):
    """Return the notebook's functions and data; parts of the recipe can be left out and parameters set."""
    space = {"__name__": "lab", "get_ipython": MagicMock()}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for place, text, replacement in (PARTS[name] for name in without):
            if place == cell.id:
                assert cell.source.count(text) == 1, f"{cell.id} has no {text!r}"
                cell.source = cell.source.replace(text, replacement)
        tree = ast.parse(plain_python(cell))
        if cell.id not in WHOLE_CELLS:
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        exec(compile(tree, cell.id, "exec"), space)
        if cell.id == "parameters":
            assert dict(parameters).keys() <= space.keys(), f"no such parameter: {parameters}"
            space.update(parameters)
    if space["data_name"] != "MNIST":
        raise SystemExit("No MNIST: set MNIST_NPZ.")
    return SimpleNamespace(space=space, **space)


def train_plain(lab, ae_model, callbacks):
    """Train the plain recipe; load_lab has left out the parts of the notebook's."""
    ae_model.compile(optimizer=lab.keras.optimizers.Adam(1e-3), loss="mse")
    ae_model.fit(lab.x_train, lab.x_train, batch_size=256, epochs=40, verbose=0,
                 validation_data=(lab.x_valid, lab.x_valid), callbacks=callbacks)


def train_notebook(lab, ae_model, callbacks):
    """Train as section 4 does."""
    lab.train(ae_model, lab.x_train, lab.EPOCHS, callbacks=callbacks)


def measure(lab, recipe, seed):
    """Train once and return the measurements as a dictionary."""
    ends = []
    lab.space["SEED"] = seed
    watch = lab.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.monotonic() - start))
    start = time.monotonic()
    enc, dec, ae_model = lab.autoencoder(lab.CODE_SIZE, lab.x_train)
    {"plain": train_plain, "notebook": train_notebook}[recipe](lab, ae_model, [watch])
    seconds = time.monotonic() - start
    codes = {part: enc.predict(lab.space[f"x_{part}"], batch_size=1_000, verbose=0)
             for part in ("train", "valid", "test")}
    decoded = {part: dec.predict(codes[part], batch_size=1_000, verbose=0) for part in ("valid", "test")}
    classifier = lab.train_classifier(codes["train"], lab.y_train)
    dead = (decoded["test"].max(axis=0) == 0) & (lab.x_train.mean(axis=0) >= 0.05)
    row = {"seconds": seconds, "epoch": statistics.median(end - begin for begin, end in zip(ends, ends[1:])),
           "dead": int(np.sum(dead)), "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 10}
    for part in decoded:
        row[f"{part}_mse"] = float(lab.image_mse(decoded[part], lab.space[f"x_{part}"]).mean())
        row[f"{part}_accuracy"] = classifier.evaluate(codes[part], lab.space[f"y_{part}"], verbose=0)[1]
    return row


def execute_notebook():
    """Execute the notebook in a fresh kernel; return all seconds, those of each cell and the kernel's peak in MiB."""
    notebook, starts, seconds = nbformat.read(NOTEBOOK, as_version=4), {}, {}
    last = nbformat.v4.new_code_cell(
        "import resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 10)")
    notebook.cells.append(last)
    client = NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    client.on_cell_start = lambda cell, cell_index: starts.update({cell.id: time.monotonic()})
    client.on_cell_executed = lambda cell, **_: seconds.update({cell.id: time.monotonic() - starts[cell.id]})
    start = time.monotonic()
    client.execute()
    whole = time.monotonic() - start
    seconds.pop(last.id)
    return whole, dict(sorted(seconds.items(), key=lambda item: -item[1])), float(last.outputs[0].text)


def in_new_process(recipe):
    """Measure in a process of its own, so that compilation and memory are not shared."""
    run = subprocess.run([sys.executable, __file__, "--measure", recipe], stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def print_heading(*words):
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"\n{date.today()},", found[1] if found else platform.machine(), *words, "\n")


def print_row(row):
    print("|", re.sub(r"(?<=\d)\.(?=\d)", ",", " | ".join(row)), "|", flush=True)


def print_head(header):
    print_row(header)
    print_row(["---"] * len(header))


def compare():
    """Print the table of the plain recipe against the notebook's, and what the whole notebook costs."""
    plain, ours = in_new_process("plain"), in_new_process("notebook")
    whole, cells, memory = execute_notebook()
    lines = [("sekundy na epokę (mediana)", "epoch", ".2f"), ("cały trening, sekundy", "seconds", ".1f"),
             ("MSE (walidacja)", "valid_mse", ".4f"), ("MSE (test)", "test_mse", ".4f"),
             ("dokładność na kodach (test)", "test_accuracy", ".1%"), ("martwe piksele", "dead", "d"),
             ("szczyt pamięci, MiB", "memory", ".0f")]
    rows = [[title, f"{plain[key]:{form}}", f"{ours[key]:{form}}",
             f"{ours[key] / plain[key]:.2f}" if plain[key] else "-"] for title, key, form in lines]
    for title, own, form in [("zwykły trening, a obok cały notatnik, sekundy", whole, ".1f"),
                             ("szczyt pamięci zwykłego treningu i całego notatnika, MiB", memory, ".0f")]:
        other = plain["seconds" if "sekundy" in title else "memory"]
        rows.append([title, f"{other:{form}}", f"{own:{form}}", f"{own / other:.2f}"])
    print_heading("ziarno 0")
    print_head(["", "zwykły", "notatnik", "stosunek"])
    for row in rows:
        print_row(row)
    dearest = ", ".join(f"{name} {seconds:.0f}" for name, seconds in list(cells.items())[:6])
    print(f"\nNajdroższe komórki notatnika, sekundy: {dearest}")


def repeat(count, parameters, without):
    """Print the notebook's recipe seed by seed."""
    lab = load_lab(without, parameters)
    keys = {"valid_mse": ".5f", "test_mse": ".5f", "valid_accuracy": ".1%", "test_accuracy": ".1%", "dead": "g"}
    print_heading(*(f"{name}={value}" for name, value in parameters), *(f"bez: {name}" for name in without))
    print_head(["ziarno", "MSE (walidacja)", "MSE (test)", "dokładność (walidacja)", "dokładność (test)",
                "martwe piksele"])
    results = []
    for seed in range(count):
        results.append(measure(lab, "notebook", seed))
        print_row([str(seed), *(f"{results[-1][key]:{form}}" for key, form in keys.items())])
    if count > 1:
        for name, summary in [("średnia", statistics.mean), ("odchylenie standardowe", statistics.stdev)]:
            row = [f"{summary(result[key] for result in results):{form}}" for key, form in keys.items()]
            print_row([name, *(text.replace("%", " p.p.") if name.startswith("odch") else text for text in row)])


def parameter(text):
    """Return (NAME, value) for NAME=VALUE, where VALUE is a Python literal."""
    name, value = text.split("=")
    return name, ast.literal_eval(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, metavar="N", help="instead: the notebook's recipe with seeds 0 to N-1")
    parser.add_argument("--set", action="append", default=[], type=parameter, metavar="NAME=VALUE",
                        help="with --seeds: another value of a parameter")
    parser.add_argument("--without", action="append", default=[], choices=PARTS,
                        help="with --seeds: leave a part of the recipe out")
    parser.add_argument("--measure", choices=["plain", "notebook"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        left_out = list(PARTS) if options.measure == "plain" else ()
        print(json.dumps(measure(load_lab(left_out), options.measure, 0)))
    elif options.seeds is not None:
        repeat(options.seeds, options.set, options.without)
    else:
        compare()
