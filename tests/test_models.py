"""Are the models those of the task, and is each trained as the text says?"""

import math
import re
from unittest.mock import MagicMock

import numpy as np
import pytest
from conftest import Interrupted, run_cell, run_cells
from regression import numbers, value


def assert_layers(model, layers):
    """Require a model's layers, each with all its settings, whatever their names."""
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in layers]
    for layer, right in zip(model.layers, layers, strict=True):
        assert layer.get_config() | {"name": ""} == right.get_config() | {"name": ""}
        assert all(weight.dtype == "float32" for weight in layer.weights)


def encoder_layers(lab, n):
    dense = lab.keras.layers.Dense
    return [lab.keras.layers.Flatten(), dense(200, "relu"), dense(200, "relu"), dense(n, "tanh")]


def decoder_layers(lab):
    """Weights start as the text says: folds spread over the square, pixels above zero."""
    layers, initializers = lab.keras.layers, lab.keras.initializers
    folds = {"kernel_initializer": "he_normal"}
    folds["bias_initializer"] = initializers.RandomUniform(-1, 1)
    return [
        layers.Dense(200, "relu", **folds),
        layers.Dense(200, "relu"),
        layers.Dense(784, "relu", bias_initializer=initializers.Constant(0.1)),
        layers.Reshape((28, 28, 1)),
    ]


def test_encoder_and_decoder_are_those_of_the_task(lab):
    sizes = {size: model.layers for size, model in lab.autoencoders.items()}
    assert sizes.keys() == {2, 4, 8, 16}
    pairs = [(2, lab.ae_model.layers), (2, lab.ae_low.layers), *sizes.items()]
    pairs += [(2, model.layers) for model in lab.networks.values()]
    pairs += [(2, [lab.enc_labelled, decoder]) for decoder in lab.decoders.values()]
    for size, (enc, dec) in pairs:
        assert_layers(enc, encoder_layers(lab, size))
        assert_layers(dec, decoder_layers(lab))
        assert (enc.input_shape, dec.input_shape) == ((None, 28, 28, 1), (None, size))
    assert lab.ae_model.layers == [lab.enc, lab.dec]


def test_classifiers_are_alike(lab):
    dense = lab.keras.layers.Dense
    models = [lab.classifier, lab.pca_classifier, lab.pixel_classifier, lab.classifier_labelled]
    for model in models:
        assert_layers(model, [dense(128, "relu"), dense(128, "relu"), dense(10, "softmax")])
    assert [model.input_shape[1] for model in models] == [2, 2, 784, 2]


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


def test_networks_that_are_compared_have_one_budget(notebook, run, lab):
    def budgets(trainings):
        return {
            (len(x), options["epochs"], options.get("learning_rate"))
            for _, x, _, options in trainings
        }

    (intro,) = [cell.source for cell in notebook.cells if cell.id == "few-intro"]
    (rate,) = numbers(intro)
    assert budgets(run.trainings[1:4]) == {(len(lab.x_train), 20, None)}, "classifiers"
    assert budgets(run.trainings[4:7]) == {(len(lab.x_train), 5, None)}, "with and without labels"
    assert budgets(run.trainings[7:]) == {(10_000, 25, value(rate))}, "the appendix's autoencoders"
    assert lab.ae_all is lab.networks[10_000] is lab.autoencoders[2]


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
    assert_near(lab.pca.mean_, lab.x_train.reshape(-1, 784).mean(axis=0))
    assert_near(lab.pca_codes_test, lab.pca.transform(flat_test))
    decoded = lab.pca.inverse_transform(lab.pca_codes_test).reshape(lab.x_test.shape)
    assert_near(lab.pca_reconstructions, decoded)
    probabilities = lab.classifier.predict_on_batch(lab.codes_test)
    np.testing.assert_array_equal(lab.predicted, probabilities.argmax(axis=1))
    expected = np.random.default_rng(lab.SEED).uniform(-1, 1, size=(100, 2))
    np.testing.assert_array_equal(lab.random_codes, expected)


@pytest.mark.parametrize("batch_size, own", [(250, None), (60, 0.5)])
def test_train_obeys_its_parameters(run, lab, code, tmp_path, batch_size, own):
    space = dict(run.space)
    run_cell(code["train"], space, tmp_path)
    space.update(BATCH_SIZE=batch_size, LEARNING_RATE=0.02)
    model, x, y = MagicMock(), np.zeros(600), np.zeros(600)
    space["train"](model, x, y, 20, "mse", learning_rate=own, verbose=0)
    (given_x, given_y), options = model.fit.call_args
    assert given_x is x and given_y is y
    (progress,) = options.pop("callbacks")
    assert type(progress) is lab.Progress
    assert options == {"batch_size": batch_size, "epochs": 20, "verbose": 0}
    compiled = model.compile.call_args.kwargs
    optimizer = compiled.pop("optimizer")
    assert compiled == {"loss": "mse", "steps_per_execution": 20}
    schedules = lab.keras.optimizers.schedules
    schedule = schedules.deserialize(optimizer.get_config()["learning_rate"])
    adam = lab.keras.optimizers.Adam(schedule, name=optimizer.name)
    assert type(optimizer) is type(adam) and optimizer.get_config() == adam.get_config()
    steps, peak = 20 * math.ceil(600 / batch_size), own or 0.02
    rates = [float(schedule(step)) for step in range(steps + 1)]
    rise = np.linspace(0, peak, steps // 10, endpoint=False)
    fall = peak * (1 + np.cos(np.linspace(0, np.pi, steps + 1 - len(rise)))) / 2
    np.testing.assert_allclose(rates, [*rise, *fall], atol=1e-6)


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
