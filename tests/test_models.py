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
    assert enc.count_params() == 785 * 200 + 201 * 200 + 201 * n
    assert dec.count_params() == (n + 1) * 200 + 201 * 200 + 201 * 784
    assert enc.input_shape == dec.output_shape == (None, 28, 28, 1) and enc.output_shape == dec.input_shape == (None, n)


@pytest.fixture(scope="module")
def dark_images():
    """Images whose mean is another one than that of the digits."""
    return np.random.default_rng(0).uniform(0.5, 1, (20, 28, 28, 1)).astype("float32")


def test_autoencoder_is_the_chain_and_starts_at_the_mean_image(run, dark_images):
    enc, dec, ae_model = run.autoencoder(3, dark_images)
    assert ae_model.layers == [enc, dec]
    np.testing.assert_allclose(dec.get_layer("pixels").get_weights()[1], dark_images.mean(axis=0).ravel(), rtol=1e-6)


def test_weights_depend_on_the_seed_only(run, dark_images, monkeypatch):
    weights = run.autoencoder(2, dark_images)[2].get_weights()
    keras.utils.set_random_seed(1_000)
    for first, again in zip(weights, run.autoencoder(2, dark_images)[2].get_weights(), strict=True):
        np.testing.assert_array_equal(first, again)
    monkeypatch.setitem(run.space, "SEED", run.SEED + 1)
    assert (weights[0] != run.autoencoder(2, dark_images)[2].get_weights()[0]).any()


def test_first_layer_of_the_decoder_covers_the_square(run, dark_images):
    """Weights by He's method (a truncated normal distribution of deviation sqrt(2 / 2)), biases from [-1, 1]."""
    kernel, bias = run.autoencoder(2, dark_images)[1].layers[0].get_weights()
    assert kernel.std() == pytest.approx(1, abs=0.12) and 1.8 < np.abs(kernel).max() < 2.4
    assert -1 <= bias.min() < -0.9 and 0.9 < bias.max() <= 1 and bias.std() == pytest.approx(0.577, abs=0.06)


def test_parameters_are_those_of_the_text(notebook):
    cell, = [cell for cell in notebook.cells if cell.id == "parameters"]
    exec(cell.source, values := {})
    expected = {"CODE_SIZE": 2, "HIDDEN_UNITS": 200, "LOSS": "mse", "EPOCHS": 55, "BATCH_SIZE": 250,
                "LEARNING_RATE": 0.003, "CLASSIFIER_UNITS": 128, "CLASSIFIER_EPOCHS": 20, "VALID_SIZE": 5_000,
                "DIMENSIONS": (2, 4, 8, 16, 32)}
    assert {name: values.get(name) for name in expected} == expected


@pytest.mark.parametrize("value", [3, 1, "2"])
def test_notebook_refuses_a_code_that_is_not_a_plane(run, value):
    """It does so before the network is built, so that nobody waits for the training."""
    with pytest.raises(ValueError, match=f"CODE_SIZE musi wynosić 2.*{value!r}") as error:
        once_more(run, "build", CODE_SIZE=value, autoencoder=pytest.fail)
    assert "\n" not in str(error.value)


def schedule_of(model):
    """Return the learning rate of a compiled model as a function of the step, and the number of steps taken."""
    assert type(model.optimizer) is keras.optimizers.Adam
    schedule = keras.optimizers.schedules.deserialize(model.optimizer.get_config()["learning_rate"])
    return lambda step: float(schedule(step)), int(model.optimizer.iterations)


def expect_schedule(rate, total, peak):
    """Require a rate that rises to its peak in the first fiftieth of the steps and falls like a cosine to zero."""
    top = total // 50
    assert [rate(0), rate(top), rate(total)] == pytest.approx([0, peak, 0], rel=1e-6, abs=1e-9)
    for step in {*range(0, total + 1, max(1, total // 50)), *range(max(0, top - 3), top + 4)}:
        falling = (1 + math.cos(math.pi * (step - top) / (total - top))) / 2
        expected = step / top if step < top else falling
        assert rate(step) == pytest.approx(peak * expected, rel=1e-3, abs=1e-7) and rate(step) <= peak * (1 + 1e-6)


@pytest.mark.parametrize("total", [100, 4_321])
def test_learning_rate(run, total):
    expect_schedule(lambda step: float(run.learning_rate(total)(step)), total, run.LEARNING_RATE)


@pytest.mark.parametrize("constant", [None, 0.01])
def test_train_has_the_input_as_target(run, dark_images, monkeypatch, constant):
    monkeypatch.setitem(run.space, "BATCH_SIZE", 7)
    monkeypatch.setitem(run.space, "EPOCHS", 1_000)  # not this number, but the argument counts
    model = MagicMock()
    history = run.train(model, dark_images, 40, rate=constant, callbacks=["mine"])
    assert history is model.fit.return_value
    (x, y), options = model.fit.call_args
    assert y is x and options["batch_size"] == 7 and options["epochs"] == 40 and options["callbacks"] == ["mine"]
    np.testing.assert_array_equal(x, dark_images)
    assert len(options["validation_data"]) == 2 and all(part is run.x_valid for part in options["validation_data"])
    assert options.get("shuffle", True)
    compiled = MagicMock(**model.compile.call_args.kwargs)
    assert compiled.loss == run.LOSS
    if constant:
        assert float(compiled.optimizer.learning_rate) == pytest.approx(constant)
    else:
        expect_schedule(schedule_of(compiled)[0], 40 * 3, run.LEARNING_RATE)  # 7 + 7 + 6 images


def test_training_of_the_notebook(run):
    total = run.EPOCHS * math.ceil(len(run.x_train) / run.BATCH_SIZE)
    rate, steps = schedule_of(run.ae_model)
    expect_schedule(rate, total, run.LEARNING_RATE)
    assert steps == total and len(run.history.epoch) == run.EPOCHS and run.history.model is run.ae_model
    assert run.ae_model.loss == run.LOSS == "mse" and run.ae_model.layers == [run.enc, run.dec]
    train = MagicMock()
    once_more(run, "training", train=train, progress=MagicMock())
    assert train.call_args.args[1] is run.x_train


def test_linear_model(run):
    """No hidden layer, no activation; it learns from the first 20,000 training images."""
    assert kinds(run.linear) == ["Flatten", "Dense", "Dense", "Reshape"]
    assert dense_layers(run.linear) == [(2, "linear"), (784, "linear")] and run.linear.loss == run.LOSS
    assert int(run.linear.optimizer.iterations) == 8 * math.ceil(20_000 / run.BATCH_SIZE)
    train = MagicMock()
    with contextlib.suppress(AssertionError):  # an untrained model is not like PCA
        once_more(run, "linear", train=train)
    np.testing.assert_array_equal(train.call_args.args[1], run.x_train[:20_000])
    assert train.call_args.kwargs == {"epochs": 8, "rate": 0.01}


def test_model_of_low_digits(run):
    low = run.x_train[np.isin(run.y_train, [0, 1, 2, 3, 4])]
    assert run.ae_low.layers == [run.enc_low, run.dec_low] and run.ae_low is not run.ae_model
    rate, steps = schedule_of(run.ae_low)
    assert steps == 10 * math.ceil(len(low) / run.BATCH_SIZE)
    expect_schedule(rate, steps, run.LEARNING_RATE)
    train, build = MagicMock(), MagicMock(wraps=run.autoencoder)
    space = once_more(run, "unseen", train=train, autoencoder=build)
    for given in (train.call_args, build.call_args):
        np.testing.assert_array_equal(given.args[1], low)
    assert train.call_args.args[0] is space["ae_low"]


def test_models_of_the_dimensions(run):
    """They learn from the first 20,000 training images, the mean image included."""
    train, build = MagicMock(), MagicMock(wraps=run.autoencoder)
    once_more(run, "dimensions", train=train, autoencoder=build)
    assert [given.args[0] for given in build.call_args_list] == list(run.DIMENSIONS)
    assert {given.kwargs["epochs"] for given in train.call_args_list} == {6}
    for given in train.call_args_list + build.call_args_list:
        np.testing.assert_array_equal(given.args[1], run.x_train[:20_000])


def test_classifier_of_the_notebook(run):
    assert dense_layers(run.classifier) == [(128, "relu"), (128, "relu"), (10, "softmax")]
    assert len(run.classifier.layers) == 3 and run.classifier.input_shape == (None, 2)
    rate, steps = schedule_of(run.classifier)
    assert steps == run.CLASSIFIER_EPOCHS * math.ceil(len(run.x_train) / 500)
    expect_schedule(rate, steps, run.LEARNING_RATE)


def test_classifier_sees_only_the_codes(run):
    """Two codes far apart, two digits: the classifier tells them apart and returns probabilities."""
    codes = np.tile(np.array([[-0.9, 0.5], [0.8, -0.7]], "float32"), (500, 1))
    labels = np.tile(np.array([3, 8], np.uint8), 500)
    answers = call(run.train_classifier(codes, labels), codes)
    assert answers.shape == (1_000, 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(answers.argmax(axis=1), labels)
