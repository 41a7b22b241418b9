"""Break the notebook on purpose, one change at a time, and require the right test or cell to notice.

Run by hand: .venv/bin/python tests/mutants.py [name ...]. It shows a line per change; it ends with 1 if a change
survives, is caught only by something else than expected, or the unchanged notebook fails.

The notebook is executed once in this process (see Run in conftest.py). A change then executes only the cells that it
can reach: its own, and those that use a name which a reached cell defines. What only nbval can see (outputs, warnings,
missing figures) runs under nbval, on a copy that ends with the changed cell, after 12 epochs of training.
"""
import contextlib
import copy
import io
import re
import shutil
import subprocess
import symtable
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest

from conftest import NOTEBOOK, ROOT, Run, plain_python

SHORT = {"EPOCHS": "12", "DIMENSIONS": "(2, 4)"}

# By unit tests, with the changed notebook. name: (cell, pattern, replacement, the test or cell that must fail)
MODELS = {
    "tanh -> sigmoid": ("encoder", '"tanh"', '"sigmoid"', "test_encoder_layers"),
    "ReLU output -> linear": ("decoder", '"relu", name="pixels"', '"linear", name="pixels"', "test_decoder_mirrors_encoder"),
    "hidden layer dropped": ("encoder", r".*hidden_2.*\n", "", "test_encoder_layers"),
    "20 units": ("parameters", "HIDDEN_UNITS = 200", "HIDDEN_UNITS = 20", "test_encoder_layers"),
    "no mean-image bias": ("autoencoder", r".*bias\.assign.*\n", "", "test_output_bias_starts_at_the_mean_image"),
    "dead pixels stay dead": ("dead-pixels", r"pixels\.bias\.assign.*", "pass", "test_dead_pixels_are_found_and_revived"),
    "living pixels revived": ("dead-pixels", r"np\.where\(dead, 0,", "np.where(dead, 0, 0 *", "test_dead_pixels_are_found_and_revived"),
    "dead pixels in a part of the codes": ("dead-pixels", r"np\.array_split\(codes, 50\)", "np.array_split(codes, 50)[:1]", "test_dead_pixels_are_found_and_revived"),
    "no warm-up": ("schedule", r"WARMUP \* steps", "0 * steps", "test_learning_rate_warms_up_and_ends_at_zero"),
    "atlas upside down": ("tiles", r"ticks\[::-1\]", "ticks", "test_atlas_tiles_start_at_the_top_left"),
    "atlas shading upside down": ("tiles", r"-codes\[:, 1\]", "codes[:, 1]", "test_atlas_counts_codes_in_the_tile_around_them"),
    "predict forgets a part": ("dead-pixels", r"(np\.array_split\(x, -\(-len\(x\) // 1_000\)\))", r"\1[:1]", "test_predict_keeps_order_and_shape"),
    "a line too wide": ("loss-curves", r"\Z", "\n#" + 100 * "x", "test_lines_fit_the_window"),
}
# By the notebook's own claims and by tests/test_figures.py.
FIGURES = {
    "no training": ("training", "EPOCHS", "1", "loss-curves"),
    "validation set from the test set": ("split", r'check\(', "x_valid, y_valid = x_test[:VALID_SIZE], y_test[:VALID_SIZE]\ncheck(", "split"),
    "encoder without its weights": ("train", r"return enc,", "return encoder(n),", "digit-mse"),
    "test set watched in training": ("train", r"validation_data=\(tensor_valid, tensor_valid\)", "validation_data=(x_test, x_test)", "test_loss_curves"),
    "labels shuffled": ("examples", "y_train ==", "y_train[::-1] ==", "test_examples_are_training_images_of_the_digit_above"),
    "examples transposed": ("show-images", r"image\[\.\.\., 0\]", "image[..., 0].T", "test_examples_are_training_images_of_the_digit_above"),
    "examples from the test set": ("examples", r"np.flatnonzero\(y_train(.*\n.*)x_train", r"np.flatnonzero(y_test\1x_test", "test_examples_are_training_images_of_the_digit_above"),
    "captions of the neighbour": ("examples", r"captions=range\(10\)", "captions=range(1, 11)", "test_examples_are_training_images_of_the_digit_above"),
    "images too dark": ("show-images", "vmin=0, vmax=1", "vmin=0, vmax=0.5", "test_examples_are_training_images_of_the_digit_above"),
    "loss curves exchanged": ("loss-curves", r'\("loss", "trening"\), \("val_loss", "walidacja"\)', '("val_loss", "trening"), ("loss", "walidacja")', "test_loss_curves"),
    "epochs from zero": ("loss-curves", r"range\(1, EPOCHS \+ 1\)", "range(EPOCHS)", "test_loss_curves"),
    "originals as reconstructions": ("predictions", r"predict\(dec, codes_test\)", "x_test", "test_reconstructions"),
    "rows exchanged": ("reconstructions", r"reconstructions\[chosen\], pca_reconstructions\[chosen\]", "pca_reconstructions[chosen], reconstructions[chosen]", "test_reconstructions"),
    "reconstructions of the neighbour": ("reconstructions", r" reconstructions\[chosen\]", " reconstructions[chosen + 1]", "test_reconstructions"),
    "PCA on test images": ("predictions", r"fit\(flat\(x_train\)\)", "fit(flat(x_test))", "test_reconstructions"),
    "bars of the next digit": ("digit-mse", "y_test == digit", "y_test == (digit + 1) % 10", "test_digit_errors"),
    "bars under the wrong name": ("digit-mse", r'"średni obraz": image_mse\(mean_image', '"średni obraz": image_mse(pca_reconstructions', "test_digit_errors"),
    "bars do not start at zero": ("digit-mse", r"ax\.margins\(y=0\.25\)", "ax.set_ylim(0.01, 0.1)", "test_digit_errors"),
    "plane transposed": ("draw-plane", r"scatter\(\*codes\.T", "scatter(*codes.T[::-1]", "test_latent_plane"),
    "cluster digits transposed": ("draw-plane", r"text\(\*place,", "text(*place[::-1],", "test_a_digit_stands_in_its_cluster"),
    "digits upon digits": ("tiles", r"distances >= 0\.15", "distances >= 0", "test_nothing_lies_on_a_digit"),
    "digits under marks": ("draw-on-plane", r", 0\.4, marks\)", ", 0.4)", "test_nothing_lies_on_a_digit"),
    "colours of tab10": ("style", r"(?s)colors\.ListedColormap\(.*?\)\]\)", 'colors.ListedColormap(plt.colormaps["tab10"].colors)', "test_digits_side_by_side_differ_for_colour_blind_readers"),
    "negative of another image": ("strange", "1 - pair", "1 - pair[::-1]", "test_strange_images"),
    "pixels not shuffled": ("strange", r"rng\.permuted\((.*?), axis=1\)", r"\1", "strange"),
    "errors of other images": ("strange", r"image_mse\(outputs, strange\)", "image_mse(outputs[::-1], strange)", "test_strange_images"),
    "point in an axis": ("style", r'comma\(tick, "g"\)', 'format(tick, "g")', "test_decimal_commas"),
    "point in a caption": ("strange", r'comma\(error, "\.3f"\)', 'format(error, ".3f")', "test_decimal_commas"),
    "colours shuffled": ("latent-plane", "codes_test, y_test", "codes_test, y_test[::-1]", "test_latent_plane"),
    "axis names exchanged": ("draw-plane", r'xlabel="\$z_1\$", ylabel="\$z_2\$"', 'xlabel="$z_2$", ylabel="$z_1$"', "test_latent_plane"),
    "planes exchanged": ("latent-plane", '"Autoenkoder"(.*\n.*)"PCA"', r'"PCA"\1"Autoenkoder"', "test_latent_plane"),
    "legend shifted": ("latent-plane", r"num=range\(10\)", "num=range(1, 11)", "test_legend_of_the_planes"),
    "gauge of another bound": ("gauges", r"> 0\.99", "> 0.9", "test_gauges"),
    "random codes from the test set": ("random-grid", r"rng\.uniform.*", "codes_test[:RANDOM_CODES]", "test_random_codes_fill_the_square_evenly"),
    "random codes in a quarter": ("random-grid", r"uniform\(-1, 1", "uniform(0, 1", "test_random_codes_fill_the_square_evenly"),
    "random captions exchanged": ("random-grid", r"for z1, z2 in", "for z2, z1 in", "test_random_grid"),
    "random images shuffled": ("random-grid", r"show_images\(random_images", "show_images(random_images[::-1]", "test_random_grid"),
    "crosses elsewhere": ("random-plane", r"\*random_codes\.T", "*random_codes.T[::-1]", "test_random_plane"),
    "confusion transposed": ("confusion", r"confusion_matrix\(y_test, predicted\)", "confusion_matrix(predicted, y_test)", "test_confusion_matrix"),
    "recall upside down": ("confusion", r"barh\(range\(10\), recall,", "barh(range(10), recall[::-1],", "test_recall"),
    "recall is precision": ("confusion", r"confusion\.sum\(axis=1\)", "confusion.sum(axis=0)", "test_recall"),
    "regions transposed": ("regions", r"reshape\(300, 300\)", "reshape(300, 300).T", "test_regions_are_the_classifiers_answers"),
    "regions upside down": ("regions", r"alpha=alpha, extent", 'alpha=alpha, origin="lower", extent', "test_regions_are_the_classifiers_answers"),
    "regions of another classifier": ("regions", r"predict\(classifier, grid_codes\(300\)\)", "predict(classifier, -grid_codes(300))", "test_regions_are_the_classifiers_answers"),
    "lines upside down": ("regions", r'origin="upper"', 'origin="lower"', "test_lines_run_where_the_answer_changes"),
    "tiles transposed": ("atlas", r"transpose\(0, 2, 1, 3\)", "transpose(1, 2, 0, 3)", "test_atlas_tiles_are_the_decoders_images"),
    "shading of another place": ("atlas", r"strength\[\.\.\., None", "strength.T[..., None", "test_atlas_tiles_are_the_decoders_images"),
    "regions with other labels": ("regions", r"y_test\[::2\]", "y_test[1::2]", "test_points_behind_marks_and_regions_are_test_codes"),
    "least sure first": ("random-answers", r"argsort\(\)\[::-1\]", "argsort()", "test_random_answers"),
    "answers of other codes": ("random-answers", r"random_images\[chosen\]", "random_images[chosen[::-1]]", "test_random_answers"),
    "numbers beside their codes": ("draw-on-plane", r"text\(\*mark,", "text(*mark[::-1],", "test_random_answers"),
    "marks over other points": ("draw-on-plane", r"codes_test\[::3\], y_test\[::3\]", "codes_test[::3], np.roll(y_test, 1)[::3]", "test_points_behind_marks_and_regions_are_test_codes"),
    "easiest digits as hardest": ("hardest", r"\[::-1\]\[:12\]", "[:12]", "hardest"),
    "hardest by another model": ("hardest", r'test_errors\["autoenkoder"\]', 'test_errors["średni obraz"]', "test_hardest_digits"),
    "pairs exchanged": ("hardest", r"x_test\[hardest\], reconstructions\[hardest\]", "reconstructions[hardest], x_test[hardest]", "test_hardest_digits"),
    "path between other digits": ("path", "y_test == digit", "y_test == digit + 2", "test_path"),
    "path captions shifted": ("path", r"predict\(classifier, path\), 1\)", "predict(classifier, path[::-1]), 1)", "test_path"),
    "dimensions ignored": ("dimensions", r"train\(n, ", "train(2, ", "dimensions-plot"),
    "curves under the wrong name": ("dimensions-plot", r"ae_scores\), \(\"PCA\", \"s\", pca_scores", 'pca_scores), ("PCA", "s", ae_scores', "test_dimensions"),
    "accuracy as error": ("dimensions-plot", r"zip\(axes, np", "zip(axes[::-1], np", "test_dimensions"),
    "neighbours of other digits": ("dimensions", r"y_train\[:10_000\]", "y_train[1:10_001]", "test_dimensions"),
    "PCA of another size": ("dimensions", r"pca_all\.components_\[:n\]", "pca_all.components_[:2][[0, 1] * (n // 2)]", "test_dimensions"),
    "scoreboard of another split": ("scoreboard", r"(\(y_train, y_valid, y_test\)\)\])", r"\1[::-1]", "test_scoreboard"),
    "scoreboard of other pixels": ("scoreboard", r"reshape\(tensor_train", "reshape(1 - tensor_train", "scoreboard-claims"),
    "rounding that does nothing": ("scoreboard", r"predict\(dec, rounded\[2\]\)", "predict(dec, codes_test / 2)", "test_scoreboard"),
    "conclusions about the wrong digit": ("conclusions", r"rozpoznawana to \{recall\.argmin\(\)\}", "rozpoznawana to {recall.argmax()}", "test_conclusions"),
    "conclusions about correct digits": ("conclusions", r"predicted != y_test", "predicted == y_test", "test_conclusions"),
    "loaded model is another one": ("save", r"keras\.models\.load_model\(file\)", "keras.models.clone_model(model)", "save"),
}
# By a browser, with random weights.
PAGE = {
    "page without ReLU": ("page-source", r"Math\.max\(0, sum\)", "sum", "test_nine_places_against_keras"),
    "kernel transposed": ("page-source", r"kernel\[i \* count \+ j\]", "kernel[j * inputs.length + i]", "test_nine_places_against_keras"),
    "pointer upside down": ("page-source", r"useCode\(2 \* x - 1, 1 - 2 \* y\)", "useCode(2 * x - 1, 2 * y - 1)", "test_nine_places_against_keras"),
    "page's encoder ends with ReLU": ("page-source", "run\\(encoder, image, tanh\\)", "run(encoder, image, relu)", "test_images_against_keras"),
    "comparison reversed": ("page-source", "percentile < error", "percentile > error", "test_images_against_keras"),
    "drawing not centred": ("page-source", r"sumX / mass", "size / 2", "test_drawing_gets_mnists_form"),
    "drawing mirrored": ("page-source", r"\(\(j \+ 0\.5\) / 5 - 14\)", "(14 - (j + 0.5) / 5)", "test_drawing_gets_mnists_form"),
    "page's regions upside down": ("live-page", r"for row in regions\]", "for row in regions[::-1]]", "test_plane_shows_regions_codes_and_the_mark"),
    "page's labels shuffled": ("live-page", r"labels\.tolist\(\), *\n", "labels[::-1].tolist(),\n", "test_plane_shows_regions_codes_and_the_mark"),
    "page's images shuffled": ("live-page", r"for image in images\]", "for image in images[::-1]]", "test_images_against_keras"),
    "page silent about the stand-in": ("page-source", r'"warning"\)\.hidden = data\.mnist', '"warning").hidden = true', "test_stand_in_warning"),
    "digit under the mark": ("page-source", r"Math\.max\(1, 46 / ", "Math.max(1, 0 / ", "test_the_mark_covers_no_digit"),
    "page without arrow keys": ("page-source", r"plane\.addEventListener\(\"keydown\"", 'plane.addEventListener("keyless"', "test_arrow_keys_move_the_code"),
    "page of another run": ("page", r"\.write_text\(page,", '.write_text(page + " ",', "test_file_and_frame_are_the_same_page"),
}
# By nbval: the cell whose outputs must differ.
NBVAL = {
    "no division by 255": ("split", "images, 255", "images, 1", "split"),
    "classifier on pixels": ("train-classifier", r"\(codes_train, y_train\)", "(flat(x_train), y_train)", "train-classifier"),
    "figure not drawn": ("loss-curves", r"show\(.*", "plt.close(figure)", "loss-curves"),
    "blank figure": ("digit-mse", r"(?s)figure, ax.*", 'figure = plt.figure(figsize=(10, 3.2))\nshow(figure, "x")', "digit-mse"),
    "scatter without colours": ("draw-plane", r"c=labels, cmap=COLOURS, vmin=-0\.5, vmax=9\.5,", 'color="gray",', "latent-plane"),
    "warning on stderr": ("training", "^", 'import warnings\nwarnings.warn("extra")\n', "training"),
    "a claim left out": ("digit-mse", r"check\(.*\Z", "", "digit-mse"),
}
SECONDS = {"unchanged": 200, **dict.fromkeys(MODELS, 10), **dict.fromkeys(FIGURES, 20), **dict.fromkeys(PAGE, 8),
           **dict.fromkeys(NBVAL, 60)}


def changed(notebook, cell_id, pattern, replacement):
    """Return a copy of notebook with pattern replaced once in a cell; a pattern that is not there is an error."""
    notebook = copy.deepcopy(notebook)
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    cell.source, count = re.subn(pattern, replacement, cell.source, count=1)
    if not count:
        raise SystemExit(f"{cell_id}: nothing matches {pattern!r}; update tests/mutants.py")
    compile(plain_python(cell), cell_id, "exec")  # a change that is no Python proves nothing
    return notebook


class Failures:
    """A pytest plugin that puts a notebook or an execution in the fixtures' place and collects the tests that fail."""

    def __init__(self, **replacements):
        self.replacements, self.names = replacements, set()

    def pytest_configure(self, config):
        vars(config).update(self.replacements)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.names.add(re.search(r"::(\w+)", report.nodeid)[1])


def test(files, *options, **replacements):
    """Run tests in this process; return the names of those that fail."""
    plugin = Failures(**replacements)
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
        code = pytest.main(["-q", "-p", "no:cacheprovider", *options, *(str(ROOT / "tests" / file) for file in files)], plugins=[plugin])
    if code not in (0, 1):
        raise SystemExit(output.getvalue()[-3000:])
    return plugin.names


def names(cell):
    """Return the global names that a cell takes from elsewhere and those that it defines."""
    def referenced(table):
        own = {symbol.get_name() for symbol in table.get_symbols()
               if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())}
        return own.union(*map(referenced, table.get_children()))

    table = symtable.symtable(plain_python(cell), cell.id, "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    return referenced(table) - defined, defined


def test_reached(run, notebook, cell_id, *tests):
    """Execute what a change of cell_id reaches, run tests, and take everything back."""
    reached, fresh = [], set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            used, defined = names(cell)
            if cell.id == cell_id or used & fresh:
                reached.append(cell)
                fresh |= defined
    kept = [dict(content) for content in (run.space, run.shown, run.printed)]
    try:
        run.execute(reached)
        return test(*tests, changed_run=run, changed_notebook=notebook)
    except Exception:
        return {run.now}
    finally:
        for content, old in zip((run.space, run.shown, run.printed), kept):
            content.clear()
            content.update(old)


def test_outputs(notebook, last_cell=None):
    """Run nbval on a shortened copy of the project, up to last_cell; return the ids of the cells that fail."""
    notebook = copy.deepcopy(notebook)
    for name, value in SHORT.items():
        notebook = changed(notebook, "parameters", rf"(?m)^{name} = [^#\n]*", f"{name} = {value}  ")
    ids = [cell.id for cell in notebook.cells]
    if last_cell:
        notebook.cells = notebook.cells[:ids.index(last_cell) + 1]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "tests", Path(folder, "tests"), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(Path(folder, "tests", "conftest.py"), folder)
        nbformat.write(notebook, Path(folder, NOTEBOOK.name))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "-p", "no:cacheprovider", "--nbval",
                   "--nbval-current-env", "--nbval-cell-timeout", "600", NOTEBOOK.name]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise SystemExit(run.stdout[-3000:] + run.stderr[-3000:])
    code = [cell.id for cell in notebook.cells if cell.cell_type == "code"]
    return {code[int(number)] for number in re.findall(r"^FAILED \S+?::Cell (\d+)", run.stdout, flags=re.M)}


def main():
    known = {**MODELS, **FIGURES, **PAGE, **NBVAL}
    chosen = sys.argv[1:] or ["unchanged", *known]
    if unknown := set(chosen) - {"unchanged", *known}:
        raise SystemExit(f"No such change: {', '.join(sorted(unknown))}. Known: {', '.join(known)}")
    print(f"{len(chosen)} runs, about {sum(SECONDS[name] for name in chosen) / 60 + 1:.0f} minutes on two slow cores", flush=True)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    unit_tests = ["test_models.py", "test_notebook_file.py"]
    bad, run, start = 0, None, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if {"unchanged", *FIGURES, *PAGE} & set(chosen):
            run = Run(notebook, Path(folder))
        for name in chosen:
            if name == "unchanged":
                found = test(unit_tests) | test(["test_figures.py", "test_live_page.py"], changed_run=run) | test_outputs(notebook)
                good, wanted = not found, "nothing"
            else:
                cell_id, pattern, replacement, wanted = known[name]
                mutant = changed(notebook, cell_id, pattern, replacement)
                if name in MODELS:
                    found = test(unit_tests, changed_notebook=mutant)
                elif name in FIGURES:
                    found = test_reached(run, mutant, cell_id, ["test_figures.py"])
                elif name in PAGE:
                    found = test_reached(run, mutant, cell_id, ["test_live_page.py"], "-k", wanted)
                else:
                    found = test_outputs(mutant, wanted)
                good = wanted in found
            bad += not good
            print(f"{'ok ' if good else 'BAD'} {name}: {', '.join(sorted(found)) or 'nothing failed'}"
                  f"{'' if good else f' (expected: {wanted})'}", flush=True)
    print(f"{time.monotonic() - start:.0f} s")
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
