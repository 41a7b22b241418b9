"""Are the models those that the text describes, and is each trained as it says?"""

import re

import numpy as np
import pytest


def equal(found, expected):
    return found.shape == expected.shape and np.array_equal(found, expected)


def test_encoder_and_decoder_are_those_of_the_task(lab):
    def described(model):
        dense = [layer for layer in model.layers if layer.weights]
        return [(layer.units, layer.activation.__name__) for layer in dense]

    assert described(lab.encoder(3)) == [(200, "relu"), (200, "relu"), (3, "tanh")]
    assert described(lab.decoder(3)) == [(200, "relu"), (200, "relu"), (784, "relu")]
    assert lab.encoder(3).output_shape == (None, 3)
    assert lab.decoder(3).output_shape == (None, 28, 28, 1)


def test_the_trained_model_is_the_chain_whose_summary_is_shown(lab):
    assert lab.ae_model.layers == [lab.enc, lab.dec]
    numbers = re.findall(r"│ +([\d,]+) │", lab.printed["build"])
    counts = [layer.count_params() for model in (lab.enc, lab.dec) for layer in model.layers]
    by_layer = [int(number.replace(",", "")) for number in numbers]
    assert [count for count in by_layer if count in counts] == counts
    assert f"{lab.ae_model.count_params():,}" in lab.printed["build"]


def test_a_code_of_other_than_two_numbers_is_refused_before_the_training(notebook, lab):
    (cell,) = [cell for cell in notebook.cells if cell.id == "build"]
    with pytest.raises(AssertionError, match="CODE_SIZE musi wynosić 2.*3"):
        exec(cell.source, lab.variables | {"CODE_SIZE": 3})


def test_models_start_as_the_text_says(lab):
    images = lab.x_train[:1000]
    (enc, dec, _), (enc_again, *_) = (lab.autoencoder(2, images) for _ in range(2))
    bias = dec.get_layer("pixels").bias.numpy()
    np.testing.assert_allclose(bias.reshape(28, 28, 1), images.mean(axis=0), atol=1e-6)
    kernel, bias = dec.get_layer("hidden_1").get_weights()
    assert -1 <= bias.min() < -0.9 and 0.9 < bias.max() <= 1
    assert kernel.std() == pytest.approx(1, abs=0.1), "he_normal: the root of 2 / 2 inputs"
    for weights, again in zip(enc.get_weights(), enc_again.get_weights()):
        np.testing.assert_array_equal(weights, again, "two runs would differ")


def test_the_learning_rate_rises_to_its_highest_value_and_falls_to_zero(lab):
    rate = lab.learning_rate(1000)
    rates = [float(rate(step)) for step in (0, 10, 20, 510, 1000)]
    highest = lab.LEARNING_RATE
    np.testing.assert_allclose(rates, [0, highest / 2, highest, highest / 2, 0], atol=1e-6)


@pytest.mark.parametrize("cell_id", ["training", "linear", "unseen", "dimensions", "bce"])
def test_an_autoencoder_has_its_input_as_target(lab, cell_id):
    assert lab.fits[cell_id]
    for call in lab.fits[cell_id]:
        assert call["x"] is call["y"], "the target is not the input"
        x_valid, target = call["validation_data"]
        assert x_valid is target is lab.x_valid
        assert call["batch_size"] == lab.BATCH_SIZE
        assert type(call["model"].optimizer).__name__ == "Adam"


def test_each_model_learns_from_the_images_in_the_epochs_and_with_the_loss_of_the_text(lab):
    """By cell: what is fitted, the epochs, the loss."""
    crossentropy = "sparse_categorical_crossentropy"
    expected = {
        "training": [(lab.x_train, lab.EPOCHS, lab.LOSS)],
        "linear": [(lab.x_part, 60, "mse")],
        "unseen": [(lab.x_train[lab.y_train < 5], 10, lab.LOSS)],
        "classify": [(lab.codes_train, 20, crossentropy)],
        "baselines": [
            (lab.pca_codes_train, 20, crossentropy),
            (lab.x_part.reshape(-1, 784), 20, crossentropy),
        ],
        "dimensions": [(lab.x_part, 6, lab.LOSS)] * 5,
        "bce": [(lab.x_part, 6, "binary_crossentropy")],
    }
    assert {cell_id for cell_id, calls in lab.fits.items() if calls} == expected.keys()
    for cell_id, rows in expected.items():
        for call, (x, epochs, loss) in zip(lab.fits[cell_id], rows, strict=True):
            assert equal(call["x"], x), f"{cell_id}: other images"
            assert (call["epochs"], call["loss"]) == (epochs, loss), cell_id
    assert equal(lab.x_part, lab.x_train[:20_000])
    for calls, labels in [("classify", lab.y_train), ("baselines", lab.y_train)]:
        assert equal(lab.fits[calls][0]["y"], labels), f"{calls}: other labels"
    assert equal(lab.fits["baselines"][1]["y"], lab.y_part)


def test_the_networks_beside_the_lab_are_built_as_the_text_says(lab):
    (linear,) = [call["model"] for call in lab.fits["linear"]]
    dense = [layer for layer in linear.layers if layer.weights]
    assert [(layer.units, layer.activation.__name__) for layer in dense] == [
        (lab.CODE_SIZE, "linear"),
        (784, "linear"),
    ]
    sizes = [call["model"].layers[0].output_shape[1] for call in lab.fits["dimensions"]]
    assert sizes == list(lab.results["autoenkoder"]) == list(lab.results["PCA"])
    assert sizes == [2, 4, 8, 16, 32]
    (with_sigmoid,) = [call["model"] for call in lab.fits["bce"]]
    assert with_sigmoid.layers[1].get_layer("pixels").activation.__name__ == "sigmoid"
    for cell_id in ("classify", "baselines"):
        for call in lab.fits[cell_id]:
            *hidden, last = call["model"].layers
            assert [layer.units for layer in hidden] == [128, 128]
            assert (last.units, last.activation.__name__) == (10, "softmax")


def test_codes_and_reconstructions_are_those_of_the_images_in_their_names(lab):
    def close(found, expected):
        np.testing.assert_allclose(found, expected, atol=1e-4)

    for part in ("train", "valid", "test"):
        images = getattr(lab, f"x_{part}")[:500]
        close(getattr(lab, f"codes_{part}")[:500], lab.enc.predict(images))
        pca_codes = lab.pca.transform(images.reshape(-1, 784))
        np.testing.assert_allclose(getattr(lab, f"pca_codes_{part}")[:500], pca_codes, atol=1e-2)
    close(lab.reconstructions[:500], lab.ae_model.predict(lab.x_test[:500]))
    assert len(lab.codes_after) == lab.EPOCHS + 1
    close(lab.codes_after[-1], lab.codes_valid)
    assert not np.allclose(lab.codes_after[0], lab.codes_after[1], atol=1e-2)


def test_predict_answers_with_the_most_probable_digit(lab):
    probabilities = lab.classifier.predict(lab.codes_test[:500])
    assert equal(lab.classify(lab.classifier, lab.codes_test[:500]), probabilities.argmax(axis=1))
    assert equal(lab.predicted, lab.classify(lab.classifier, lab.codes_test))
