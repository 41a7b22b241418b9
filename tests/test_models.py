"""Are the models those of the task, and is each trained as the text says?"""

import math
from unittest.mock import MagicMock

import numpy as np
import pytest
from conftest import run_cell, run_cells


def layers_of(model):
    return [
        (layer.units, layer.activation.__name__) for layer in model.layers if layer.get_weights()
    ]


def test_encoder_and_decoder_are_those_of_the_task(lab):
    assert layers_of(lab.encoder(3)) == [(200, "relu"), (200, "relu"), (3, "tanh")]
    assert layers_of(lab.decoder(3)) == [(200, "relu"), (200, "relu"), (784, "relu")]
    assert lab.encoder(3).input_shape == lab.decoder(3).output_shape == (None, 28, 28, 1)
    assert lab.ae_model.layers == [lab.enc, lab.dec] and lab.n == 2


def test_the_decoder_starts_as_the_text_says(lab):
    """Bends spread over the square, pixels above zero."""
    hidden, _, pixels, _ = lab.decoder(2).layers
    kernel, bias = hidden.get_weights()
    assert np.std(kernel) == pytest.approx(1, abs=0.15)  # he_normal for two inputs
    assert bias.min() < -0.8 and bias.max() > 0.8
    np.testing.assert_allclose(pixels.get_weights()[1], 0.1, atol=1e-6)


def test_the_classifier_answers_with_the_most_probable_digit(lab):
    assert layers_of(lab.digit_classifier(5)) == [(128, "relu"), (128, "relu"), (10, "softmax")]
    probabilities = lab.classifier.predict_on_batch(lab.codes_test)
    np.testing.assert_array_equal(lab.predicted, probabilities.argmax(axis=1))
    np.testing.assert_array_equal(lab.classify(lab.classifier, lab.codes_test), lab.predicted)


def test_each_training_gets_its_images_its_targets_its_epochs_and_its_loss(lab):
    def repeated(count):
        return np.tile(lab.x_train[:count], (10_000 // count, 1, 1, 1))

    low, part = lab.x_train[lab.y_train < 5], lab.x_train[:20_000]
    flat = lab.x_train.reshape(-1, 784)
    codes, by_pca = lab.enc.predict_on_batch(lab.x_train), lab.pca.transform(flat)
    labelled = lab.enc_labelled.predict_on_batch(lab.x_train)
    by_digit = "sparse_categorical_crossentropy"
    expected = [
        (lab.x_train, lab.x_train, lab.EPOCHS, "mse"),
        (repeated(100), repeated(100), 25, "mse"),
        (repeated(1_000), repeated(1_000), 25, "mse"),
        (low, low, 10, "mse"),
        (codes, lab.y_train, 20, by_digit),
        (lab.x_train, lab.y_train, 5, by_digit),
        (labelled, lab.x_train, 5, "mse"),
        (by_pca, lab.y_train, 20, by_digit),
        (flat, lab.y_train, 10, by_digit),
        *[(part, part, 6, "mse")] * 4,
    ]
    for (x, y, options), (x_expected, y_expected, epochs, loss) in zip(
        lab.trainings, expected, strict=True
    ):
        for given, right in [(x, x_expected), (y, y_expected)]:
            assert np.array_equal(given, right) or np.allclose(given, right, atol=1e-3)
        assert (options["epochs"], options["loss"]) == (epochs, loss)
    assert len(lab.x_train) > 20_000, "a part of the images would be all of them"
    for images in lab.trainings[0][2]["validation_data"]:
        assert images is lab.x_valid


def test_codes_and_reconstructions_are_those_of_the_trained_networks(lab):
    for name in ("train", "test"):
        images = getattr(lab, f"x_{name}")
        np.testing.assert_allclose(
            getattr(lab, f"codes_{name}"), lab.enc.predict_on_batch(images), atol=1e-4
        )
    np.testing.assert_allclose(
        lab.reconstructions, lab.ae_model.predict_on_batch(lab.x_test), atol=1e-4
    )
    np.testing.assert_allclose(
        lab.codes_labelled, lab.enc_labelled.predict_on_batch(lab.x_test), atol=1e-4
    )


@pytest.mark.parametrize("batch_size, peak", [(250, 0.003), (60, 0.02)])
def test_train_obeys_its_parameters(lab, notebook, tmp_path, batch_size, peak):
    space = lab.space | {"BATCH_SIZE": batch_size, "LEARNING_RATE": peak}
    (cell,) = [cell for cell in notebook.cells if cell.id == "train"]
    run_cell(cell, space, tmp_path)
    model = MagicMock()
    space["train"](model, np.zeros(600), np.zeros(600), epochs=20, loss="mse", verbose=0)
    optimizer = model.compile.call_args.kwargs["optimizer"]
    assert isinstance(optimizer, lab.keras.optimizers.Adam)
    assert model.fit.call_args.kwargs == {"batch_size": batch_size, "epochs": 20, "verbose": 0}
    steps = 20 * math.ceil(600 / batch_size)
    rates = [float(optimizer._learning_rate(step)) for step in range(steps + 1)]
    assert rates[0] == 0 and rates[-1] == pytest.approx(0, abs=1e-9)
    assert max(rates) == rates[steps // 10] == pytest.approx(peak)


def test_the_seed_and_nothing_else_decides_where_a_network_starts(lab, notebook, tmp_path):
    """Each cell that trains gets the same weights again, whatever ran before; others by SEED."""
    cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code"
        and ("\ntrain(" in cell.source or "    train(" in cell.source or cell.id == "build")
        and cell.id != "training"
    ]
    assert len(cells) == 8

    def start(cell, seed):
        weights = []

        def train(model, x, y, **options):
            weights.extend(model.get_weights())

        space = lab.space | {"SEED": seed, "train": train}
        run_cell(cell, space, tmp_path)
        return weights or space["ae_model"].get_weights()

    for cell in cells:
        first, again, other = start(cell, 1), start(cell, 1), start(cell, 2)
        assert all(map(np.array_equal, first, again)), cell.id
        assert not any(np.array_equal(one, two) for one, two in zip(first, other) if np.ptp(one))
    expected = np.random.default_rng(lab.SEED).uniform(-1, 1, size=(100, 2))
    np.testing.assert_array_equal(lab.random_codes, expected)


def test_another_n_is_refused_before_the_training(lab, notebook, tmp_path):
    (cell,) = [cell.copy() for cell in notebook.cells if cell.id == "build"]
    cell["source"] = cell.source.replace("n = 2\n", "n = 3\n")
    with pytest.raises(AssertionError, match="n musi wynosić 2, bo .*; dłuższe kody porównuje"):
        run_cell(cell, dict(lab.space), tmp_path)


def assert_whole(lab, changed, missing=()):
    """Require every figure of the lab, and every cell at its end but those that may be missing."""
    assert lab.figures.keys() == changed.figures.keys()
    assert lab.printed.keys() - changed.printed.keys() == set(missing)


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_no_epoch_at_all_comes_to_the_end(notebook, lab, tmp_path, capfd):
    class OneBatch(lab.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    changed = run_cells(
        notebook, tmp_path, 6_500, [OneBatch()], EPOCHS=0, BATCH_SIZE=60_000, LEARNING_RATE=1.0
    )
    assert_whole(lab, changed)
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_below_a_stopped_training_every_cell_works(notebook, lab, tmp_path, capfd):
    class Stop(lab.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    changed = run_cells(notebook, tmp_path, 6_500, [Stop()])
    trained = ["training", "few", "unseen", "classifier-training", "labelled", "labelled-decoder"]
    assert_whole(lab, changed, [*trained, "baselines", "dimensions"])
    assert capfd.readouterr().err == ""
    (ax,) = changed.figures["Strata treningowa i walidacyjna w kolejnych epokach"].axes
    assert [len(line.get_xdata()) for line in ax.lines] == [1, 1]
