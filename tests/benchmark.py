"""Measure the notebook and its training against the plain recipe, with the notebook's own functions.

Run by hand, on a machine that does nothing else: .venv/bin/python tests/benchmark.py [--seeds N [--set NAME=VALUE]].
It asserts nothing. The plain recipe is Adam 1e-3, batch 256, 40 epochs, everything else as Keras has it. The tables are
in Polish, as the README shows them.
"""
import argparse
import ast
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from conftest import NOTEBOOK, ROOT, load_lab

PLAIN = {"batch_size": 256, "learning_rate": 1e-3, "epochs": 40}


def load_lab_and_data():
    """Return the notebook's functions together with its data: the cells load and split are executed."""
    lab = load_lab(nbformat.read(NOTEBOOK, as_version=4), whole_cells={"load", "split"})
    if lab.network_fault:
        raise SystemExit("No MNIST: set MNIST_NPZ.")
    lab.autoencoder.__globals__["mean_image"] = lab.x_train.mean(axis=0)
    return lab


def multiplication_rate(lab, size=4096, repeats=5):
    """Return how many floating point operations a second a large float32 matrix product makes here."""
    matrix = lab.tensorflow.random.normal((size, size))
    lab.ops.matmul(matrix, matrix).numpy()
    start = time.monotonic()
    for _ in range(repeats):
        lab.ops.matmul(matrix, matrix).numpy()
    return repeats * 2 * size ** 3 / (time.monotonic() - start)


def operations_per_epoch(lab, model):
    """Return the floating point operations of the matrix products of one epoch, forwards and backwards."""
    kernels = [weight.shape[0] * weight.shape[1] for weight in model.trainable_weights if len(weight.shape) == 2]
    return 2 * len(lab.x_train) * (3 * sum(kernels) - kernels[0])  # nothing needs the gradient of the input


def train_plain(lab, seed, callbacks):
    """Train as PLAIN says, from Keras's own first weights; return what the notebook's train returns."""
    enc, dec, ae_model = lab.autoencoder(lab.CODE_SIZE, seed)
    for variable in ae_model.trainable_variables:
        first = lab.keras.initializers.GlorotUniform(seed) if len(variable.shape) == 2 else lab.ops.zeros
        variable.assign(first(variable.shape))
    ae_model.compile(optimizer=lab.keras.optimizers.Adam(PLAIN["learning_rate"]), loss="mse")
    history = ae_model.fit(lab.x_train, lab.x_train, batch_size=PLAIN["batch_size"], epochs=PLAIN["epochs"],
                           verbose=0, validation_data=(lab.x_valid, lab.x_valid), callbacks=callbacks)
    return enc, dec, ae_model, history


def measure(lab, recipe, seed):
    """Train once and return the measurements as a dictionary."""
    ends = []

    def epoch_ended(epoch, logs):
        ends.append(time.monotonic() - start)
        print(f"\r{recipe}, seed {seed}: epoch {epoch + 1}, validation MSE {logs['val_loss']:.4f} ",
              end="", file=sys.stderr, flush=True)

    watch = [lab.keras.callbacks.LambdaCallback(on_epoch_end=epoch_ended)]
    rate = multiplication_rate(lab)
    start = time.monotonic()
    if recipe == "plain":
        enc, dec, ae_model, history = train_plain(lab, seed, watch)
    else:
        enc, dec, ae_model, history = lab.train(lab.CODE_SIZE, lab.EPOCHS, seed, watch)
    seconds = time.monotonic() - start
    rate = (rate + multiplication_rate(lab)) / 2
    print(file=sys.stderr)
    codes_train, codes_valid, codes_test = (lab.predict(enc, x) for x in (lab.x_train, lab.x_valid, lab.x_test))
    classifier = lab.train_classifier(codes_train, lab.y_train)
    epoch = statistics.median(end - begin for begin, end in zip(ends, ends[1:]))
    return {
        "seed": seed, "seconds": seconds, "ends": ends, "valid_losses": history.history["val_loss"], "epoch": epoch,
        "share": operations_per_epoch(lab, ae_model) / epoch / rate,
        "valid_mse": float(lab.image_mse(lab.predict(dec, codes_valid), lab.x_valid).mean()),
        "test_mse": float(lab.image_mse(lab.predict(dec, codes_test), lab.x_test).mean()),
        "valid_accuracy": lab.accuracy(classifier, codes_valid, lab.y_valid),
        "test_accuracy": lab.accuracy(classifier, codes_test, lab.y_test),
        "dead": int(lab.find_dead_pixels(dec, codes_train).sum()), "memory": peak_memory(),
    }


def execute_notebook():
    """Execute the notebook in a fresh kernel; return seconds by cell, from the dearest, and the kernel's peak in MiB."""
    notebook, starts, seconds = nbformat.read(NOTEBOOK, as_version=4), {}, {}
    last = nbformat.v4.new_code_cell(
        "import resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 10)")
    notebook.cells.append(last)
    client = NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    client.on_cell_start = lambda cell, cell_index: starts.update({cell.id: time.monotonic()})
    client.on_cell_executed = lambda cell, **_: seconds.update({cell.id: time.monotonic() - starts[cell.id]})
    start = time.monotonic()
    client.execute()
    seconds.pop(last.id)
    whole = time.monotonic() - start
    return whole, dict(sorted(seconds.items(), key=lambda item: -item[1])), float(last.outputs[0].text)


def peak_memory():
    """Return this process's peak resident size in MiB, or nan where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2 ** 20 if sys.platform == "darwin" else 2 ** 10)


def in_new_process(recipe, seed):
    """Measure in a process of its own, so that compilation and memory are not shared."""
    run = subprocess.run([sys.executable, __file__, "--measure", recipe, str(seed)], stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def processor():
    try:
        return re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def comma(text):
    """Write the numbers in a text as Polish does."""
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text)


def print_row(row):
    print("|", comma(" | ".join(row)), "|", flush=True)


def print_table(header, rows):
    for row in [header, ["---"] * len(header), *rows]:
        print_row(row)


def compare():
    """Print the table of the plain recipe against the notebook's, and what the whole notebook costs."""
    plain, ours = in_new_process("plain", 0), in_new_process("notebook", 0)
    whole, cells, memory = execute_notebook()
    goal = plain["valid_losses"][-1]
    reached = next((end for end, loss in zip(ours["ends"], ours["valid_losses"]) if loss <= goal), float("nan"))
    lines = [
        ("sekundy na epokę (mediana)", "epoch", ".2f"), ("część szybkości mnożenia macierzy", "share", ".0%"),
        ("cały trening, sekundy", "seconds", ".1f"), ("MSE (walidacja)", "valid_mse", ".4f"),
        ("MSE (test)", "test_mse", ".4f"), ("dokładność na kodach (test)", "test_accuracy", ".1%"),
        ("martwe piksele", "dead", "d"), ("szczyt pamięci, MiB", "memory", ".0f"),
    ]
    rows = [[title, f"{plain[key]:{form}}", f"{ours[key]:{form}}",
             f"{ours[key] / plain[key]:.2f}" if plain[key] else "-"] for title, key, form in lines]
    rows.insert(3, [f"sekundy do MSE {goal:.4f} (walidacja)", f"{plain['ends'][-1]:.1f}", f"{reached:.1f}",
                    f"{reached / plain['ends'][-1]:.2f}"])
    rows.append(["zwykły trening, a obok cały notatnik, sekundy", f"{plain['seconds']:.1f}", f"{whole:.1f}",
                 f"{whole / plain['seconds']:.2f}"])
    rows.append(["szczyt pamięci całego notatnika, MiB", "-", f"{memory:.0f}", "-"])
    print(f"\n{date.today()}, {processor()}, ziarno 0 (cały notatnik: ziarno {load_lab(nbformat.read(NOTEBOOK, as_version=4)).SEED})\n")
    print_table(["", "zwykły", "notatnik", "stosunek"], rows)
    dearest = "; ".join(f"`{name}` {seconds:.1f}" for name, seconds in list(cells.items())[:6])
    print(f"\nNajdroższe komórki notatnika, sekundy: {comma(dearest)}")


def repeat(count, parameters):
    """Print the notebook's recipe seed by seed, with other values of its parameters."""
    lab = load_lab_and_data()
    for name, value in parameters.items():
        if name not in lab.train.__globals__:
            raise SystemExit(f"The notebook has no parameter {name}.")
        lab.train.__globals__[name] = value
        setattr(lab, name, value)
    keys = {"valid_mse": ".5f", "test_mse": ".5f", "valid_accuracy": ".1%", "test_accuracy": ".1%", "dead": "g"}
    results = []
    print(f"\n{date.today()}, {processor()}", *(f"{name}={value}" for name, value in parameters.items()), "\n")
    print_table(["ziarno", "MSE (walidacja)", "MSE (test)", "dokładność (walidacja)", "dokładność (test)",
                 "martwe piksele"], [])
    for seed in range(count):
        results.append(measure(lab, "notebook", seed))
        print_row([str(seed), *(f"{results[-1][key]:{form}}" for key, form in keys.items())])
    worst = {key: (min if "accuracy" in key else max) for key in keys}
    for name, summary in [("średnia", lambda key, values: statistics.mean(values)),
                          ("najgorszy wynik", lambda key, values: worst[key](values)),
                          ("odchylenie standardowe", lambda key, values: statistics.stdev(values))]:
        if count > 1:
            row = [f"{summary(key, [result[key] for result in results]):{form}}" for key, form in keys.items()]
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
    parser.add_argument("--measure", nargs=2, metavar=("RECIPE", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(load_lab_and_data(), options.measure[0], int(options.measure[1]))))
    elif options.seeds is not None:
        if options.seeds < 1:
            parser.error("--seeds must be at least 1")
        repeat(options.seeds, dict(options.set))
    else:
        compare()
