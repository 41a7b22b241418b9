"""Measure the notebook's training with the notebook's own cells, seed by seed, on MNIST.

    .venv/bin/python tests/benchmark.py --seeds 10           the notebook's recipe
    .venv/bin/python tests/benchmark.py --seeds 3 --plain    Adam 1e-3, batch 256, 40 epochs, and
                                                             Keras's default initialisers

Prints a table in Markdown and in Polish; tests/benchmark.md holds what it printed.
"""

import argparse
import datetime
import sys
import tempfile

import nbformat
import numpy as np
from conftest import NOTEBOOK, run_cell
from sklearn.neighbors import KNeighborsClassifier

ONCE = ["silence", "imports", "parameters", "helpers", "load-data", "load", "split", "encoder"]
ONCE += ["decoder", "train", "progress", "classifier"]
EACH = ["build", "training", "predictions", "classifier-training", "classify"]
FORMS = {
    "MSE (walidacja)": ".5f",
    "MSE (test)": ".5f",
    "dokładność (test)": ".1%",
    "25 sąsiadów (test)": ".1%",
    "martwe piksele": ".1f",
}


def use_plain_recipe(lab):
    """Replace the notebook's decoder and training by those of the plain recipe."""
    keras, layers, train = lab["keras"], lab["layers"], lab["train"]

    def plain_decoder(n):
        hidden = [layers.Dense(200, activation="relu") for _ in range(2)]
        pixels = layers.Dense(28 * 28, activation="relu")
        return keras.Sequential([keras.Input((n,)), *hidden, pixels, layers.Reshape((28, 28, 1))])

    def plain_train(model, x, y, epochs, loss, **options):
        if loss != "mse":  # the classifier stays
            return train(model, x, y, epochs, loss, **options)
        model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
        model.fit(x, y, batch_size=256, epochs=40, **options)

    lab.update(decoder=plain_decoder, train=plain_train)


def measure(lab):
    """Return the measurements of a trained lab, in the order of FORMS."""
    valid = lab["ae_model"].predict_on_batch(lab["x_valid"])
    knn = KNeighborsClassifier(25).fit(lab["codes_train"], lab["y_train"])
    matters = lab["x_train"].mean(axis=0) >= 0.05  # pixels that are dark often enough
    return [
        np.mean((valid - lab["x_valid"]) ** 2),
        np.mean((lab["reconstructions"] - lab["x_test"]) ** 2),
        np.mean(lab["predicted"] == lab["y_test"]),
        knn.score(lab["codes_test"], lab["y_test"]),
        np.sum((lab["reconstructions"].max(axis=0) == 0) & matters),
    ]


def print_row(name, values):
    cells = [f"{value:{form}}".replace(".", ",") for value, form in zip(values, FORMS.values())]
    print("|", " | ".join([name, *cells]), "|", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, metavar="N", required=True)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    cells = {cell.id: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    lab = {"get_ipython": lambda: argparse.Namespace(run_line_magic=lambda *words: None)}
    for cell_id in ONCE:
        run_cell(cells[cell_id], lab, tempfile.gettempdir())
    if lab["data_name"] != "MNIST":
        raise SystemExit("No MNIST: set MNIST_NPZ.")
    if options.plain:
        use_plain_recipe(lab)
    print(f"## `benchmark.py {' '.join(sys.argv[1:])}`\n\n{datetime.date.today()}\n")
    print("| ziarno |", " | ".join(FORMS), "|")
    print("| --- " * (1 + len(FORMS)) + "|")
    results = []
    for seed in range(options.seeds):
        lab["SEED"] = seed
        for cell_id in EACH:
            run_cell(cells[cell_id], lab, tempfile.gettempdir())
        results.append(measure(lab))
        print_row(str(seed), results[-1])
    print_row("średnia", np.mean(results, axis=0))
    print_row("odchylenie standardowe", np.std(results, axis=0, ddof=1))


if __name__ == "__main__":
    main()
