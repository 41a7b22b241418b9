"""Are the networks the lab's, and are they trained as the text says?"""
import contextlib
import math
from unittest.mock import MagicMock

import keras
import numpy as np
import pytest

from reading import call, once_more


def dense_layers(model):
    return [(layer.units, layer.activation.__name__) for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("n", [1, 2, 32])
def test_decoder_mirrors_encoder(run, n):
    enc, dec = run.encoder(n), run.decoder(n)
    assert kinds(enc) == ["Flatten", "Dense", "Dense", "Dense"] and kinds(dec) == ["Dense", "Dense", "Dense", "Reshape"]
    assert dense_layers(enc) == [(200, "relu"), (200, "relu"), (n, "tanh")]
    assert dense_layers(dec) == [(200, "relu"), (200, "relu"), (784, "relu")]
    assert [enc.count_params(), dec.count_params()] == [197_200 + 201 * n, 197_784 + 200 * (n + 1)]
    assert enc.input_shape == dec.output_shape == (None, 28, 28, 1) and enc.output_shape == dec.input_shape == (None, n)


@pytest.fixture(scope="module")
def dark_images():
    """Images whose mean is another one than that of the digits."""
    return np.random.default_rng(0).uniform(0.5, 1, (20, 28, 28, 1)).astype("float32")


def test_first_weights(run, dark_images):
    """The output's biases are the mean image. The decoder's first layer has weights by He's method (a truncated normal
    distribution of deviation sqrt(2 / 2)) and biases from [-1, 1]."""
    enc, dec, ae_model = run.autoencoder(2, dark_images)
    assert ae_model.layers == [enc, dec]
    np.testing.assert_allclose(dec.get_layer("pixels").get_weights()[1], dark_images.mean(axis=0).ravel(), rtol=1e-6)
    kernel, bias = dec.layers[0].get_weights()
    assert kernel.std() == pytest.approx(1, abs=0.12) and 1.8 < np.abs(kernel).max() < 2.4
    assert -1 <= bias.min() < -0.9 and 0.9 < bias.max() <= 1 and bias.std() == pytest.approx(0.577, abs=0.06)


def test_parameters(notebook):
    cell, = [cell for cell in notebook.cells if cell.id == "parameters"]
    exec(cell.source, values := {})
    expected = {"CODE_SIZE": 2, "HIDDEN_UNITS": 200, "LOSS": "mse", "EPOCHS": 55, "BATCH_SIZE": 250,
                "LEARNING_RATE": 0.003, "CLASSIFIER_UNITS": 128, "CLASSIFIER_EPOCHS": 20, "VALID_SIZE": 5_000,
                "DIMENSIONS": (2, 4, 8, 16, 32)}
    assert {name: values.get(name) for name in expected} == expected


@pytest.mark.parametrize("value", [3, 1, "2"])
def test_code_size_must_be_2(run, value):
    """An error says so before the network is built, so that nobody waits for the training."""
    with pytest.raises(ValueError, match=f"^CODE_SIZE musi wynosić 2.*{value!r}$"):
        once_more(run, "build", CODE_SIZE=value, autoencoder=pytest.fail)


def expect_schedule(optimizer, total, peak):
    """Require Adam with a rate that rises to its peak in a fiftieth of the steps and falls like a cosine to zero."""
    assert type(optimizer) is keras.optimizers.Adam
    rate = keras.optimizers.schedules.deserialize(optimizer.get_config()["learning_rate"])
    top = total // 50
    assert [float(rate(step)) for step in (0, top, total)] == pytest.approx([0, peak, 0], rel=1e-6, abs=1e-9)
    for step in {*range(0, total + 1, max(1, total // 50)), *range(max(0, top - 3), top + 4)}:
        share = step / top if step < top else (1 + math.cos(math.pi * (step - top) / (total - top))) / 2
        assert float(rate(step)) == pytest.approx(peak * share, rel=1e-3, abs=1e-7)


def test_train_has_the_input_as_target(run, dark_images, monkeypatch):
    monkeypatch.setitem(run.space, "BATCH_SIZE", 7)
    monkeypatch.setitem(run.space, "EPOCHS", 1_000)  # not this number, but the argument counts
    model = MagicMock()
    assert run.train(model, dark_images, 40, callbacks=["mine"]) is model.fit.return_value
    (x, y), options = model.fit.call_args
    assert y is x and options["batch_size"] == 7 and options["epochs"] == 40 and options["callbacks"] == ["mine"]
    np.testing.assert_array_equal(x, dark_images)
    assert len(options["validation_data"]) == 2 and all(part is run.x_valid for part in options["validation_data"])
    assert options.get("shuffle", True)
    expect_schedule(model.compile.call_args.kwargs["optimizer"], 40 * 3, run.LEARNING_RATE)  # 7 + 7 + 6 images


def test_trained_models(run):
    """Their layers and losses, and their steps, as the optimizers remember them: epochs x batches."""
    for model, epochs, count, size in [(run.ae_model, run.EPOCHS, len(run.x_train), run.BATCH_SIZE),
                                       (run.ae_low, 10, np.sum(run.y_train < 5), run.BATCH_SIZE),
                                       (run.classifier, run.CLASSIFIER_EPOCHS, len(run.x_train), 500)]:
        assert int(model.optimizer.iterations) == (total := epochs * math.ceil(count / size))
        expect_schedule(model.optimizer, total, run.LEARNING_RATE)
    assert run.history.model is run.ae_model and len(run.history.epoch) == run.EPOCHS
    assert run.ae_model.layers == [run.enc, run.dec] and run.ae_low.layers == [run.enc_low, run.dec_low]
    assert run.ae_model.loss == run.ae_low.loss == run.linear.loss == run.LOSS == "mse"
    assert kinds(run.linear) == ["Flatten", "Dense", "Dense", "Reshape"]  # no hidden layer, no activation
    assert dense_layers(run.linear) == [(2, "linear"), (784, "linear")]
    assert float(run.linear.optimizer.learning_rate) == pytest.approx(0.01)
    for classifier, size in [(run.classifier, 2), (run.pca_classifier, 2), (run.pixel_classifier, 784)]:
        assert dense_layers(classifier) == [(128, "relu"), (128, "relu"), (10, "softmax")]
        assert len(classifier.layers) == 3 and classifier.input_shape == (None, size)
        assert classifier.loss == "sparse_categorical_crossentropy"


LESSONS = {  # for each cell that trains: what the functions get in it, one call after the other
    "training": lambda run: {"train": [run.x_train]},
    "linear": lambda run: {"train": [run.x_train[:20_000]]},
    "unseen": lambda run: dict.fromkeys(["autoencoder", "train"], [run.x_train[np.isin(run.y_train, range(5))]]),
    "dimensions": lambda run: dict.fromkeys(["autoencoder", "train"], len(run.DIMENSIONS) * [run.x_train[:20_000]]),
    "classify": lambda run: {"train_classifier": [call(run.enc, run.x_train)]},
    "baselines": lambda run: {"train_classifier": [run.pca.transform(run.x_train.reshape(-1, 784)),
                                                   run.x_train[:20_000].reshape(-1, 784)]},
}


@pytest.mark.parametrize("cell", LESSONS)
def test_what_each_network_learns_from(run, cell):
    taught = {"autoencoder": MagicMock(wraps=run.autoencoder), "train": MagicMock(),
              "train_classifier": MagicMock(return_value=run.classifier)}
    with contextlib.suppress(AssertionError):  # an untrained model is not like PCA
        once_more(run, cell, progress=MagicMock(), **taught)
    given = {name: [each.args for each in mock.call_args_list] for name, mock in taught.items() if mock.called}
    expected = LESSONS[cell](run)
    assert set(given) == set(expected)
    for name, calls in given.items():
        for args, images in zip(calls, expected[name], strict=True):
            np.testing.assert_allclose(args[name != "train_classifier"], images, atol=1e-3)
            if name == "train_classifier":
                np.testing.assert_array_equal(args[1], run.y_train[:len(images)])
    options = {"linear": [{"epochs": 8, "rate": 0.01}], "unseen": [{"epochs": 10}],
               "dimensions": len(run.DIMENSIONS) * [{"epochs": 6}]}
    if cell in options:
        assert [each.kwargs for each in taught["train"].call_args_list] == options[cell]
        assert [each.args[0] for each in taught["autoencoder"].call_args_list] in ([], [2], list(run.DIMENSIONS))
