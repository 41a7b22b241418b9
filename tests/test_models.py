"""Are the models those of the task, and is each trained as the text says?"""

import math
import re
from unittest.mock import MagicMock

import numpy as np
import pytest
from conftest import Interrupted, run_cell, run_cells


def layers_of(model):
    return [
        (layer.units, layer.activation.__name__) for layer in model.layers if layer.get_weights()
    ]


def test_encoder_and_decoder_are_those_of_the_task(lab):
    assert layers_of(lab.encoder(3)) == [(200, "relu"), (200, "relu"), (3, "tanh")]
    assert layers_of(lab.decoder(3)) == [(200, "relu"), (200, "relu"), (784, "relu")]
    assert lab.encoder(3).input_shape == lab.decoder(3).output_shape == (None, 28, 28, 1)
    assert lab.ae_model.layers == [lab.enc, lab.dec] and lab.n == 2
    assert layers_of(lab.digit_classifier(5)) == [(128, "relu"), (128, "relu"), (10, "softmax")]


def test_the_decoder_starts_as_the_text_says(lab):
    """Folds spread over the square, pixels above zero."""
    hidden, _, pixels, _ = lab.decoder(2).layers
    kernel, bias = hidden.get_weights()
    assert np.std(kernel) == pytest.approx(1, abs=0.15)  # he_normal for two inputs
    assert bias.min() < -0.8 and bias.max() > 0.8
    np.testing.assert_allclose(pixels.get_weights()[1], 0.1, atol=1e-6)


def test_each_training_gets_its_images_and_its_targets(run, lab):
    def repeated(images):
        return np.concatenate([images] * math.ceil(10_000 / len(images)))[:10_000]

    few = {count: repeated(lab.x_train[:count]) for count in (100, 1_000, 10_000)}
    low = repeated(lab.x_train[lab.y_train < 5][:10_000])
    flat = lab.x_train.reshape(-1, 784)
    labelled = lab.enc_labelled.predict_on_batch(lab.x_train)
    expected = [
        (lab.ae_model, lab.x_train, lab.x_train),
        (lab.classifier, lab.codes_train, lab.y_train),
        (lab.pca_classifier, lab.pca.transform(flat), lab.y_train),
        (lab.pixel_classifier, flat, lab.y_train),
        (None, lab.x_train, lab.y_train),
        (lab.decoders["bez etykiet"], lab.codes_train, lab.x_train),
        (lab.decoders["z etykietami"], labelled, lab.x_train),
        *((lab.networks[count], x, x) for count, x in few.items()),
        (lab.ae_low, low, low),
        *((lab.autoencoders[size], few[10_000], few[10_000]) for size in (4, 8, 16)),
    ]
    for (model, x, y, options), (network, images, targets) in zip(
        run.trainings, expected, strict=True
    ):
        assert network in (model, None)
        for given, right in [(x, images), (y, targets)]:
            assert np.array_equal(given, right) or np.allclose(given, right, atol=1e-3)
        assert options["loss"] == ("mse" if y.ndim == 4 else "sparse_categorical_crossentropy")
    assert run.trainings[4][0].layers == [lab.enc_labelled, lab.classifier_labelled]
    main = run.trainings[0][3]
    assert main["epochs"] == lab.EPOCHS
    assert all(images is lab.x_valid for images in main["validation_data"])


@pytest.mark.parametrize(
    "name, side",
    [
        ("classifiers", slice(1, 4)),
        ("decoders", slice(5, 7)),
        ("autoencoders of the appendix", slice(7, 14)),
    ],
)
def test_networks_that_are_compared_have_one_budget(run, name, side):
    budgets = {
        (len(x), options["epochs"], options.get("learning_rate"))
        for _, x, _, options in run.trainings[side]
    }
    assert len(budgets) == 1, name


def test_the_networks_of_all_digits_are_one(lab):
    assert lab.ae_all is lab.networks[10_000] is lab.autoencoders[2]
    assert [model.output_shape[1] for model in lab.ae_low.layers[:1]] == [2]
    sizes = {size: model.layers[0].output_shape[1] for size, model in lab.autoencoders.items()}
    assert sizes == {2: 2, 4: 4, 8: 8, 16: 16}


def test_codes_and_images_are_those_of_the_trained_networks(lab):
    def assert_near(found, expected):
        np.testing.assert_allclose(found, expected, atol=1e-4)

    flat_test = lab.x_test.reshape(-1, 784)
    assert_near(lab.codes_train, lab.enc.predict_on_batch(lab.x_train))
    assert_near(lab.codes_test, lab.enc.predict_on_batch(lab.x_test))
    assert_near(lab.codes_labelled, lab.enc_labelled.predict_on_batch(lab.x_test))
    assert_near(lab.reconstructions, lab.ae_model.predict_on_batch(lab.x_test))
    assert_near(lab.random_images, lab.dec.predict_on_batch(lab.random_codes))
    assert_near(lab.from_low, lab.ae_low.predict_on_batch(lab.x_test))
    assert_near(lab.from_all, lab.ae_all.predict_on_batch(lab.x_test))
    assert_near(lab.pca_codes_test, lab.pca.transform(flat_test))
    decoded = lab.pca.inverse_transform(lab.pca_codes_test).reshape(lab.x_test.shape)
    assert_near(lab.pca_reconstructions, decoded)
    probabilities = lab.classifier.predict_on_batch(lab.codes_test)
    np.testing.assert_array_equal(lab.predicted, probabilities.argmax(axis=1))
    expected = np.random.default_rng(lab.SEED).uniform(-1, 1, size=(100, 2))
    np.testing.assert_array_equal(lab.random_codes, expected)


@pytest.mark.parametrize(
    "batch_size, peak, own", [(250, 0.003, None), (60, 0.02, None), (60, 0.02, 0.5)]
)
def test_train_obeys_its_parameters(run, lab, code, tmp_path, batch_size, peak, own):
    space = run.space | {"BATCH_SIZE": 1, "LEARNING_RATE": 9.0}
    run_cell(code["train"], space, tmp_path)
    space.update(BATCH_SIZE=batch_size, LEARNING_RATE=peak)
    model = MagicMock()
    space["train"](model, np.zeros(600), np.zeros(600), 20, "mse", learning_rate=own, verbose=0)
    optimizer = model.compile.call_args.kwargs["optimizer"]
    assert isinstance(optimizer, lab.keras.optimizers.Adam)
    options = model.fit.call_args.kwargs
    assert (options["batch_size"], options["epochs"], options["verbose"]) == (batch_size, 20, 0)
    steps = 20 * math.ceil(600 / batch_size)
    schedule = lab.keras.optimizers.schedules.deserialize(optimizer.get_config()["learning_rate"])
    rates = [float(schedule(step)) for step in range(steps + 1)]
    assert rates[0] == 0 and rates[-1] == pytest.approx(0, abs=1e-9)
    assert max(rates) == rates[steps // 10] == pytest.approx(own or peak)


def test_the_seed_and_nothing_else_decides_where_a_network_starts(run, code, tmp_path):
    """Each cell that builds networks gets the same weights again, whatever ran before."""
    builds = re.compile(r"^ *\S+ = (?:encoder|decoder|digit_classifier|Sequential)\(", re.M)
    cells = [cell for cell in code.values() if builds.search(cell.source)]
    assert "build" in [cell.id for cell in cells] and len(cells) > 5

    def start(cell, seed):
        weights = []

        def train(model, x, y, **options):
            weights.extend(model.get_weights())

        space = run.space | {"SEED": seed, "train": train}
        space["train_short"] = lambda model, images: train(model, images, images)
        run_cell(cell, space, tmp_path)
        return weights or space["ae_model"].get_weights()

    for cell in cells:
        first, again, other = start(cell, 1), start(cell, 1), start(cell, 2)
        assert all(map(np.array_equal, first, again)), cell.id
        assert not any(np.array_equal(one, two) for one, two in zip(first, other) if np.ptp(one))


def test_another_n_is_refused_before_the_training(run, code, tmp_path):
    cell = code["build"].copy()
    cell["source"] = cell.source.replace("n = 2\n", "n = 3\n")
    with pytest.raises(ValueError, match="n musi wynosić 2, bo .*; dłuższe kody porównuje"):
        run_cell(cell, dict(run.space), tmp_path)


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_no_epoch_at_all_comes_to_the_end(notebook, run, tmp_path, capfd):
    parameters = {"EPOCHS": 0, "BATCH_SIZE": 60_000, "LEARNING_RATE": 1.0}
    changed = run_cells(notebook, tmp_path, images=6_500, epochs=1, **parameters)
    assert list(changed.figures) == list(run.figures)
    assert list(changed.printed) == list(run.printed)
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_below_a_stopped_training_every_cell_works(notebook, run, lab, tmp_path, capfd):
    def stop_after_an_epoch(space):
        class Stop(space["Progress"]):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    raise Interrupted

        space["Progress"] = Stop

    changes = {"progress": stop_after_an_epoch}
    changed = run_cells(notebook, tmp_path, images=6_500, epochs=2, changes=changes)
    assert list(changed.figures) == list(run.figures)
    trained = {"training", "classifier-training", "baselines", "labelled", "labelled-decoders"}
    assert run.printed.keys() - changed.printed.keys() == trained | {"few", "unseen", "dimensions"}
    assert capfd.readouterr().err == ""
    (ax,) = changed.figures["Strata treningowa i walidacyjna w kolejnych epokach"].axes
    assert [len(line.get_xdata()) for line in ax.lines] == [1, 1]
