"""Break the notebook on purpose, one change at a time, and require the suite to notice.

Run by hand: .venv/bin/python tests/mutants.py [name ...]. It shows a line per change; it ends with 1 if a change
survives, is caught by something else than expected, or the unchanged notebook fails. The training is shortened:
12 epochs are enough for the unchanged notebook to pass.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "lab7_autoencoder.ipynb"
SHORT = [("parameters", r"\nEPOCHS = \d+", "\nEPOCHS = 12"), ("parameters", r"DIMENSIONS = \(.*\)", "DIMENSIONS = (2, 4)")]
UNIT_TESTS = ["tests/test_models.py", "tests/test_explorer.py", "tests/test_notebook_file.py"]

# name: (cell, pattern, replacement, the tests or cells of which one must fail)
MUTANTS = {
    "tanh -> sigmoid": ("encoder", '"tanh"', '"sigmoid"', {"test_encoder_layers"}),
    "ReLU output -> linear": ("decoder", '"relu", name="pixels"', '"linear", name="pixels"', {"test_decoder_mirrors_encoder"}),
    "hidden layer dropped": ("encoder", r".*hidden_2.*\n", "", {"test_encoder_layers"}),
    "20 units": ("parameters", "HIDDEN_UNITS = 200", "HIDDEN_UNITS = 20", {"test_encoder_layers"}),
    "no division by 255": ("split", "images, 255", "images, 1", {"split"}),
    "test labels shuffled": ("split", "labels_test\n", "np.random.default_rng(0).permutation(labels_test)\n", {"checks"}),
    "no training": ("training", "EPOCHS", "0", {"training"}),
    "encoder without its weights": ("train", "return enc,", "return encoder(n),", {"checks"}),
    "random codes from the test set": ("random-grid", r"rng\.uniform.*", "codes_test[:RANDOM_CODES]", {"random-grid"}),
    "originals as reconstructions": ("predictions", r"predict\(dec, codes_test\)", "x_test", {"checks"}),
    "scatter without labels": ("draw-plane", r"c=labels, cmap=\S+ vmin=\S+ vmax=\S+", 'color="gray",', {"latent-plane"}),
    "labels all the same": ("latent-plane", "codes_test, y_test", "codes_test, 0 * y_test", {"checks"}),
    "figure not drawn": ("loss-curves", r"show\(.*", "plt.close(figure)", {"loss-curves"}),
    "blank figure": ("digit-mse", r"(?s)figure, ax.*", 'figure = plt.figure(figsize=(10, 3.2))\nshow(figure, "x")', {"digit-mse"}),
    "warning on stderr": ("training", "^", 'import warnings\nwarnings.warn("extra")\n', {"training"}),
    "validation set from the test set": ("split", r"\Z", "\nx_valid, y_valid = x_test[:VALID_SIZE], y_test[:VALID_SIZE]", {"checks"}),
    "test set watched in training": ("train", r"validation_data=\(x_valid, x_valid\)", "validation_data=(x_test, x_test)", {"checks"}),
    "classifier on pixels": ("train-classifier", r"\(codes_train, y_train\)", "(flat(x_train), y_train)", {"train-classifier"}),
    "no mean-image bias": ("autoencoder", r".*bias\.assign.*\n", "", {"checks"}),
    "atlas upside down": ("atlas-grid", r"ticks\[::-1\]", "ticks", {"test_atlas_tiles_start_at_the_top_left"}),
    "atlas shading upside down": ("atlas-grid", r"-codes\[:, 1\]", "codes[:, 1]", {"test_atlas_counts_codes_in_the_tile_around_them"}),
    "scoreboard of another model": ("scoreboard", r"train_classifier\(flat\(x_train\)", "train_classifier(flat(1 - x_train)", {"checks"}),
    "easiest digits as hardest": ("hardest", r"\[:-13:-1\]", "[:12]", {"hardest"}),
    "dimensions ignored": ("dimensions", r"train\(n, ", "train(2, ", {"dimensions-plot"}),
    "explorer's picture stands still": ("explorer", r".*image\.set_data.*\n", "", {"test_picture_follows_the_code"}),
    "loaded model is another one": ("save", r"keras\.models\.load_model\(file\)", "keras.models.clone_model(model)", {"save"}),
}


def change(cells, cell_id, pattern, replacement):
    """Replace pattern once in the source of a cell; a pattern that is not there is an error."""
    cell = next(cell for cell in cells if cell["id"] == cell_id)
    source, count = re.subn(pattern, replacement, "".join(cell["source"]), count=1)
    if not count:
        raise SystemExit(f"{cell_id}: nothing matches {pattern!r}; update tests/mutants.py")
    cell["source"] = source


def failures(mutant):
    """Run the suite on a changed copy of the project; return names of failed tests and cell ids."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".pytest_cache"))
        notebook = json.loads((copy / NOTEBOOK).read_text(encoding="utf-8"))
        for edit in [*SHORT, *mutant]:
            change(notebook["cells"], *edit)
        (copy / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "-p", "no:cacheprovider", "--nbval",
                   "--nbval-current-env", "--nbval-cell-timeout", "600", *UNIT_TESTS, NOTEBOOK]
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        if run.returncode not in (0, 1):
            raise SystemExit(run.stdout[-3000:] + run.stderr[-3000:])
    code = [cell["id"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names = re.findall(r"^FAILED \S+?::(Cell \d+|\w+)", run.stdout, flags=re.M)
    return {code[int(name.split()[1])] if name.startswith("Cell ") else name for name in names}


def main():
    chosen = sys.argv[1:] or ["unchanged", *MUTANTS]
    if unknown := set(chosen) - {"unchanged", *MUTANTS}:
        raise SystemExit(f"No such change: {', '.join(sorted(unknown))}. Known: {', '.join(MUTANTS)}")
    bad = 0
    for name in chosen:
        *edit, expected = MUTANTS.get(name, (set(),))
        found = failures([edit] if edit else [])
        good = found <= expected and bool(found) == bool(expected)
        bad += not good
        print(f"{'ok ' if good else 'BAD'} {name}: {', '.join(sorted(found)) or 'nothing failed'}", flush=True)
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
