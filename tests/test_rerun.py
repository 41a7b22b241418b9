"""Can a cell be executed twice, with the same outputs? And does each name come from one cell?"""
import numpy as np
import pytest

from conftest import names

SLOW = {"training", "unseen", "linear", "dimensions", "baselines", "classify", "load", "split", "page"}
GETTERS = ["get_position", "get_xydata", "get_offsets", "get_array", "get_extent", "get_bbox", "get_facecolor",
           "get_color", "get_alpha", "get_visible"]


def content(figure):
    """Return what a figure is made of: its texts and its artists' data and colours, wherever the layout puts them."""
    parts = [[ax.texts, ax.lines, ax.patches, ax.collections, ax.images] for ax in figure.axes]
    artists = [artist for kinds in parts for kind in kinds for artist in kind]
    for artist in artists:
        getattr(artist, "update_scalarmappable", int)()  # otherwise colours are known only when it is drawn
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    frames = [(ax.get_title(), ax.get_xlabel(), ax.get_ylabel(), ax.get_xlim(), ax.get_ylim()) for ax in figure.axes]
    texts = [text.get_text() for owner in legends for text in owner.get_texts()]
    return [frames, texts + [text.get_text() for ax in figure.axes for text in ax.texts],
            [np.asarray(getattr(artist, getter)()).tolist() for artist in artists for getter in GETTERS
             if hasattr(artist, getter)],
            [path.vertices.tolist() for ax in figure.axes for drawn in ax.collections for path in drawn.get_paths()]]


@pytest.fixture
def kept(run):
    """The run, put back afterwards as it was."""
    contents = run.space, run.shown, run.printed
    old = [dict(content) for content in contents]
    yield run
    for content, own in zip(contents, old):
        content.clear()
        content.update(own)


def test_cells_twice(kept, notebook):
    """Each visible cell, in the state after the last one: nothing that it uses was changed on the way."""
    state, before = dict(kept.space), (dict(kept.shown), dict(kept.printed))
    cells = [cell for cell in kept.cells if cell.id not in SLOW and "jupyter" not in cell.metadata]
    assert len(cells) > 25
    for cell in cells:
        kept.execute([cell])
        kept.space.clear()
        kept.space.update(state)
        assert kept.printed[cell.id] == before[1][cell.id], cell.id
        for (new, new_metadata), (old, metadata) in zip(kept.shown[cell.id], before[0][cell.id], strict=True):
            assert new_metadata == metadata and type(new) is type(old), cell.id
            if hasattr(new, "axes"):
                assert content(new) == content(old), cell.id
            else:
                assert new.data == old.data, cell.id


def test_a_folder_that_cannot_be_written_to(kept, monkeypatch, tmp_path):
    """One line says what was not saved and why; the page has been shown by then, and nothing is raised."""
    (tmp_path / "lab7_models").write_text("a file where the folder should be")
    monkeypatch.setattr(kept, "folder", tmp_path)
    kept.execute([cell for cell in kept.cells if cell.id in ("page", "save")])
    assert "<iframe" in kept.shown["page"][0][0].data
    assert kept.printed["save"].startswith("Nie zapisano folderu lab7_models: File exists.")
    assert kept.printed["save"].count("\n") == 1


def test_building_and_training_twice(run):
    """Sections 3 and 4, and a classifier: the seed is set anew each time."""
    def weights():
        _, _, model = run.autoencoder(run.CODE_SIZE, run.x_train)
        run.train(model, run.x_train[:2_000], epochs=1)
        classifier = run.train_classifier(run.codes_train[:500], run.y_train[:500])
        return model.get_weights() + classifier.get_weights()

    for first, second in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_name_taken_from_another_cell_has_one_origin(notebook):
    cells = {cell.id: names(cell) for cell in notebook.cells if cell.cell_type == "code"}
    taken = {name for used, _ in cells.values() for name in used}
    origins = {name: [cell_id for cell_id, (_, defined) in cells.items() if name in defined] for name in taken}
    assert {"x_train", "enc", "codes_test"} <= {name for name, own in origins.items() if own}
    assert {name: own for name, own in origins.items() if len(own) > 1} == {}
