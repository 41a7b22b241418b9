"""Is each printed number what its name says, and does what the text claims for any seed hold?"""

import re

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

CELLS = ["training", "errors", "local-means-errors", "few-errors", "unseen-errors", "classify"]
CELLS += ["scoreboard"]


def mse(images, targets):
    return np.mean((images - targets) ** 2)


def share(model, inputs, lab):
    """Return the percentage of test images whose digit a classifier finds."""
    return 100 * np.mean(model.predict_on_batch(inputs).argmax(axis=1) == lab.y_test)


def numbers(text):
    """Return the decimal numbers of a text, in its order."""
    last_state = re.sub(r"[^\n]*\r", "", text)
    return [
        float(found.replace(",", ".")) for found in re.findall(r"\d+,(?:\d{4}|\d)\b", last_state)
    ]


@pytest.fixture(scope="module")
def expected(lab):
    """By cell: the numbers that it should print, in its order; nbval compares the names."""
    x_test, flat_test = lab.x_test, lab.x_test.reshape(-1, 784)
    flat_train = lab.x_train.reshape(-1, 784)
    pca = PCA(2).fit(flat_train)
    pca_codes = pca.transform(flat_test)
    codes, decoded = lab.enc.predict_on_batch(x_test), lab.ae_model.predict_on_batch(x_test)
    low, high = x_test[lab.y_test < 5], x_test[lab.y_test >= 5]
    mean_of_low = lab.x_train[lab.y_train < 5].mean(axis=0)
    codes_labelled = lab.enc_labelled.predict_on_batch(x_test)
    neighbours = KNeighborsClassifier(25).fit(lab.enc.predict_on_batch(lab.x_train), lab.y_train)
    errors = {
        "mean": mse(lab.x_train.mean(axis=0), x_test),
        "PCA": mse(pca.inverse_transform(pca_codes), flat_test),
        "ours": mse(decoded, x_test),
        "labelled": mse(lab.dec_labelled.predict_on_batch(codes_labelled), x_test),
        "mean and decoded": mse(lab.local_means, decoded),
        "mean and original": mse(lab.local_means, x_test),
        "low": mse(lab.ae_low.predict_on_batch(low), low),
        "high": mse(lab.ae_low.predict_on_batch(high), high),
        "high by ours": mse(lab.ae_model.predict_on_batch(high), high),
        "high by the mean": mse(mean_of_low, high),
    }
    few = [(100, lab.networks[100]), (1_000, lab.networks[1_000]), (len(lab.x_train), lab.ae_model)]
    history = lab.ae_model.history.history
    return errors, {
        "training": [history["loss"][-1], history["val_loss"][-1]],
        "errors": [errors["mean"], errors["PCA"], errors["ours"]],
        "local-means-errors": [
            errors["mean and decoded"],
            errors["ours"],
            errors["mean and original"],
        ],
        "few-errors": [
            mse(model.predict_on_batch(x), x)
            for count, model in few
            for x in (lab.x_train[:count], x_test)
        ],
        "unseen-errors": [
            errors[name] for name in ("low", "high", "high by ours", "high by the mean")
        ],
        "classify": [share(lab.classifier, codes, lab)],
        "scoreboard": [
            *(errors["PCA"], share(lab.pca_classifier, pca_codes, lab)),
            *(errors["ours"], share(lab.classifier, codes, lab)),
            *(errors["ours"], 100 * neighbours.score(codes, lab.y_test)),
            *(errors["labelled"], share(lab.classifier_labelled, codes_labelled, lab)),
            *(0, share(lab.pixel_classifier, flat_test, lab)),
        ],
    }


def test_every_printed_number_is_tested(lab, expected):
    printed = {cell_id for cell_id, text in lab.printed.items() if numbers(text)}
    assert printed == expected[1].keys() == set(CELLS)


@pytest.mark.parametrize("cell_id", CELLS)
def test_each_printed_number_is_what_its_name_says(lab, expected, cell_id):
    for number, value in zip(numbers(lab.printed[cell_id]), expected[1][cell_id], strict=True):
        assert number == pytest.approx(value, abs=0.06 if value > 1 else 1e-4)


def test_what_the_text_says_of_errors(lab, expected):
    errors, printed = expected
    assert errors["ours"] < errors["PCA"] < errors["mean"]
    assert errors["mean and decoded"] < 0.2 * errors["ours"], "the means do not explain the blur"
    assert errors["mean and original"] == pytest.approx(errors["ours"], rel=0.1)
    known_100, new_100, known_1000, new_1000, known_all, new_all = printed["few-errors"]
    assert known_100 < 0.3 * new_all, "a hundred images were not learnt by heart"
    assert new_100 > new_1000 > new_all > known_all > 0.9 * known_1000 > known_100
    assert (
        errors["low"] < errors["high by ours"] * 1.2 < errors["high"] < errors["high by the mean"]
    )
    if lab.data_name == "MNIST":
        assert new_100 > errors["mean"]


def test_what_the_text_says_of_recognition(expected):
    pca, ours, neighbours, labelled, pixels = expected[1]["scoreboard"][1::2]
    assert pca < ours < labelled < pixels + 2
    assert neighbours == pytest.approx(ours, abs=3)
    assert expected[0]["labelled"] > 1.2 * expected[0]["ours"]


def test_almost_every_training_image_has_a_code_of_its_own(lab):
    images = np.unique(lab.x_train.reshape(-1, 784), axis=0)
    assert len(np.unique(lab.codes_train, axis=0)) > 0.95 * len(images)


def test_each_longer_code_is_better(lab):
    for errors in lab.size_errors.values():
        assert list(errors) == [2, 4, 8, 16]
        assert sorted(errors.values(), reverse=True) == list(errors.values())


def test_four_and_nine_are_mistaken_most_often(lab):
    if lab.data_name != "MNIST":
        pytest.skip("the stand-in's digits are others")
    wrong = lab.y_test != lab.predicted
    pairs = np.sort(np.stack([lab.y_test[wrong], lab.predicted[wrong]]), axis=0)
    unique, counts = np.unique(pairs, axis=1, return_counts=True)
    assert unique[:, counts.argmax()].tolist() == [4, 9]


def test_numbers_have_a_comma(lab):
    assert (lab.comma(0.5, ".2f"), lab.comma(0.853, ".1%")) == ("0,50", "85,3%")
