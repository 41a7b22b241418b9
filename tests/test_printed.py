"""Is each number, printed or in a table, the one that its name promises?"""

import re

import numpy as np
import pytest
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier


def mse(images, targets):
    return np.mean((images - targets) ** 2)


def comma(number, form):
    return f"{number:{form}}".replace(".", ",")


def test_claims_hold_and_a_claim_can_say_no(lab, notebook, capsys):
    said = [line for text in lab.printed.values() for line in text.splitlines()]
    assert [line for line in said if line.startswith("NIE:")] == []
    claims = [line for line in said if line.startswith("OK:")]
    calls = [cell.source.count("\ncheck(") for cell in notebook.cells]
    assert len(claims) == sum(calls) > 4
    lab.check("dwa i dwa to pięć", 2 + 2 == 5)
    assert capsys.readouterr().out == "NIE: dwa i dwa to pięć\n"


# By cell: values of its variables that make its claim false.
FALSE = [
    ("errors", {"mse": {"PCA": 0.05, "autoenkoder": 0.039}}),
    ("local-means-errors", {"from_mean": 0.01, "from_original": 0.049}),
    ("linear", {"linear_mse": 0.054, "mse": {"PCA": 0.05}}),
    ("linear", {"linear_mse": 0.046, "mse": {"PCA": 0.05}}),
    ("unseen-errors", {"unknown": 0.045, "known": 0.035}),
    ("same-codes", {"seen": np.zeros(9), "predicted": np.ones(9), "y_test": np.ones(9), "np": np}),
    ("dimensions-plot", {"errors": [0.04, 0.02, 0.03]}),
]


@pytest.mark.parametrize("cell_id, values", FALSE)
def test_a_claim_is_false_where_it_should_be(notebook, cell_id, values):
    (cell,) = [cell for cell in notebook.cells if cell.id == cell_id]
    (call,) = re.findall(r"^check\(.*", cell.source, flags=re.M | re.S)
    said = []
    exec(call, {"check": lambda claim, holds: said.append(bool(holds))} | values)
    assert said == [False]


def test_every_claim_is_among_those_that_can_be_false(notebook):
    cells = [cell.id for cell in notebook.cells if "\ncheck(" in cell.source]
    assert cells == list(dict.fromkeys(cell_id for cell_id, _ in FALSE))


def test_mse_stands_under_the_name_of_its_method(lab):
    expected = {
        "średni obraz": mse(lab.x_train.mean(axis=0), lab.x_test),
        "PCA": mse(lab.pca_reconstructions, lab.x_test),
        "autoenkoder": mse(lab.ae_model.predict(lab.x_test), lab.x_test),
    }
    for name, error in expected.items():
        assert lab.number("errors", f"MSE (test), {name}") == pytest.approx(error, abs=1e-4)


def test_best_and_worst_reconstructed_digit(lab):
    errors = [
        mse(lab.reconstructions[lab.y_test == digit], lab.x_test[lab.y_test == digit])
        for digit in range(10)
    ]
    assert lab.number("digit-errors", "najmniejszy błąd ma cyfra") == np.argmin(errors)
    assert lab.number("digit-errors", "największy") == np.argmax(errors)


def test_errors_of_local_means(lab):
    originals, decoded, means = lab.x_test[:200], lab.reconstructions[:200], lab.local_means
    for name, expected in [
        ("MSE rekonstrukcji i średniej", mse(decoded, means)),
        ("MSE rekonstrukcji i oryginału", mse(decoded, originals)),
        ("MSE średniej i oryginału", mse(means, originals)),
    ]:
        assert lab.number("local-means-errors", name) == pytest.approx(expected, abs=1e-4)


def test_error_of_the_linear_autoencoder(lab):
    error = mse(lab.linear.predict(lab.x_test), lab.x_test)
    assert lab.number("linear", "liniowy autoenkoder") == pytest.approx(error, abs=1e-4)


def test_errors_of_digits_seen_and_never_seen(lab):
    low, high = lab.x_test[lab.y_test < 5], lab.x_test[lab.y_test >= 5]
    mean = lab.x_train[lab.y_train < 5].mean(axis=0)
    for name, expected in [
        ("MSE (test), cyfry 0–4", mse(lab.ae_low.predict(low), low)),
        ("MSE (test), cyfry 5–9", mse(lab.ae_low.predict(high), high)),
        ("średni obraz, cyfry 5–9", mse(mean, high)),
    ]:
        assert lab.number("unseen-errors", name) == pytest.approx(expected, abs=1e-4), name


def test_accuracy_and_recall(lab):
    accuracy = np.mean(lab.classify(lab.classifier, lab.enc.predict(lab.x_test)) == lab.y_test)
    printed = lab.number("classify", "Dokładność na kodach testowych")
    assert printed == pytest.approx(accuracy, abs=0.001)
    recalls = recall_score(lab.y_test, lab.predicted, average=None)
    found = re.search(
        r"największa dla cyfry (\d) \((\d+)%\), najmniejsza dla (\d) \((\d+)%\)",
        lab.printed["mistakes"],
    )
    best, highest, worst, lowest = map(int, found.groups())
    assert (best, worst) == (recalls.argmax(), recalls.argmin())
    assert (highest, lowest) == (round(100 * recalls.max()), round(100 * recalls.min()))


def test_the_pair_mistaken_most_often(lab):
    wrong = lab.y_test != lab.predicted
    pairs = np.sort(np.stack([lab.y_test[wrong], lab.predicted[wrong]], axis=1), axis=1)
    unique, counts = np.unique(pairs, axis=0, return_counts=True)
    first, second = unique[counts.argmax()]
    share = f"{counts.max() / wrong.sum():.0%}"
    assert f"{first} i {second}, {share} pomyłek" in lab.printed["mistakes"]


def test_shares_of_the_square(lab):
    head, shares = lab.table("shares")
    assert head == ["odpowiedź", *"0123456789"]
    middles = np.linspace(-1, 1, 300, endpoint=False) + 1 / 300
    codes = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    counts = np.bincount(lab.classify(lab.classifier, codes), minlength=10)
    assert shares == ["część kwadratu", *(f"{count / len(codes):.0%}" for count in counts)]


def test_scoreboard(lab):
    head, *rows = lab.table("scoreboard")
    assert head == [
        "Reprezentacja",
        "liczb",
        "MSE (test)",
        "dokładność: trening",
        "walidacja",
        "test",
    ]

    def flat(x):
        return x.reshape(-1, 784)

    labels = (lab.y_train, lab.y_valid, lab.y_test)
    parts = (lab.x_train, lab.x_valid, lab.x_test)
    pca_mse = mse(lab.pca.inverse_transform(lab.pca.transform(flat(lab.x_test))), flat(lab.x_test))
    own_mse = mse(lab.ae_model.predict(lab.x_test), lab.x_test)
    for row, name, size, error, model, inputs, digits in zip(
        rows,
        ["PCA", "autoenkoder", "surowe piksele"],
        ["2", "2", "784"],
        [pca_mse, own_mse, 0],
        [lab.pca_classifier, lab.classifier, lab.pixel_classifier],
        [
            [lab.pca.transform(flat(x)) for x in parts],
            [lab.enc.predict(x) for x in parts],
            [flat(x) for x in (lab.x_part, *parts[1:])],
        ],
        [labels, labels, (lab.y_part, *labels[1:])],
        strict=True,
    ):
        scores = [np.mean(lab.classify(model, x) == y) for x, y in zip(inputs, digits)]
        assert row == [name, size, comma(error, ".4f"), *(comma(s, ".1%") for s in scores)]


def test_both_answers_to_what_limits_the_accuracy(lab):
    neighbours = KNeighborsClassifier(25).fit(lab.codes_train, lab.y_train)
    score = neighbours.score(lab.codes_test, lab.y_test)
    printed = lab.number("same-codes", "25 sąsiadów na kodach testowych")
    assert printed == pytest.approx(score, abs=0.001)
    flat = lab.x_test.reshape(-1, 784)
    decoded = lab.ae_model.predict(lab.x_test).reshape(-1, 784)
    answers = [lab.classify(lab.pixel_classifier, images) for images in (flat, decoded)]
    printed = lab.number("same-codes", "odczytane inaczej niż oryginał")
    assert printed == pytest.approx(np.mean(answers[0] != answers[1]), abs=0.001)


def test_errors_of_both_losses(lab):
    for cell_id, name in [
        ("dimensions", f"ReLU i {lab.LOSS}"),
        ("bce", "sigmoid i binary_crossentropy"),
    ]:
        model = lab.fits[cell_id][0]["model"]
        error = mse(model.predict(lab.x_valid), lab.x_valid)
        assert lab.number("bce", f"MSE (walidacja), {name}") == pytest.approx(error, abs=1e-4)


def test_the_progress_line_names_each_number(lab, monkeypatch):
    seconds = iter([0, 20])
    monkeypatch.setattr(lab.time, "monotonic", lambda: next(seconds))
    progress = lab.Progress()
    progress.set_params({"epochs": 6})
    progress.on_train_begin()
    progress.on_epoch_end(1, {"loss": 0.1, "val_loss": 0.2})
    (line,) = progress.line.update.call_args.args
    assert line.data == ("Epoka 2/6, strata: trening 0,1000, walidacja 0,2000, zostało około 40 s")


def test_numbers_have_a_comma(lab):
    assert lab.comma(0.5, ".2f") == "0,50"
    assert lab.comma(0.853, ".1%") == "85,3%"
