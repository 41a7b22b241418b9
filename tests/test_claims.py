"""Is each printed number what its name says, and does what the text claims hold for any seed?"""

import numpy as np
import pytest
from regression import numbers, ten_seeds, text_of, value
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

TEN = ten_seeds()


@pytest.fixture(params=map(str, range(10)))
def seed(request):
    """By cell: the numbers that a whole run with one of ten seeds printed."""
    assert request.param in TEN, "tests/seeds.json lacks a seed: run tests/refresh.py --seeds"
    return {cell_id: [value(n) for n in found] for cell_id, found in TEN[request.param].items()}


def test_reconstructions_are_better_than_pca_and_near_the_means_of_neighbours(seed):
    mean, pca, ours = seed["errors"]
    assert ours < 0.65 * pca < pca < 0.85 * mean
    training, validation = seed["training"]
    assert training < validation < 1.1 * training, "a little better than new images"
    to_the_mean, _, by_the_mean = seed["local-means-errors"]
    assert to_the_mean < 0.05 * ours, "the means do not explain the blur"
    assert 0.97 * ours < by_the_mean < ours, "the means are a little better"


def test_codes_and_not_the_classifier_limit_recognition(seed):
    pca, ours, neighbours, pixels = seed["scoreboard"][1::2] + seed["scoreboard"][6:7]
    with_labels, error, error_with_labels = seed["labelled-errors"]
    assert pca < 50 < 80 < ours < with_labels < pixels
    assert neighbours == pytest.approx(ours, abs=1)
    assert with_labels > 95 and error_with_labels > 1.25 * error


def test_the_more_images_the_less_is_learnt_by_heart(seed):
    known, new = np.array(seed["few-errors"][:6]).reshape(3, 2).T
    assert list(known) == sorted(known) and list(new) == sorted(new, reverse=True)
    assert known[0] < 0.1 * new[0] and new[0] > seed["errors"][0], "worse than the mean image"
    assert new[2] < 1.1 * known[2]
    _, known_main, new_main = seed["few-errors"][6:]
    assert known_main < new_main < 1.07 * known_main


def test_digits_never_seen_are_drawn_about_as_badly_as_by_the_mean_image(seed):
    low, unseen, low_by_all, high_by_all, _, by_the_mean = seed["unseen-errors"]
    assert low < low_by_all < high_by_all < 0.7 * unseen
    assert unseen == pytest.approx(by_the_mean, rel=0.1)


def test_each_longer_code_is_better_and_better_than_pca(seed):
    ours, pca = np.reshape(seed["dimensions-errors"], (4, 2)).T
    assert all(np.diff(ours) < 0) and all(np.diff(pca) < 0) and all(ours < pca)


def mse(images, targets):
    return np.mean((images - targets) ** 2)


def share(model, inputs, lab):
    """Return the percentage of test images whose digit a classifier finds."""
    return 100 * np.mean(model.predict_on_batch(inputs).argmax(axis=1) == lab.y_test)


@pytest.fixture(scope="module")
def expected(lab):
    """By cell: the numbers that it should print, in its order; nbval compares the names."""
    x_test, flat_test = lab.x_test, lab.x_test.reshape(-1, 784)
    low, high = x_test[lab.y_test < 5], x_test[lab.y_test >= 5]
    mean_of_low = lab.x_train[lab.y_train < 5][:10_000].mean(axis=0)
    neighbours = KNeighborsClassifier(25).fit(lab.codes_train, lab.y_train)
    history = lab.ae_model.history.history
    by_pca = mse(lab.pca_reconstructions, x_test)
    ours = mse(lab.reconstructions, x_test)

    def by_model(model, images):
        return mse(model.predict_on_batch(images), images)

    def by_components(n):
        pca = PCA(n).fit(lab.x_train[:10_000].reshape(-1, 784))
        flat = lab.x_valid.reshape(-1, 784)
        return mse(pca.inverse_transform(pca.transform(flat)), flat)

    few = [(lab.networks[count], lab.x_train[:count]) for count in (100, 1_000, 10_000)]
    return {
        "training": [history["loss"][-1], history["val_loss"][-1]],
        "errors": [mse(lab.x_train.mean(axis=0), x_test), by_pca, ours],
        "local-means-errors": [
            mse(lab.local_means, lab.reconstructions),
            ours,
            mse(lab.local_means, x_test),
        ],
        "classify": [share(lab.classifier, lab.codes_test, lab)],
        "scoreboard": [
            *(by_pca, share(lab.pca_classifier, lab.pca_codes_test, lab)),
            *(ours, share(lab.classifier, lab.codes_test, lab)),
            *(ours, 100 * neighbours.score(lab.codes_test, lab.y_test)),
            share(lab.pixel_classifier, flat_test, lab),
        ],
        "labelled-errors": [
            share(lab.classifier_labelled, lab.codes_labelled, lab),
            mse(lab.decoders["bez etykiet"].predict_on_batch(lab.codes_test), x_test),
            mse(lab.decoders["z etykietami"].predict_on_batch(lab.codes_labelled), x_test),
        ],
        "few-errors": [
            *(by_model(model, images) for model, x in few for images in (x, x_test)),
            lab.EPOCHS * len(lab.x_train) / 250_000,
            *(by_model(lab.ae_model, images) for images in (lab.x_train[:10_000], x_test)),
        ],
        "unseen-errors": [
            *(by_model(lab.ae_low, images) for images in (low, high)),
            *(by_model(lab.networks[10_000], images) for images in (low, high)),
            *(mse(mean_of_low, images) for images in (low, high)),
        ],
        "dimensions-errors": [
            number
            for n, model in lab.autoencoders.items()
            for number in (by_model(model, lab.x_valid), by_components(n))
        ],
    }


def test_each_printed_number_is_what_its_name_says(run, expected):
    texts = {cell_id: text_of([{"text": text}]) for cell_id, text in run.printed.items()}
    printed = {cell_id: found for cell_id, text in texts.items() if (found := numbers(text))}
    assert printed.keys() == expected.keys()
    for cell_id, found in printed.items():
        for number, right in zip(found, expected[cell_id], strict=True):
            unit = 10.0 ** -len(number.rstrip("%").partition(",")[2])
            assert value(number) == pytest.approx(right, abs=0.51 * unit), f"{cell_id}: {number}"


def test_every_printed_number_is_in_each_of_ten_seeds(expected):
    differ = {seed: expected.keys() ^ by_cell.keys() for seed, by_cell in TEN.items()}
    assert not any(differ.values()), f"{differ}: delete seeds.json, run tests/refresh.py --seeds"


def test_four_and_nine_are_mistaken_most_often(lab):
    if lab.data_name != "MNIST":
        pytest.skip("the stand-in's digits are others")
    wrong = np.zeros((10, 10))
    np.add.at(wrong, (lab.y_test, lab.predicted), 1)
    pairs = np.triu(wrong + wrong.T, 1)
    assert np.unravel_index(pairs.argmax(), pairs.shape) == (4, 9)
