"""Break the notebook on purpose, one change at a time, and require the test named for it to fail.

Run by hand: .venv/bin/python tests/mutants.py [part of a row ...]. It ends with 1 if a change
survives, or if the test named for it is red without it. The notebook is executed once; then, for
each row, its cell and the cells that it names are executed again, unchanged and changed.
"""

import contextlib
import copy
import io
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest
from conftest import NOTEBOOK, ROOT, Lab

# The cell, a text that stands in it once, its replacement, the test that must fail, and the cells
# to execute again besides the changed one. Whoever trains ae_model again builds it again.
TRAINING = ("build", "training")
PAGE = ("live-page", "page")
# fmt: off
MUTANTS = [
    ("helpers", '"OK:" if holds else', '"OK:" if True else', "test_claims_hold"),
    ("helpers", "vmax=1", "vmax=2", "test_images_are_upright", "path"),
    ("helpers", "imshow(image", "imshow(image[::-1]", "test_reconstructions", "reconstructions"),
    ("helpers", "axes[:, 0]", "axes[::-1, 0]", "test_the_path", "path"),
    ("helpers", "is ScalarFormatter", "is int", "test_numbers_at_axes", "loss-curves"),
    ("load-data", 'x.dtype == "uint8" and ', "", "test_a_bad_file"),
    ("load-data", "range(1_500, 1_797)", "range(1_797)", "test_the_stand_in"),
    ("load-data", '"URL fetch failure" not in', '"" not in', "test_another_failure"),
    ("load-data", "setdefaulttimeout(5)", "setdefaulttimeout(None)", "test_a_failed_download"),
    ("split", "labels[-5_000:]", "labels[:5_000]", "test_pixels_are_divided"),
    ("split", '"float32") / 255\nx_train', '"float32") / 256\nx_train', "test_pixels_are_divided"),
    ("examples", "y_train == digit", "y_train == 9 - digit", "test_examples_show"),
    ("encoder", '"tanh"', '"sigmoid"', "test_encoder_and_decoder"),
    ("decoder", "Uniform(-1, 1)", "Uniform(-0.1, 0.1)", "test_models_start", "autoencoder"),
    ("autoencoder", "images.mean(axis=0)", "images.std(axis=0)", "test_models_start"),
    ("build", "CODE_SIZE == 2", "CODE_SIZE >= 2", "test_a_code_of_other"),
    ("learning-rate", "steps // 50", "steps // 5", "test_the_learning_rate"),
    ("train", "(images, images,", "(images, images + 0,", "test_an_autoencoder_has", *TRAINING),
    ("train", "(x_valid, x_valid)", "(x_test, x_test)", "test_an_autoencoder_has", *TRAINING),
    ("training", "EPOCHS, LOSS", "EPOCHS - 1, LOSS", "test_each_model_learns", "build"),
    ("progress", "done, epochs = epoch + 1", "done, epochs = epoch", "test_the_progress_line"),
    ("progress", "trening {loss}", "trening {val_loss}", "test_the_progress_line"),
    ("progress", "(epochs - done)", "(epochs - epoch)", "test_the_progress_line"),
    ("loss-curves", '("loss", ".--"', '("val_loss", ".--"', "test_loss_curves"),
    ("predictions", "(codes_test,", "(codes_test.round(1),", "test_codes_and_rec"),
    ("reconstructions", '"autoenkoder", "PCA"]', '"PCA", "autoenkoder"]', "test_reconstructions"),
    ("errors", "(reconstructions, x_test)", "(reconstructions, x_test) / 2", "test_mse_stands"),
    ("digit-errors", "y_test == digit", "y_test == digit // 2", "test_bars"),
    ("digit-errors", "np.argmin(heights)", "np.argmax(heights[:3])", "test_best_and_worst_rec"),
    ("local-means", "n_neighbors=100", "n_neighbors=10", "test_means_are"),
    ("local-means", "fit(codes_train)", "fit(codes_valid)", "test_means_are"),
    ("local-means-errors", "5 * from_mean", "0 * from_mean", "test_a_claim_is_false"),
    ("linear", "layers.Dense(CODE_SIZE)", 'layers.Dense(CODE_SIZE, "tanh")', "test_the_networks"),
    ("linear", "epochs=60", "epochs=6", "test_each_model_learns"),
    ("unseen", "y_train < 5", "y_train < 6", "test_each_model_learns"),
    ("unseen-errors", "low[y_test >= 5]", "low[y_test >= 6]", "test_errors_of_digits"),
    ("latent-scatter", "(codes_test[:, 0]", "(pca_codes_test[:, 0]", "test_both_planes"),
    ("latent-scatter", "num=range(10)), title", "num=range(9)), title", "test_both_planes"),
    ("epochs-strip", "codes_after[epochs]", "codes_after[-1]", "test_the_strip"),
    ("random-codes", "uniform(-1, 1", "uniform(0, 1", "test_random_images", "random-grid"),
    ("random-grid", "random_images.reshape", "random_images[::-1].reshape", "test_random_images"),
    ("path", "(codes_test[two]", "(codes_test[seven]", "test_the_path"),
    ("train-classifier", "epochs=20", "epochs=10", "test_each_model_learns", "classify"),
    ("classify", "mean(predicted", "mean(5 + predicted", "test_accuracy"),
    ("confusion", "(y_test, predicted,", "(predicted, y_test,", "test_the_matrix"),
    ("mistakes", "recalls.argmin()", "recalls.argsort()[1]", "test_accuracy_and_recall"),
    ("mistakes", "counts + counts.T", "counts", "test_the_pair"),
    ("planes", "middles[::-1]", "middles", "test_atlas", "regions", "atlas"),
    ("planes", "np.unique(answers)[1:]", "np.unique(answers)[2:]", "test_regions", "regions"),
    ("planes", "distances.argmin()", "distances.argmax()", "test_regions", "regions"),
    ("regions", "random_codes[:, 0]", "-random_codes[:, 0]", "test_regions"),
    ("atlas", "np.hstack(row)", "np.hstack(row[::-1])", "test_atlas"),
    ("random-answers", "order[:10], order[-10:]])", "order[-10:], order[:10]])", "test_random_ans"),
    ("shares", "np.mean(answers == digit)", "np.mean(predicted == digit)", "test_shares"),
    ("scoreboard", "(codes_valid, y_valid)", "(codes_test, y_test)", "test_scoreboard"),
    ("scoreboard", '"walidacja", "test"', '"test", "walidacja"', "test_scoreboard"),
    ("same-codes", "KNeighborsClassifier(25)", "KNeighborsClassifier(1)", "test_both_answers"),
    ("bends", "(axes[0], default", "(axes[0], decoder(CODE_SIZE)", "test_bends"),
    ("bends", "(axes[1], decoder(CODE_SIZE)", "(axes[1], dec", "test_bends"),
    ("hardest", "y_test[i]}, odp. {predicted[i]", "predicted[i]}, odp. {y_test[i]", "test_hardest"),
    ("dimensions", "(decoded, x_valid)", "(decoded, 0)", "test_code_sizes", "dimensions-plot"),
    ("dimensions-plot", "errors, scores = zip", "scores, errors = zip", "test_code_sizes"),
    ("bce", "activations.sigmoid", "activations.relu", "test_the_networks"),
    ("page-source", "i * sums.length + j", "j * inputs.length + i", "test_a_place_gives", *PAGE),
    ("page-source", "show([x, -y])", "show([x, y])", "test_a_place_gives", *PAGE),
    ("page-source", "- 13.5)", "- 10.5)", "test_a_drawing", *PAGE),
    ("page-source", "step / 32", "step / 16", "test_keys", *PAGE),
    ("live-page", 'data_name == "MNIST"', "True", "test_a_warning"),
    ("save", "file.write(page)", 'file.write(page + " ")', "test_the_file_is_the_page"),
    ("architecture-intro", "784 → 200 → 200", "784 → 100 → 200", "test_a_number_in_the_text"),
    ("dimensions-intro", "(6 epok", "(8 epok", "test_a_number_in_the_text"),
]
# fmt: on


def changed(notebook, cell_id, text, replacement):
    """Return a copy of the notebook with a text replaced."""
    notebook = copy.deepcopy(notebook)
    (cell,) = [cell for cell in notebook.cells if cell.id == cell_id]
    assert cell.source.count(text) == 1, f"{cell_id}: {text!r}: {cell.source.count(text)} times"
    cell.source = cell.source.replace(text, replacement)
    return notebook


@contextlib.contextmanager
def executed_again(lab, notebook, cell_ids):
    """Execute cells of a changed notebook; afterwards the execution is what it was."""
    records = (lab.variables, lab.shown, lab.printed, lab.fits)
    kept = [dict(record) for record in records]
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.id in cell_ids:
            lab.execute(cell)
    yield
    for record, values in zip(records, kept):
        record.clear()
        record.update(values)


def fails(test, lab, notebook):
    """Run the tests whose names begin so on a changed execution; return whether one failed."""

    class Plugin:
        def pytest_configure(self, config):
            config.changed_lab = lab
            config.changed_notebook = notebook

        def pytest_collection_modifyitems(self, items):
            items[:] = [item for item in items if item.name.startswith(test)]
            assert items, f"no test is named {test}"

    options = ["-q", "-x", "-p", "no:cacheprovider", str(ROOT / "tests")]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = pytest.main(options, plugins=[Plugin()])
    assert code in (0, 1), output.getvalue()
    return code == 1


def main():
    sys.stdout.reconfigure(line_buffering=True)
    words = sys.argv[1:] or [""]
    rows = [row for row in MUTANTS if any(word in " ".join(row) for word in words)]
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    start = time.monotonic()
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(notebook, Path(folder), EPOCHS=20)
        for cell_id, text, replacement, test, *more in rows:
            verdict = "SURVIVES"
            mutant = changed(notebook, cell_id, text, replacement)
            for version, name in [(mutant, "red"), (notebook, "RED WITHOUT IT")]:
                with executed_again(lab, version, {cell_id, *more}):
                    if fails(test, lab, version):
                        verdict = name
            verdicts.append(verdict)
            print(f"{time.monotonic() - start:5.0f} s  {cell_id}: {text!r}: {test} {verdict}")
    raise SystemExit(set(verdicts) != {"red"})


if __name__ == "__main__":
    main()
