"""Measure the notebook's training against the plain recipe, with the notebook's own functions.

Run by hand, on a machine that does nothing else: .venv/bin/python tests/benchmark.py [--seeds N].
It asserts nothing. The plain recipe is Adam 1e-3, batch 256, 40 epochs, everything else as Keras has it.
"""
import argparse
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

from conftest import NOTEBOOK, load_lab

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


def print_table(header, rows):
    for row in [header, ["---"] * len(header), *rows]:
        print("|", " | ".join(row), "|", flush=True)


def compare():
    """Print the table of the plain recipe against the notebook's."""
    plain, ours = in_new_process("plain", 0), in_new_process("notebook", 0)
    goal = plain["valid_losses"][-1]
    reached = next((end for end, loss in zip(ours["ends"], ours["valid_losses"]) if loss <= goal), float("nan"))
    lines = [
        ("seconds an epoch (median)", "epoch", ".2f"), ("share of the matrix-product rate", "share", ".0%"),
        ("whole training, seconds", "seconds", ".1f"), ("validation MSE", "valid_mse", ".4f"),
        ("test MSE", "test_mse", ".4f"), ("accuracy on test codes", "test_accuracy", ".1%"),
        ("dead pixels", "dead", "d"), ("peak memory, MiB", "memory", ".0f"),
    ]
    rows = [[title, f"{plain[key]:{form}}", f"{ours[key]:{form}}",
             f"{ours[key] / plain[key]:.2f}" if plain[key] else "-"] for title, key, form in lines]
    rows.insert(3, [f"seconds to validation MSE {goal:.4f}", f"{plain['ends'][-1]:.1f}", f"{reached:.1f}",
                    f"{reached / plain['ends'][-1]:.2f}"])
    print(f"\n{date.today()}, {processor()}, seed 0\n")
    print_table(["", "plain", "notebook", "ratio"], rows)


def repeat(count):
    """Print the notebook's recipe seed by seed."""
    lab = load_lab_and_data()
    keys = {"valid_mse": ".5f", "test_mse": ".5f", "valid_accuracy": ".3f", "test_accuracy": ".3f", "dead": "g", "seconds": ".1f"}
    results = []
    print(f"\n{date.today()}, {processor()}\n")
    print_table(["seed", "validation MSE", "test MSE", "validation accuracy", "test accuracy", "dead pixels", "seconds"], [])
    for seed in range(count):
        results.append(measure(lab, "notebook", seed))
        print("|", " | ".join([str(seed), *(f"{results[-1][key]:{form}}" for key, form in keys.items())]), "|", flush=True)
    worst = {key: (min if "accuracy" in key else max) for key in keys}
    for name, summary in [("mean", lambda key, values: statistics.mean(values)),
                          ("worst", lambda key, values: worst[key](values)),
                          ("standard deviation", lambda key, values: statistics.stdev(values))]:
        if count > 1:
            cells = [f"{summary(key, [result[key] for result in results]):{form}}" for key, form in keys.items()]
            print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, metavar="N", help="instead: the notebook's recipe with seeds 0 to N-1")
    parser.add_argument("--measure", nargs=2, metavar=("RECIPE", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(load_lab_and_data(), options.measure[0], int(options.measure[1]))))
    elif options.seeds is not None:
        if options.seeds < 1:
            parser.error("--seeds must be at least 1")
        repeat(options.seeds)
    else:
        compare()
