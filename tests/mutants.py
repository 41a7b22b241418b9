"""Break the notebook on purpose, one change at a time, and require the test named for it to notice.

Run by hand: .venv/bin/python tests/mutants.py [part of a text ...]. It prints a line per change and ends with 1 if a
change survives, or if the unchanged notebook fails. The notebook is executed once (see Run in conftest.py). A change
then executes the cells that it can reach: its own, and those that use a name which a reached cell defines. What is
tested is the named test alone; a cell's id instead of a test means that the cell must fail, by its own claim.
"""
import contextlib
import copy
import io
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest

from conftest import NOTEBOOK, ROOT, Run, names, plain_python

# (cell, text, replacement, the test that must fail); the text must stand in the cell exactly once.
FUNCTIONS = [  # tests that call the changed function: only its own cell is executed again
    ("encoder", 'activation="tanh"', 'activation="sigmoid"', "test_decoder_mirrors_encoder"),
    ("decoder", 'activation="relu", name="pixels"', 'activation="linear", name="pixels"',
     "test_decoder_mirrors_encoder"),
    ("encoder", '        layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden_2"),\n', "",
     "test_decoder_mirrors_encoder"),
    ("decoder", "RandomUniform(-1, 1)", "RandomUniform(-0.1, 0.1)",
     "test_first_layer_of_the_decoder_covers_the_square"),
    ("autoencoder", "images.mean(axis=0)", "x_train.mean(axis=0)",
     "test_autoencoder_is_the_chain_and_starts_at_the_mean_image"),
    ("autoencoder", "    keras.utils.set_random_seed(SEED)\n", "", "test_weights_depend_on_the_seed_only"),
    ("parameters", "EPOCHS = 55", "EPOCHS = 45", "test_parameters_are_those_of_the_text"),
    ("parameters", "BATCH_SIZE = 250", "BATCH_SIZE = 500", "test_parameters_are_those_of_the_text"),
    ("build", "CODE_SIZE != 2", "CODE_SIZE < 2", "test_notebook_refuses_a_code_that_is_not_a_plane"),
    ("learning-rate", "steps // 50", "steps // 5", "test_learning_rate"),
    ("train", "fit(images, images,", "fit(images, x_train[:len(images)],", "test_train_has_the_input_as_target"),
    ("train", "batch_size=BATCH_SIZE", "batch_size=32", "test_train_has_the_input_as_target"),
    ("tiles", ">= 0.15", ">= 0", "test_first_free"),
    ("draw-regions", "share < 0.995", "share < 1", "test_only_certainty_is_called_100_per_cent"),
    ("read-npz", "set(y) == set(range(10))", "True", "test_bad_arrays"),
    ("read-npz", "x.dtype == y.dtype", "y.dtype", "test_bad_arrays"),
    ("load-data", "[:2]", "[:9]", "test_silent_addresses_end_in_time"),
    ("load-data", "has_copy or not isinstance", "not isinstance", "test_damaged_copy_is_an_error_even_without_network"),
    ("load-data", "== MNIST_SHA256", '== "0"', "test_good_copy_is_used_offline"),
    ("stand-in", "range(1_500, 1_797)", "range(1_797)", "test_stand_in_keeps_labels_and_shares_no_original"),
]
RESULTS = [  # tests that look at what the notebook has computed or shown
    ("split", "/ 255\nx_train", "/ 256\nx_train", "test_images_are_the_loaded_ones_divided_by_255"),
    ("split", "x_all[:-VALID_SIZE], x_all[-VALID_SIZE:]", "x_all[VALID_SIZE:], x_all[:VALID_SIZE]",
     "test_the_last_images_are_for_validation"),
    ("examples", "y_train == digit", "y_train == 9 - digit", "test_examples_are_training_images_of_the_digit_above"),
    ("training", "EPOCHS, callbacks", "EPOCHS - 1, callbacks", "test_training_of_the_notebook"),
    ("train-classifier", "epochs=CLASSIFIER_EPOCHS", "epochs=5", "test_classifier_of_the_notebook"),
    ("loss-curves",
     '("loss", "--", "trening"), ("val_loss", "-", "walidacja")',
     '("val_loss", "--", "trening"), ("loss", "-", "walidacja")',
     "test_loss_curves"),
    ("predictions", "dec.predict(codes_test,", "ae_model.predict(1 - x_test,", "test_reconstructions"),
    ("predictions", "codes_train = enc.predict(x_train,", "codes_train = enc.predict(x_train[::-1],",
     "scoreboard-claims"),
    ("pca", "fit(flat_train)", "fit(flat_test)", "test_reconstructions"),
    ("reconstructions",
     "reconstructions[sample], pca_reconstructions[sample]", "pca_reconstructions[sample], reconstructions[sample]",
     "test_reconstructions"),
    ("dead-pixels", ">= 0.05", ">= 0.2", "test_dead_pixels"),
    ("digit-mse", "x_train.mean(axis=0)", "x_test.mean(axis=0)", "test_digit_errors"),
    ("digit-mse-plot", "y_test == digit", "y_test == 9 - digit", "test_digit_errors"),
    ("digit-mse-plot", 'heights / digit_errors["średni obraz"]', 'heights / digit_errors["PCA"]', "test_digit_errors"),
    ("linear", "layers.Dense(CODE_SIZE)", 'layers.Dense(CODE_SIZE, "tanh")', "linear"),
    ("unseen", "autoencoder(CODE_SIZE, x_train[low])", "autoencoder(CODE_SIZE, x_train)", "test_model_of_low_digits"),
    ("unseen", "train(ae_low, x_train[low]", "train(ae_low, x_train", "unseen-errors"),
    ("unseen-images", "from_low[sample], reconstructions[sample]", "reconstructions[sample], from_low[sample]",
     "test_unseen_images"),
    ("unseen-errors", "(y_test < 5, y_test >= 5)", "(y_test >= 5, y_test < 5)", "test_unseen_errors"),
    ("latent-scatter", "c=y_test", "c=y_test[::-1]", "test_latent_scatter"),
    ("latent-plane", 'xlabel="składowa 1", ylabel="składowa 2"', 'xlabel="składowa 2", ylabel="składowa 1"',
     "test_latent_plane"),
    ("draw-plane", "scatter(*codes.T", "scatter(*codes.T[::-1]", "test_latent_plane"),
    ("draw-plane", "write_digit(ax, place, digit, size=15)", "write_digit(ax, place[::-1], digit, size=15)",
     "test_a_digit_stands_where_it_leads"),
    ("edge", "> 0.99", "> 0.9", "test_edge"),
    ("edge", "np.argmax(digit_shares)", "np.argmin(digit_shares)", "test_edge"),
    ("epochs-strip", "codes_valid", "codes_train[:len(y_valid)]", "test_epochs_strip"),
    ("random-codes", "uniform(-1, 1", "uniform(0, 1", "test_random_codes_fill_the_square_evenly"),
    ("random-grid", "for z1, z2 in", "for z2, z1 in", "test_random_grid"),
    ("classify", "classifier.evaluate(codes_test, y_test", "classifier.evaluate(codes_train, y_train",
     "test_printed_accuracy_is_the_test_accuracy"),
    ("confusion", "y_test, predicted, normalize", "predicted, y_test, normalize", "test_confusion_matrix"),
    ("draw-regions", "grid_codes(300)).numpy()", "-grid_codes(300)).numpy()",
     "test_regions_are_the_classifiers_answers"),
    ("draw-regions",
     "        ax.contour(answers == digit,", "        if digit < 5:\n            ax.contour(answers == digit,",
     "test_lines_run_where_and_only_where_the_answer_changes"),
    ("draw-regions", ">= 0.005", ">= 0.9", "test_every_region_has_a_digit_of_its_own"),
    ("regions", "y_test[::2]", "y_test[1::2]", "test_points_on_decision_regions"),
    ("atlas", "np.newaxis, np.newaxis]]", "np.newaxis, np.newaxis].swapaxes(0, 1)]",
     "test_atlas_tiles_are_the_decoders_images"),
    ("tiles", "ticks[::-1]", "ticks", "test_atlas_tiles_are_the_decoders_images"),
    ("tiles", "-codes[:, 1]", "codes[:, 1]", "test_atlas_tiles_are_the_decoders_images"),
    ("random-answers", "np.argsort(-probabilities", "np.argsort(probabilities", "test_random_answers"),
    ("random-counts", "probabilities.argmax(axis=1)", "probabilities.argmin(axis=1)", "test_random_counts"),
    ("baselines", "train_classifier(pca_codes[0], y_train)", "train_classifier(pca_codes[2], y_test)",
     "test_classifiers_learn_from_the_training_part_of_their_representation"),
    ("scoreboard", "zip(inputs, (y_train, y_valid, y_test))", "zip(inputs[:1] * 3, [y_train] * 3)",
     "test_scoreboard"),
    ("cost", "seen != seen_again", "seen == seen_again", "test_cost"),
    ("conclusions", "najgorzej {recall.argmin()}", "najgorzej {recall.argmax()}", "test_conclusions"),
    ("hardest", "-test_errors", "test_errors", "test_hardest_digits"),
    ("dimensions", "autoencoder(n, x_part)", "autoencoder(2, x_part)", "test_dimensions"),
    ("dimensions-plot", "[:, column]", "[:, 1 - column]", "test_dimensions"),
    ("style", '.replace(".", ",")', "", "test_decimal_commas"),
    ("regions", "Obszary, w których klasyfikator odpowiada tą samą cyfrą, kody testowe i krzyżyki ", "Rysunek ",
     "test_alternative_texts"),
    ("page-source", "Math.max(0, sum)", "sum", "test_nine_places_against_keras"),
    ("page-source", "kernel[i * count + j]", "kernel[j * inputs.length + i]", "test_nine_places_against_keras"),
    ("page-source", "run(encoder, image, tanh)", "run(encoder, image, relu)", "test_images_against_keras"),
    ("page-source", "percentile < error", "percentile > error", "test_images_against_keras"),
    ("live-page", "for row in regions]", "for row in regions[::-1]]", "test_plane_shows_regions_codes_and_the_mark"),
    ("live-page", 'data_name == "MNIST"', "True", "test_stand_in_warning"),
    ("save", "write_text(page,", 'write_text(page + " ",', "test_file_and_frame_are_the_same_page"),
    ("save", "keras.models.load_model(file)", "keras.models.clone_model(model)", "save"),
    ("scoreboard-claims", ">= 1.5 *", ">= 15 *", "scoreboard-claims"),
]
SECONDS = {"FUNCTIONS": 4, "RESULTS": 35}


def changed(notebook, cell_id, text, replacement):
    """Return a copy of notebook with text replaced in a cell, in which it must stand exactly once."""
    notebook = copy.deepcopy(notebook)
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    if cell.source.count(text) != 1:
        raise SystemExit(f"{cell_id}: {text!r} stands there {cell.source.count(text)} times; update tests/mutants.py")
    cell.source = cell.source.replace(text, replacement)
    compile(plain_python(cell), cell_id, "exec")  # a change that is no Python proves nothing
    return notebook


def reached(notebook, cell_id):
    """Return the code cells that a change of cell_id can reach, in order."""
    found, fresh = [], set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            used, defined = names(cell)
            if cell.id == cell_id or used & fresh:
                found.append(cell)
                fresh |= defined
    return found


class Failures:
    """A pytest plugin that puts a notebook and an execution in the fixtures' place and collects the tests that fail."""

    def __init__(self, **replacements):
        self.replacements, self.names, self.count = replacements, set(), 0

    def pytest_configure(self, config):
        vars(config).update(self.replacements)

    def pytest_runtest_logreport(self, report):
        self.count += report.when == "call"
        if report.failed:
            self.names.add(re.search(r"::(\w+)", report.nodeid)[1])


def failures(name, **replacements):
    """Run one test (all of them for ""), in this process; return the names of those that fail."""
    files = [path for path in (ROOT / "tests").glob("test_*.py") if f"def {name}" in path.read_text("utf-8")]
    plugin = Failures(**replacements)
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
        options = ["-q", "-p", "no:cacheprovider", *(["-k", name] if name else [])]
        pytest.main([*options, *map(str, files)], plugins=[plugin])
    if not plugin.count:
        raise SystemExit(f"no test {name} ran:\n{output.getvalue()[-2000:]}")
    return plugin.names


def survivors(run, notebook, cells, wanted):
    """Execute cells of a changed notebook in run, look whether wanted fails, and take everything back."""
    kept, own_cells = [dict(content) for content in (run.space, run.shown, run.printed)], run.cells
    run.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    try:
        run.execute(cells)
        return failures(wanted, changed_run=run, changed_notebook=notebook) if wanted.startswith("test_") else set()
    except Exception:
        return {run.now}
    finally:
        run.cells = own_cells
        for content, old in zip((run.space, run.shown, run.printed), kept):
            content.clear()
            content.update(old)


def main():
    chosen = [(kind, row) for kind, rows in (("FUNCTIONS", FUNCTIONS), ("RESULTS", RESULTS)) for row in rows
              if not sys.argv[1:] or any(word in " ".join(row) for word in sys.argv[1:])]
    seconds = 400 + sum(SECONDS[kind] for kind, _ in chosen)
    print(f"{len(chosen)} changes, about {seconds / 60:.0f} minutes on two slow cores", flush=True)
    notebook, bad, start = nbformat.read(NOTEBOOK, as_version=4), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(notebook, Path(folder))
        if not sys.argv[1:] and (found := failures("", changed_run=run)):
            raise SystemExit(f"The unchanged notebook fails: {', '.join(sorted(found))}")
        for kind, (cell_id, text, replacement, wanted) in chosen:
            mutant = changed(notebook, cell_id, text, replacement)
            cells = reached(mutant, cell_id)
            found = survivors(run, mutant, cells[:1] if kind == "FUNCTIONS" else cells, wanted)
            bad += wanted not in found
            print(f"{'ok ' if wanted in found else 'BAD'} {cell_id}: {text!r} -> {replacement!r}: "
                  f"{', '.join(sorted(found)) or 'nothing failed'}, expected {wanted}", flush=True)
    print(f"{time.monotonic() - start:.0f} s")
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
