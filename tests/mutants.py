"""Break the notebook on purpose, one change at a time, and require the test named for it to notice.

Run by hand: .venv/bin/python tests/mutants.py [part of a text ...]. It ends with 1 if a change survives or a test fails
on the unchanged notebook. The notebook is executed once; a change then executes the cells that it can reach: its own,
and those that use a name which a reached cell defines, and runs the named test. A cell's id there: its claim must fail.
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

from conftest import NOTEBOOK, ROOT, Run, names

# (cell, text, replacement, the test that must fail); the text must stand in the cell exactly once.
FUNCTIONS = [  # tests that call the changed function or read the file: only the changed cell is executed again
    ("read-npz", "set(y) == set(range(10))", "True", "test_bad_file"),
    ("load-data", 'load_data(), "MNIST"', 'load_data(), "Keras"', "test_without_a_file_keras_gives_mnist"),
    ("load-data", "TimeoutError, ", "", "test_network_failure_gives_the_stand_in"),
    ("load-data", "not isinstance(cause, NETWORK_ERRORS)", "False", "test_any_other_failure_is_an_error"),
    ("load-data", "has_copy or not", "not", "test_damaged_copy_is_an_error"),
    ("load-data", "731c5a", "731c5b", "test_a_good_file_is_used"),
    ("load-data", "[:2]", "[:9]", "test_silent_network_ends_in_time"),
    ("stand-in", "range(1_500, 1_797)", "range(1_797)", "test_stand_in"),
    ("encoder", "tanh", "sigmoid", "test_decoder_mirrors_encoder"),
    ("decoder", "RandomUniform(-1, 1)", "RandomUniform(-0.1, 0.1)", "test_first_weights"),
    ("autoencoder", "images.mean(axis=0)", "x_train.mean(axis=0)", "test_first_weights"),
    ("train-classifier", "    keras.utils.set_random_seed(SEED)\n", "", "test_building_and_training_twice"),
    ("parameters", "BATCH_SIZE = 250", "BATCH_SIZE = 500", "test_parameters"),
    ("parameters", " = 0.003", " = 0.002", "test_numbers_of_many_trainings_are_the_measurements"),
    ("build", "CODE_SIZE != 2", "CODE_SIZE < 2", "test_code_size_must_be_2"),
    ("learning-rate", "steps // 50", "steps // 5", "test_train_has_the_input_as_target"),
    ("train", "fit(images, images,", "fit(images, x_train[:len(images)],", "test_train_has_the_input_as_target"),
    ("draw-regions", "share < 0.995", "share < 1", "test_random_answers"),
    ("silence", '"NO_COLOR"', '"NOCOLOR"', "test_settings_change_nothing"),
    ("autoencoder", "enc = encoder(n)", "enc = (encoder)(n)", "test_folded_cells_have_titles_and_the_core_is_in_sight"),
    ("linear", "o najwyżej 3%", "o najwyżej 5%", "test_outputs_are_of_one_clean_run_on_mnist"),
    ("edge", "print(f", "sample = 0\nprint(f", "test_a_name_taken_from_another_cell_has_one_origin"),
    ("latent-intro", "## 6. Przestrzeń", "## 6 Przestrzeń", "test_sections_and_links"),
    ("unseen-text", "do 202", "do 175", "test_gzip"),
]
RESULTS = [  # tests that look at what the notebook has computed or shown: every cell that is reached
    ("split", "/ 255\nx_train", "/ 256\nx_train", "test_images_are_divided_and_split"),
    ("split", "labels[-VALID_SIZE:]", "labels[:VALID_SIZE]", "test_images_are_divided_and_split"),
    ("split", '"walidacja": (x_valid, y_valid)', '"walidacja": (x_test, y_test)', "test_images_are_divided_and_split"),
    ("examples", "y_train == digit", "y_train == 9 - digit", "test_image_grids"),
    ("training", "EPOCHS, callbacks", "EPOCHS - 1, callbacks", "test_trained_models"),
    ("train-classifier", "epochs=CLASSIFIER_EPOCHS", "epochs=5", "test_trained_models"),
    ("loss-curves", '("loss", "--"', '("val_loss", "--"', "test_loss_curves"),
    ("predictions", "dec.predict(codes_test,", "dec.predict(codes_test.round(1),", "test_image_grids"),
    ("digit-mse", "x_train.mean(axis=0)", "x_test.mean(axis=0)", "test_digit_errors"),
    ("linear", "layers.Dense(CODE_SIZE)", 'layers.Dense(CODE_SIZE, "tanh")', "test_trained_models"),
    ("baselines", "(x_part.reshape(-1, 784), y_part)", "(flat_train, y_train)", "test_what_each_network_learns_from"),
    ("unseen-errors", "(y_test < 5, y_test >= 5)", "(y_test >= 5, y_test < 5)", "test_tables"),
    ("latent-scatter", "c=y_test", "c=y_test[::-1]", "test_codes_of_test_images"),
    ("tiles", ">= 0.15", ">= 0", "test_a_digit_stands_where_it_leads"),
    ("edge", "np.argmax(digit_shares)", "np.argmin(digit_shares)", "test_printed_numbers"),
    ("epochs-strip", "codes_valid", "codes_train[:len(y_valid)]", "test_epochs_strip"),
    ("random-codes", "uniform(-1, 1", "uniform(0, 1", "test_random_codes_and_their_crosses"),
    ("classify", "evaluate(codes_test, y_test", "evaluate(codes_train, y_train", "test_printed_numbers"),
    ("confusion", "y_test, predicted, normalize", "predicted, y_test, normalize", "test_confusion_matrix"),
    ("draw-regions", "grid_codes(300)).numpy()", "-grid_codes(300)).numpy()", "test_regions_and_their_borders"),
    ("draw-regions", "  ax.contour(", "  if digit < 5: ax.contour(", "test_regions_and_their_borders"),
    ("draw-regions", ">= 0.005", ">= 0.9", "test_every_region_has_a_digit"),
    ("regions", "random_codes[:, 0], ", "random_codes[:, 1], ", "test_random_codes_and_their_crosses"),
    ("atlas", "strength[..., np.newaxis", "strength.T[..., np.newaxis", "test_atlas"),
    ("scoreboard", "(inputs, (y_train, y_valid, y_test", "(inputs[::-1], (y_test, y_valid, y_train", "test_scoreboard"),
    ("scoreboard-claims", ">= 1.5 *", ">= 15 *", "scoreboard-claims"),
    ("conclusions", "najgorzej {recall.argmin()}", "najgorzej {recall.argmax()}", "test_conclusions"),
    ("dimensions-plot", "[:, column]", "[:, 1 - column]", "test_dimensions"),
    ("style", '.replace(".", ",")', "", "test_decimal_commas"),
    ("edge", "print(f", "show(plt.figure(), 'Rysunek')\nprint(f", "test_alternative_texts"),
    ("page-source", "kernel[i * count + j]", "kernel[j * inputs.length + i]", "test_places_against_keras"),
    ("page-source", "percentile < error", "percentile > error", "test_images_against_keras"),
    ("page-source", "((i + 0.5) / 5 - 14)", "((i + 0.5) / 5 - 13)", "test_drawing_is_the_input_in_mnists_form"),
    ("page-source", "  input = null;\n", "", "test_drawing_is_the_input_in_mnists_form"),
    ("page-source", "max-width: 420px", "width: 500px", "test_keyboard_and_names"),
    ("live-page", "for row in regions]", "for row in regions[::-1]]", "test_plane_of_the_page"),
    ("live-page", 'data_name == "MNIST"', "True", "test_file_frame_and_warning"),
    ("save", "write_text(page,", 'write_text(page + " ",', "test_file_frame_and_warning"),
    ("save", "keras.models.load_model(file)", "keras.models.clone_model(model)", "save"),
    ("save", "except OSError", "except ValueError", "test_a_folder_that_cannot_be_written_to"),
    ("edge", "np.abs(codes_test)", "np.abs(codes_test, out=codes_test)", "test_cells_twice"),  # last: it harms the run
]

def changed(notebook, cell_id, text, replacement):
    """Return a copy of notebook with text replaced in a cell, in which it must stand exactly once."""
    notebook = copy.deepcopy(notebook)
    cell, = [cell for cell in notebook.cells if cell.id == cell_id]
    assert cell.source.count(text) == 1, f"{cell_id}: {text!r} stands there {cell.source.count(text)} times"
    cell.source = cell.source.replace(text, replacement)
    return notebook


def reached(notebook, cell_id):
    """Return the code cells that a change of cell_id can reach, in order; before a training, a new model is built."""
    found, fresh = [], set()
    for cell in [cell for cell in notebook.cells if cell.cell_type == "code"]:
        used, defined = names(cell)
        if cell.id == cell_id or used & fresh or (cell.id, cell_id) == ("build", "training"):
            found.append(cell)
            fresh |= defined
    return found


def outcome(wanted, **instead):
    """Run the test of this name, or all for "", on a changed notebook and run; return pytest's exit code."""
    class Plugin:
        def pytest_configure(self, config):
            vars(config).update(instead)

        def pytest_collection_modifyitems(self, items):
            items[:] = [item for item in items if wanted in ("", item.originalname)]

    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
        code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", str(ROOT / "tests")], plugins=[Plugin()])
    if code not in (0, 1) or (code, wanted) == (1, ""):
        raise SystemExit(f"{wanted or 'the unchanged notebook'}: {output.getvalue()[-2000:]}")
    return code


def noticed_by(run, mutant, cells, wanted):
    """Execute cells of a changed notebook; return what notices: a cell, the wanted test, or nothing."""
    with run.unchanged():
        run.cells = [cell for cell in mutant.cells if cell.cell_type == "code"]
        try:
            run.execute(cells)
        except Exception:
            return run.now
        failed = wanted[:5] == "test_" and outcome(wanted, changed_run=run, changed_notebook=mutant)
    return wanted if failed else "nothing"


def main():
    sys.stdout.reconfigure(line_buffering=True)
    chosen = [row for row in FUNCTIONS + RESULTS if any(word in " ".join(row) for word in sys.argv[1:] or [""])]
    minutes = 4 + sum(0.1 if row in FUNCTIONS else 0.25 for row in chosen)
    print(f"{len(chosen)} changes, about {minutes:.0f} minutes on two slow cores")
    notebook, bad, start = nbformat.read(NOTEBOOK, as_version=4), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(notebook, Path(folder))
        if not sys.argv[1:]:
            outcome("", changed_run=run)  # everything passes on the unchanged notebook
        for row in chosen:
            cell_id, text, replacement, wanted = row
            mutant = changed(notebook, cell_id, text, replacement)
            found = noticed_by(run, mutant, reached(mutant, cell_id)[:1 if row in FUNCTIONS else None], wanted)
            bad += found != wanted
            print(f"{time.monotonic() - start:5.0f} s  {cell_id}: {text!r} -> {replacement!r}: noticed by {found}",
                  "" if found == wanted else f": BAD, not by {wanted}")
    raise SystemExit(bad > 0)


if __name__ == "__main__":
    main()
