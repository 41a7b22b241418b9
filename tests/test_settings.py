"""Do the reader's own settings leave alone what is shown? The start and the figures' functions, in kernels."""
import json
import os

import nbformat
import pytest
from nbclient import NotebookClient

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
print(len(history.epoch), codes.dtype, repr(codes.tolist()), repr(history.history), keras.config.epsilon())
"""
DRAWN = """
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
DARK = """figure.facecolor: black
axes.facecolor: black
text.color: white
axes.grid: True
image.origin: lower
image.cmap: viridis
figure.dpi: 50
savefig.dpi: 30
font.size: 20
lines.linewidth: 8
axes.prop_cycle: cycler(color=['yellow'])
"""
SETTINGS = {
    "files": {"keras.json": json.dumps({"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.01,
                                        "backend": "jax"}),
              "matplotlibrc": DARK,
              "profile_default/ipython_kernel_config.py": """
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.rc = {"figure.dpi": 40}
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "facecolor": "red"}
"""},
    "environment": {"env": {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1", "MPLBACKEND": "Agg",
                            "COLUMNS": "40", "LINES": "10", "JUPYTER_COLUMNS": "40", "TERM": "dumb",
                            "NO_COLOR": "1", "LC_ALL": "C", "TF_ENABLE_ONEDNN_OPTS": "0"}},
}


def outputs(notebook, folder, files):
    """Execute the start and the figures' functions on fixed arrays in a kernel of its own; return the outputs."""
    home = {"HOME": folder, "KERAS_HOME": folder, "MATPLOTLIBRC": folder / "matplotlibrc", "IPYTHONDIR": folder}
    variables = {name: str(path) for name, path in home.items()} | {"MPLCONFIGDIR": os.environ["MPLCONFIGDIR"]}
    variables |= files.get("env", {})
    for name in set(files) - {"env"}:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(files[name], encoding="utf-8")
    sources = {cell.id: cell.source for cell in notebook.cells}
    cells = [nbformat.v4.new_code_cell(source) for source in [*map(sources.get, CELLS), FIXED, DRAWN]]
    part = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(part, timeout=300, kernel_name="python3", coalesce_streams=True,
                   resources={"metadata": {"path": str(folder)}}).execute(env=os.environ | variables)
    return [[{key: value for key, value in out.items() if key != "transient"} for out in cell.outputs]
            for cell in cells]


@pytest.fixture(scope="module")
def plain(notebook, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    os.environ.setdefault("MPLCONFIGDIR", str(folder))  # Matplotlib's list of fonts is made once for all kernels
    return outputs(notebook, folder, {})


def test_plain_run_shows_figures_and_a_table(plain):
    text = json.dumps(plain)
    assert text.count("image/png") == 4 and "encoder" in text and "stderr" not in text  # a figure and its description


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_change_nothing(notebook, plain, tmp_path, name):
    """Same texts, same pictures byte for byte."""
    assert outputs(notebook, tmp_path, SETTINGS[name]) == plain
