"""Is the result the same when a cell is executed twice, and with anybody's own settings?"""
import os
from concurrent.futures import ThreadPoolExecutor

import nbformat
import numpy as np
from nbclient import NotebookClient

from conftest import names

SLOW = {"training", "unseen", "linear", "dimensions", "baselines", "classify", "load", "split", "page"}
GETTERS = ["get_label", "get_xydata", "get_offsets", "get_array", "get_extent", "get_bbox"]


def content(thing):
    """Return what a cell has shown: its text or, of a figure, its texts and the places and colours of what is drawn."""
    if not hasattr(thing, "axes"):
        return thing.data
    texts = [text.get_text() for ax in thing.axes for text in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts)]
    artists = [artist for ax in thing.axes for artist in (*ax.lines, *ax.patches, *ax.collections, *ax.images)]
    return texts, [np.asarray(getattr(artist, getter)()).tolist() for artist in artists for getter in GETTERS
                   if hasattr(artist, getter)]


def test_cells_twice(run):
    """Each visible cell, in the state after the last one: nothing that it uses was changed on the way."""
    shown, printed = dict(run.shown), dict(run.printed)
    cells = [cell for cell in run.cells if cell.id not in SLOW and "jupyter" not in cell.metadata]
    for cell in cells:
        with run.unchanged():
            run.execute([cell])
            assert run.printed[cell.id] == printed[cell.id], cell.id
            for (new, new_metadata), (old, metadata) in zip(run.shown[cell.id], shown[cell.id], strict=True):
                assert (new_metadata == metadata) and (content(new) == content(old)) is True, cell.id
    assert len(cells) > 25


def test_building_and_training_twice(run, monkeypatch):
    """Sections 3 and 4, and a classifier: SEED, and not what was executed before, decides what they become."""
    def weights(before):
        run.keras.utils.set_random_seed(before)
        _, _, model = run.autoencoder(run.CODE_SIZE, run.x_train)
        start = model.get_weights()
        run.train(model, run.x_train[:2_000], epochs=1)
        run.keras.utils.set_random_seed(before)
        classifier = run.train_classifier(run.codes_train[:500], run.y_train[:500])
        return start + model.get_weights() + classifier.get_weights()

    first = weights(1)
    assert all(map(np.array_equal, first, weights(2)))
    monkeypatch.setitem(run.space, "SEED", run.SEED + 1)
    assert not np.array_equal(first[0], run.autoencoder(run.CODE_SIZE, run.x_train)[2].get_weights()[0])


def test_a_folder_that_cannot_be_written_to(run, monkeypatch, tmp_path):
    """One line says what was not saved and why; the page has been shown by then, and nothing is raised."""
    (tmp_path / "lab7_models").write_text("a file where the folder should be")
    monkeypatch.setattr(run, "folder", tmp_path)
    with run.unchanged():
        run.execute([cell for cell in run.cells if cell.id in ("page", "save")])
        assert "<iframe" in run.shown["page"][0][0].data
        said = run.printed["save"]
    assert said.startswith("Nie zapisano folderu lab7_models: File exists.") and said.count("\n") == 1


def test_a_name_taken_from_another_cell_has_one_origin(notebook):
    cells = {cell.id: names(cell) for cell in notebook.cells if cell.cell_type == "code"}
    taken = {name for used, _ in cells.values() for name in used}
    origins = {name: [cell_id for cell_id, (_, defined) in cells.items() if name in defined] for name in taken}
    assert {"x_train", "enc", "codes_test"} <= {name for name, own in origins.items() if own}
    assert {name: own for name, own in origins.items() if len(own) > 1} == {}


CELLS = ["silence", "imports", "parameters", "style", "show-images", "encoder", "decoder", "autoencoder",
         "learning-rate", "train", "progress", "tiles", "colours", "draw-plane", "train-classifier", "draw-regions"]
FIXED = """
rng = np.random.default_rng(1)
x_train = x_valid = rng.uniform(size=(60, 28, 28, 1)).astype("float32")
CLASSIFIER_EPOCHS = 2
enc, dec, ae_model = autoencoder(CODE_SIZE, x_train)
ae_model.summary(line_length=80, expand_nested=True)
history = train(ae_model, x_train, epochs=2)
codes, labels = enc.predict(x_train, verbose=0), np.resize(np.arange(10), 60)
print(len(history.epoch), codes.dtype, keras.config.epsilon(), ae_model.predict(x_train, verbose=0)[:9].tolist())
show_images(x_train[:4], 2, "Cztery obrazy", captions=DIGITS[:4], row_titles=["a", "b"])
classifier = train_classifier(codes, labels)
places = label_places(codes, labels)
figure, ax = plt.subplots(figsize=(5, 5))
draw_regions(ax, alpha=0.3)
draw_plane(ax, codes, labels, places, "Kody")
ax.plot([-1, 1], [0.25, 0.5], label="linia")
ax.legend()
show(figure, "Kody i obszary")
"""
FILES = {
    "keras.json": '{"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.01, "backend": "jax"}',
    "matplotlibrc": "\n".join([
        "figure.facecolor: black", "axes.facecolor: black", "text.color: white", "axes.grid: True",
        "image.origin: lower", "image.cmap: viridis", "figure.dpi: 50", "savefig.dpi: 30", "font.size: 20",
        "lines.linewidth: 8", "axes.prop_cycle: cycler(color=['yellow'])"]),
    "profile_default/ipython_kernel_config.py": """c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.rc = {"figure.dpi": 40}
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "facecolor": "red"}"""}
VARIABLES = {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1", "MPLBACKEND": "Agg", "COLUMNS": "40",
             "LINES": "10", "JUPYTER_COLUMNS": "40", "TERM": "dumb", "NO_COLOR": "1", "LC_ALL": "C",
             "TF_ENABLE_ONEDNN_OPTS": "0"}
ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "1"}  # which of the two is TensorFlow's own choice depends on the processor


def outputs(notebook, folder, files, variables):
    """Execute the start and the figures' functions on fixed arrays in a kernel of its own; return the outputs."""
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    home = {"HOME": folder, "KERAS_HOME": folder, "MATPLOTLIBRC": folder / "matplotlibrc", "IPYTHONDIR": folder}
    sources = {cell.id: cell.source for cell in notebook.cells}
    cells = [nbformat.v4.new_code_cell(source) for source in [*map(sources.get, CELLS), FIXED]]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=300, kernel_name="python3", coalesce_streams=True,
                   resources={"metadata": {"path": str(folder)}}
                   ).execute(env={**os.environ, **{name: str(path) for name, path in home.items()}, **variables})
    return [[{key: value for key, value in out.items() if key != "transient"} for out in cell.outputs]
            for cell in cells]


def test_settings_change_nothing(notebook, tmp_path):
    """Files of settings and variables of the environment: same texts, same pictures byte for byte."""
    (plain := tmp_path / "plain").mkdir(), (hostile := tmp_path / "hostile").mkdir()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(outputs, [notebook] * 2, [plain, hostile], [{}, FILES], [ONEDNN, VARIABLES])
    assert [cell for cell, one, other in zip([*CELLS, "FIXED"], first, second, strict=True) if one != other] == []
    assert str(first).count("image/png") == 4 and "stderr" not in str(first)  # two figures and their descriptions
