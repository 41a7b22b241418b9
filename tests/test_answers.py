"""Does each answer to an exercise do what its exercise says?"""

from types import SimpleNamespace
from unittest.mock import MagicMock

import ipywidgets
import nbformat
import numpy as np
import pytest
from conftest import NOTEBOOK, run_cell
from refresh import answers
from regression import text_of
from test_models import assert_layers, decoder_layers, encoder_layers

ANSWERS = answers(nbformat.read(NOTEBOOK, as_version=4))


def assert_autoencoder(training, lab, decoder, epochs, loss):
    model, x, y, options = training
    assert_layers(model.layers[0], encoder_layers(lab, 2))
    assert_layers(model.layers[1], decoder)
    assert x is y is lab.x_train and options == {"epochs": epochs, "loss": loss}


def error(model, images, lab):
    return lab.comma(np.mean((model.predict_on_batch(images) - images) ** 2), ".4f")


def shown(figure):
    return [ax.images[0].get_array() for ax in figure.axes]


def compares_keras_weights_with_ours(did, lab):
    dense = lab.keras.layers.Dense
    *_, reshape = ours = decoder_layers(lab)
    plain = [dense(200, "relu"), dense(200, "relu"), dense(784, "relu"), reshape]
    words = []
    decoders = {"plain_decoder": plain, "decoder": ours}
    for training, (name, layers) in zip(did.trainings, decoders.items(), strict=True):
        assert_autoencoder(training, lab, layers, 5, "mse")
        black = training[0].predict_on_batch(lab.x_valid).max(axis=0) > 0
        white = np.sum(~black & (lab.x_train.mean(axis=0) > 0.05))
        words += [name, error(training[0], lab.x_valid, lab), str(white)]
    assert did.words == words


def uses_entropy_and_sigmoid(did, lab):
    hidden_1, hidden_2, _, reshape = decoder_layers(lab)
    bias = lab.keras.initializers.Constant(-2)
    pixels = lab.keras.layers.Dense(784, "sigmoid", bias_initializer=bias)
    (training,) = did.trainings
    layers = [hidden_1, hidden_2, pixels, reshape]
    assert_autoencoder(training, lab, layers, 5, "binary_crossentropy")
    assert did.words == [error(training[0], lab.x_valid, lab)]


def is_linear(did, lab):
    ((model, x, y, _),) = did.trainings
    layers = lab.keras.layers
    dense = [layers.Dense(2), layers.Dense(784)]
    assert_layers(model, [layers.Flatten(), *dense, layers.Reshape((28, 28, 1))])
    assert x is y is lab.x_train
    assert did.words == [error(model, lab.x_test, lab)]


def goes_from_zero_to_one(did, lab):
    zero, one = (lab.codes_test[lab.y_test == digit][0] for digit in (0, 1))
    steps = np.linspace(0, 1, 20)[:, np.newaxis]
    images = lab.dec.predict_on_batch(zero + steps * (one - zero))
    (figure,) = did.figures.values()
    np.testing.assert_allclose(shown(figure), images.squeeze(), atol=1e-4)


def classifies_codes_of_two_sizes(did, lab):
    words = []
    for (model, x, y, options), size in zip(did.trainings, (2, 16), strict=True):
        enc = lab.autoencoders[size].layers[0].predict_on_batch
        np.testing.assert_allclose(x, enc(lab.x_train), atol=1e-4)
        assert y is lab.y_train and options == {"epochs": 20, "loss": lab.LABEL_LOSS}
        answers = model.predict_on_batch(enc(lab.x_test)).argmax(axis=1)
        words += [str(size), lab.comma(np.mean(answers == lab.y_test), ".1%")]
    assert did.words == words


def has_z_1_on_the_first_slider(did, lab):
    (function,), sliders = ipywidgets.interact.call_args
    assert sliders == dict.fromkeys(("z_1", "z_2"), (-1, 1, 0.05))
    did.figures.clear()
    function(z_1=0.5, z_2=-0.5)
    (figure,) = did.figures.values()
    code = np.array([[0.5, -0.5]])
    np.testing.assert_allclose(shown(figure), lab.dec.predict_on_batch(code)[..., 0], atol=1e-4)
    answer = lab.classifier.predict_on_batch(code).argmax()
    assert [ax.get_title() for ax in figure.axes] == [f"odp. {answer}"]


DOES = {
    "loss-text-0": compares_keras_weights_with_ours,
    "loss-text-1": uses_entropy_and_sigmoid,
    "linear-exercise-0": is_linear,
    "path-text-0": goes_from_zero_to_one,
    "dimensions-text-0": classifies_codes_of_two_sizes,
    "sliders-0": has_z_1_on_the_first_slider,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_does_what_its_exercise_says(run, lab, tmp_path, monkeypatch, name):
    def train(model, x, y, **options):
        own(model, x[:1_000], y[:1_000], **options | {"epochs": 1})

    own = run.train
    did = {"figures": {}, "trainings": [], "train": train}
    for key, value in did.items():
        monkeypatch.setattr(run, key, value)
    monkeypatch.setattr(ipywidgets, "interact", MagicMock())
    cell = SimpleNamespace(source=ANSWERS[name], id=name)
    lines = text_of([{"text": run_cell(cell, dict(run.space), tmp_path)}]).splitlines()
    words = " ".join(line for line in lines if not line.startswith("Epoka")).split()
    DOES[name](SimpleNamespace(words=words, **did), lab)
