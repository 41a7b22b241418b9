"""Are the encoder and the decoder the lab's?"""
import keras
import numpy as np
import pytest


def dense_layers(model):
    return [(layer.units, layer.activation.__name__) for layer in model.layers if isinstance(layer, keras.layers.Dense)]


@pytest.mark.parametrize("n", [1, 2, 8, 32])
def test_encoder_layers(lab, n):
    model = lab.encoder(n)
    assert [type(layer).__name__ for layer in model.layers] == ["Flatten", "Dense", "Dense", "Dense"]
    assert dense_layers(model) == [(200, "relu"), (200, "relu"), (n, "tanh")]
    assert model.count_params() == 785 * 200 + 201 * 200 + 201 * n


@pytest.mark.parametrize("n", [1, 2, 8, 32])
def test_decoder_mirrors_encoder(lab, n):
    model = lab.decoder(n)
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dense", "Dense", "Reshape"]
    assert dense_layers(model) == [(200, "relu"), (200, "relu"), (784, "relu")]
    assert dense_layers(model)[:2] == dense_layers(lab.encoder(n))[:2][::-1]
    assert model.count_params() == (n + 1) * 200 + 201 * 200 + 201 * 784


def test_ranges_and_shapes(lab):
    rng = np.random.default_rng(0)
    codes = lab.predict(lab.encoder(2), rng.normal(0, 100, (500, 28, 28, 1)))  # far beyond images, so that tanh saturates
    assert codes.shape == (500, 2) and np.abs(codes).max() <= 1 and codes.min() < 0
    images = lab.predict(lab.decoder(2), rng.uniform(-1, 1, (50, 2)))
    assert images.shape == (50, 28, 28, 1) and images.min() == 0 and images.max() > 0


@pytest.mark.parametrize("build", ["encoder", "decoder"])
@pytest.mark.parametrize("n", [0, -1, 2.0, "2", None, True, np.int64(2)])
def test_bad_code_size(lab, build, n):
    with pytest.raises(ValueError, match="Rozmiar kodu musi być liczbą całkowitą") as error:
        getattr(lab, build)(n)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("build, shape", [("encoder", (5, 28, 28, 1)), ("decoder", (5, 2))])
def test_save_and_load(lab, tmp_path, build, shape):
    model, x = getattr(lab, build)(2), np.random.default_rng(0).uniform(0, 1, shape)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(lab.predict(model, x), lab.predict(loaded, x))


def test_atlas_tiles_start_at_the_top_left(lab):
    codes = lab.grid_codes(4).reshape(4, 4, 2)
    np.testing.assert_allclose(codes[0, 0], [-0.75, 0.75])
    np.testing.assert_allclose(codes[0, 3], [0.75, 0.75])
    np.testing.assert_allclose(codes[3, 0], [-0.75, -0.75])


def test_atlas_counts_codes_in_the_tile_around_them(lab):
    grid = lab.grid_codes(4)
    for number, code in enumerate(grid):
        counts = lab.tile_counts(np.array([code + 0.1, code - 0.1]), 4)
        assert counts.ravel()[number] == counts.sum() == 2


def test_output_bias_starts_at_the_mean_image(lab, monkeypatch):
    mean_image = np.random.default_rng(0).uniform(0, 1, (28, 28, 1)).astype("float32")
    monkeypatch.setitem(lab.autoencoder.__globals__, "mean_image", mean_image)
    enc, dec, ae_model = lab.autoencoder(3)
    np.testing.assert_array_equal(dec.get_layer("pixels").bias, mean_image.ravel())
    assert ae_model.layers == [enc, dec]
    for first, again in zip(ae_model.get_weights(), lab.autoencoder(3)[2].get_weights()):
        np.testing.assert_array_equal(first, again)


def test_dead_pixels_are_found_and_revived(lab, monkeypatch):
    """Pixel (0, 3) is dark for every code, (0, 5) too, but in the training images as well; (0, 7) is lit by the last code."""
    mean_image = np.full((28, 28, 1), 0.5, "float32")
    mean_image[0, 5] = lab.FAINTEST / 2
    codes = np.random.default_rng(0).uniform(-1, 1, (60, 2)).astype("float32")
    for name, value in {"mean_image": mean_image, "x_valid": np.zeros((50, 28, 28, 1), "float32")}.items():
        monkeypatch.setitem(lab.autoencoder.__globals__, name, value)
    enc, dec, ae_model = lab.autoencoder(2)
    pixels = dec.get_layer("pixels")
    pixels.kernel.assign(0 * pixels.kernel - 1)
    sums = np.asarray(dec.layers[1](dec.layers[0](codes))).sum(axis=1)
    order = sums.argsort()[::-1]
    codes, bias = codes[order], np.full(784, 1e6)
    bias[[3, 5, 7]] = 0, 0, sums[order[-2:]].mean()
    pixels.bias.assign(bias)
    assert np.argwhere(lab.find_dead_pixels(dec, codes)).tolist() == [[0, 3, 0]]
    revive = lab.ReviveDeadPixels()
    revive.set_model(ae_model)
    revive.on_epoch_end(0)
    assert not lab.find_dead_pixels(dec, codes).any()
    np.testing.assert_allclose(dec(codes)[:, 0, 3, 0], 0.5)
    assert (np.asarray(pixels.kernel)[:, 4] == -1).all()  # the living keep their weights


def test_learning_rate_warms_up_and_ends_at_zero(lab, monkeypatch):
    monkeypatch.setitem(lab.learning_rate.__globals__, "x_train", np.zeros(1_050))
    rates = [float(lab.learning_rate(10, 100)(step)) for step in range(111)]  # 11 steps an epoch
    assert rates[-1] == pytest.approx(0, abs=1e-9) and rates[0] == 0
    assert max(rates) == pytest.approx(lab.LEARNING_RATE) and rates.index(max(rates)) == int(lab.WARMUP * 110)


def test_classifier_sees_only_the_codes(lab, monkeypatch):
    """Two codes far apart, two digits: the classifier tells them apart and returns probabilities."""
    codes = np.tile(np.array([[-0.9, 0.5], [0.8, -0.7]], "float32"), (500, 1))
    labels = np.tile(np.array([3, 8], np.uint8), 500)
    monkeypatch.setitem(lab.learning_rate.__globals__, "x_train", codes)
    model = lab.train_classifier(codes, labels)
    answers = lab.predict(model, codes)
    assert model.input_shape == (None, 2) and answers.shape == (1_000, 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(answers.argmax(axis=1), labels)


def test_predict_keeps_order_and_shape(lab):
    double = lab.keras.Sequential([lab.keras.Input((3,)), lab.layers.Rescaling(2.0)])
    x = np.arange(36_000, dtype="float32").reshape(12_000, 3)  # more than one part
    np.testing.assert_array_equal(lab.predict(double, x), 2 * x)


@pytest.mark.parametrize("value", ["3", "1"])
def test_notebook_refuses_a_code_that_is_not_a_plane(notebook, value):
    source = next(cell.source for cell in notebook.cells if cell.id == "parameters")
    changed = source.replace("CODE_SIZE = 2 ", f"CODE_SIZE = {value} ")
    assert changed != source
    with pytest.raises(ValueError, match="CODE_SIZE musi wynosić 2") as error:
        exec(changed, {})
    assert "\n" not in str(error.value)
