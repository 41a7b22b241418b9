"""Does the notebook come to its end whatever a reader changes, and when a training is stopped?"""

import pytest
from conftest import Lab

LEFT_OUT = ("dimensions", "dimensions-plot", "bce")  # six more trainings, by the same functions


@pytest.fixture
def shorter(notebook):
    """A copy of the notebook without its dearest cells."""
    copy = notebook.copy()
    copy["cells"] = [cell for cell in notebook.cells if cell.id not in LEFT_OUT]
    return copy


class StoppedLab(Lab):
    """A reader stops the main training after two epochs and executes the cells below it."""

    def execute(self, cell):
        if cell.id != "training":
            return super().execute(cell)

        class Stopped(self.variables["Progress"]):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 2:
                    raise KeyboardInterrupt

        self.variables["Progress"] = Stopped
        with pytest.raises(KeyboardInterrupt):
            super().execute(cell)


def figures(lab):
    return [
        cell_id for cell_id in lab.shown if any(hasattr(it, "axes") for it, _ in lab.shown[cell_id])
    ]


def assert_whole_and_quiet(changed, lab, recwarn, capfd):
    """Require every figure, and nothing that a reader would see in red."""
    assert figures(changed) == [cell_id for cell_id in figures(lab) if cell_id not in LEFT_OUT]
    kinds = (UserWarning, RuntimeWarning, FutureWarning)
    assert [str(found.message) for found in recwarn if issubclass(found.category, kinds)] == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "parameters",
    [
        {"EPOCHS": 1, "LOSS": "mae", "BATCH_SIZE": 60_000},
        {"EPOCHS": 3, "LOSS": "binary_crossentropy", "HIDDEN_UNITS": 16, "LEARNING_RATE": 1.0},
    ],
)
def test_other_parameters(shorter, lab, tmp_path, recwarn, capfd, parameters):
    changed = Lab(shorter, tmp_path, images=7_000, **parameters)
    assert len(changed.ae_model.history.epoch) == parameters["EPOCHS"]
    assert_whole_and_quiet(changed, lab, recwarn, capfd)


def test_a_stopped_training_is_a_shorter_training(shorter, lab, tmp_path, recwarn, capfd):
    stopped = StoppedLab(shorter, tmp_path, images=7_000)
    assert [len(line.get_xdata()) for line in stopped.figure("loss-curves").axes[0].lines] == [2, 2]
    titles = [ax.get_title() for ax in stopped.figure("epochs-strip").axes]
    assert titles == ["epoka 0", "epoka 1", "epoka 2"]
    assert_whole_and_quiet(stopped, lab, recwarn, capfd)
