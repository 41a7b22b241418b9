"""Does each figure, table and printed number show what its title says?

The tests read what was drawn: offsets and colours, image arrays and where they lie, bars, lines, texts (reading.py).
They compare it with the models and the data, not with the variables that the drawing code was given.
"""
import gzip
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from scipy import ndimage
from scipy.spatial import KDTree

from reading import (
    answers, axis_names, border_places, by_name, call, cell_under, centres, comma, curves, digits_of,
    distances, image_grid, is_square, mse, number, once_more, points, principal_components,
    region_digits, said, table, tick_names, written_digits)

PARTS = ("train", "valid", "test")
DIGITS = list(range(10))
CAPTIONS = [f"cyfra {digit}" for digit in DIGITS]
Z = ("$z_1$", "$z_2$")
PLANES = ["regions", "atlas"]  # the planes with decision regions


@pytest.fixture(scope="module")
def truth(run):
    """What there is to show, by own computation; by part of the data: codes, reconstructions (remade), images as rows
    (flat) and their scores on two principal components (plane); answers: in a 300 x 300 grid, the top row first."""
    x = {part: run.space[f"x_{part}"] for part in PARTS}
    flat = {part: images.reshape(-1, 784) for part, images in x.items()}
    codes = {part: call(run.enc, images) for part, images in x.items()}
    mean, components = principal_components(run.x_train)
    plane = {part: (rows - mean) @ components[:, :2] for part, rows in flat.items()}
    counts = np.bincount(10 * run.y_test + answers(run.classifier, codes["test"]), minlength=100).reshape(10, 10)
    return SimpleNamespace(
        codes=codes, flat=flat, plane=plane, counts=counts, mean_image=run.x_train.mean(axis=0),
        answers=answers(run.classifier, centres(300).reshape(-1, 2)).reshape(300, 300),
        remade={part: call(run.ae_model, images) for part, images in x.items()},
        pca=lambda images: ((images.reshape(-1, 784) - mean) @ components[:, :2] @ components[:, :2].T
                            + mean).reshape(images.shape))


@pytest.fixture(scope="module")
def read(run):
    """For each cell with a figure its texts, the alternative text last."""
    shown = [(cell, *item) for cell, things in run.shown.items() for item in things if hasattr(item[0], "axes")]
    for _, figure, _ in shown:
        figure.draw_without_rendering()
    return {cell: [*(text.get_text() for text in figure.findobj(Text)), metadata["image/png"]["alt"]]
            for cell, figure, metadata in shown}


def accuracies(run, model, inputs):
    """Return a classifier's accuracy on each part of the data, of the training part on its first 20,000 images."""
    return [np.mean(answers(model, inputs[part][:20_000]) == run.space[f"y_{part}"][:20_000]) for part in PARTS]


def test_image_grids(run, truth):
    """Originals and what networks make of them, and the images of the random codes."""
    first = [np.flatnonzero(run.y_test == digit)[0] for digit in DIGITS]
    some = [np.flatnonzero(run.y_train == digit)[row] for row in range(3) for digit in DIGITS]
    hardest = np.argsort(-np.square(truth.remade["test"] - run.x_test).mean(axis=(1, 2, 3)))[:12]
    names = [f"cyfra {run.y_test[index]}\nodp. {answers(run.classifier, truth.codes['test'][[index]])[0]}"
             for index in hardest]
    x, codes = run.x_test[first], [comma(number, ".2f").replace("-", "−") for number in run.random_codes.ravel()]
    for cell, rows, captions, images in [
            ("examples", [""] * 3, CAPTIONS, run.x_train[some]),
            ("reconstructions", ["oryginał", "autoenkoder", "PCA"], CAPTIONS,
             [*x, *call(run.ae_model, x), *truth.pca(x)]),
            ("unseen-images", ["oryginał", "uczona\nna 0–4", "uczona na\nwszystkich"], CAPTIONS,
             [*x, *call(run.ae_low, x), *call(run.ae_model, x)]),
            ("random-grid", [""] * 10, list(map("; ".join, zip(codes[::2], codes[1::2]))),
             call(run.dec, run.random_codes)),
            ("hardest", ["oryginał", "rekon-\nstrukcja"], names,
             [*run.x_test[hardest], *truth.remade["test"][hardest]])]:
        drawn, all_captions, row_titles = image_grid(run.figure(cell), len(images) // len(rows))
        assert row_titles == rows and all_captions == captions + [""] * (len(images) - len(captions)), cell
        np.testing.assert_allclose(drawn.reshape(-1, 28, 28, 1), images, atol=1e-3, err_msg=cell)


def test_printed_numbers(run, truth):
    """Each number under its name, and each claim with its number; the claims hold by own computation, too."""
    remade, matters = truth.remade["test"], truth.mean_image >= 0.05
    dead = np.sum(matters & (remade.max(axis=0) <= 0))
    by_model, by_pca, linear = (mse(made, run.x_test) for made in (
        remade, truth.pca(run.x_test), call(run.linear, run.x_test)))
    edge = np.abs(truth.codes["test"]).max(axis=1) > 0.99
    shares = [edge[run.y_test == digit].mean() for digit in DIGITS]
    seen, again = (answers(run.pixel_classifier, x.reshape(-1, 784)) for x in (run.x_test, remade))
    weights = sum(weight.size for weight in run.dec.get_weights())
    for cell, pairs in {
            "dead-pixels": {"Martwe piksele": f"{dead} z {matters.sum()}",
                            "OK": "najwyżej jeden na sto ważnych pikseli jest martwy"},
            "digit-mse": {"OK": "MSE autoenkodera jest poniżej 0,75 MSE dla PCA"},
            "linear": {"MSE (test)": f"liniowy autoenkoder {comma(linear, '.4f')}, PCA {comma(by_pca, '.4f')}",
                       "OK": "błąd liniowego autoenkodera różni się od błędu PCA o najwyżej 3%"},
            "edge": {"Obrazy z kodem na brzegu kwadratu": comma(edge.mean(), ".1%"),
                     f"Najczęściej cyfra {np.argmax(shares)}": comma(max(shares), ".1%")},
            "classify": {"Dokładność na kodach testowych":
                         comma(accuracies(run, run.classifier, truth.codes)[2], ".1%")},
            "cost": {"Kompresja": f"{28 * 28 / (2 * 4):.0f} razy, po zaokrągleniu {28 * 28 / 2:.0f} razy",
                     "Liczby, które trzeba mieć obok kodu, czyli wagi dekodera": f"{weights:,}".replace(",", " "),
                     "Rekonstrukcje, w których klasyfikator pikseli widzi inną cyfrę niż w oryginale":
                         comma(np.mean(seen != again), ".1%")},
            "unseen-errors": {"OK": "nieznane cyfry mają błąd co najmniej 1,4 raza większy niż znane"},
            "dimensions-plot": {"OK": "każde powiększenie kodu zmniejsza MSE autoenkodera"}}.items():
        assert said(run, cell) == pairs
    assert dead <= matters.sum() / 100 and by_model < 0.75 * by_pca and abs(linear - by_pca) < 0.03 * by_pca


def test_tables(run, truth):
    """Errors on known and unknown digits, and what the classifier answers to the random codes."""
    by_low, known = call(run.ae_low, run.x_test), run.y_test <= 4
    made = {"średni obraz cyfr 0–4": by_low * 0 + run.x_train[run.y_train <= 4].mean(axis=0),
            "autoenkoder uczony na 0–4": by_low, "autoenkoder uczony na wszystkich": truth.remade["test"]}
    errors = {name: [mse(images[part], run.x_test[part]) for part in (known, ~known)] for name, images in made.items()}
    assert table(run, "unseen-errors") == [["MSE (test)", "cyfry 0–4", "cyfry 5–9"], *(
        [name, comma(low, ".4f"), comma(high, ".4f")] for name, (low, high) in errors.items())]
    assert errors["autoenkoder uczony na 0–4"][1] > 1.4 * errors["autoenkoder uczony na 0–4"][0]
    found = np.bincount(answers(run.classifier, run.random_codes), minlength=10)
    assert table(run, "random-counts") == [["odpowiedź", *map(str, DIGITS)], ["razy na 100", *map(str, found)],
                                           ["po równo", *10 * ["10"]]]


def test_loss_curves(run, truth):
    whole, half = run.figure("loss-curves").axes
    lines, late = curves(whole), curves(half)
    for key, name in {"loss": "trening", "val_loss": "walidacja"}.items():
        epochs, losses = lines.pop(name)
        np.testing.assert_array_equal(epochs, np.arange(1, run.EPOCHS + 1))
        np.testing.assert_array_equal(losses, run.history.history[key])
        np.testing.assert_array_equal(late.pop(name), [epochs[run.EPOCHS // 2:], losses[run.EPOCHS // 2:]])
    assert not lines and not late
    assert losses[-1] == pytest.approx(mse(truth.remade["valid"], run.x_valid), rel=1e-3)
    assert axis_names(whole) == axis_names(half) == ("epoka", "strata (MSE)")
    assert [whole.get_title(), half.get_title()] == ["Krzywe uczenia", "Druga połowa w powiększeniu"]


def test_digit_errors(run, truth):
    figure = run.figure("digit-mse-plot")
    made = {"średni obraz": np.broadcast_to(truth.mean_image, run.x_test.shape), "PCA": truth.pca(run.x_test),
            "autoenkoder": truth.remade["test"]}
    errors = {name: np.array([mse(images[run.y_test == digit], run.x_test[run.y_test == digit]) for digit in DIGITS])
              for name, images in made.items()}
    for ax, divisor in zip(figure.axes, [1, errors["średni obraz"]], strict=True):
        bars = by_name(figure.legends[0], ax.patches)
        assert set(bars) == set(made)
        for name, own in bars.items():
            assert [round(bar.get_x() + bar.get_width() / 2) for bar in own] == DIGITS
            np.testing.assert_allclose([bar.get_height() for bar in own], errors[name] / divisor, rtol=1e-3)
        edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
        assert all(left[1] <= right[0] for left, right in zip(edges, edges[1:]))
        assert tick_names(ax.xaxis) == {str(digit): digit for digit in DIGITS}
        assert ax.get_ylim()[0] == 0 and ax.get_yscale() == "linear"
    assert [axis_names(ax) for ax in figure.axes] == [
        ("cyfra", "MSE (test)"), ("cyfra", "część błędu średniego obrazu")]


def test_gzip(run, notebook):
    """A digit, its negative, its pixels shuffled, and noise: the sizes that the text gives for MNIST."""
    if run.data_name != "MNIST":
        pytest.skip("the sentence is about MNIST")
    text, = [cell.source for cell in notebook.cells if cell.id == "unseen-text"]
    images, rng = run.images_test.reshape(-1, 784), np.random.default_rng(0)
    kinds = [images, 255 - images, rng.permuted(images, axis=1), rng.integers(0, 256, images.shape, dtype=np.uint8)]
    sizes = [np.mean([len(gzip.compress(image.tobytes())) for image in kind]) for kind in kinds]
    assert list(map(int, re.findall(r" do (\d{3})", text))) == pytest.approx(sizes, rel=0.02)


@pytest.mark.parametrize("cell, index, step, title, axes", [
    ("latent-scatter", 0, 1, "Przestrzeń latentna: kody testowe", Z), ("latent-plane", 0, 2, "Autoenkoder", Z),
    ("latent-plane", 1, 2, "PCA", ("składowa 1", "składowa 2")),
    ("regions", 0, 2, "Obszary decyzyjne i kody testowe", Z)])
def test_codes_of_test_images(run, truth, cell, index, step, title, axes):
    """All of them, or every second; each in the colour that the legend gives to its digit."""
    figure, codes = run.figure(cell), truth.codes["test"][::step]
    offsets, digits = points(figure.axes[index])
    if title == "PCA":
        scores = truth.plane["test"]
        codes = (2 * (scores - scores.min(axis=0)) / np.ptp(scores, axis=0) - 1)[::step]
        codes *= np.sign(np.sum(offsets * codes, axis=0))  # a component's sign is free
    np.testing.assert_allclose(offsets, codes, atol=1e-3)
    np.testing.assert_array_equal(digits, run.y_test[::step])
    assert axis_names(figure.axes[index]) == axes and figure.axes[index].get_title() == title
    assert is_square(figure.axes[index]) or cell == "latent-scatter"
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    assert len(legends) == (cell != "regions")
    for legend in legends:
        assert [int(re.search(r"\d", text.get_text())[0]) for text in legend.get_texts()] == DIGITS
        assert digits_of([to_rgb(handle.get_color()) for handle in legend.legend_handles]).tolist() == DIGITS
        assert legend.get_title().get_text() == "cyfra"


@pytest.mark.parametrize("number", [0, 1])
def test_a_digit_stands_where_it_leads(run, truth, number):
    """In no other free tile of 16x16, 0.15 from the digits before, are there so many of its codes and so few others."""
    counts = np.zeros((10, 16, 16), int)
    np.add.at(counts, (run.y_test, *cell_under([truth.codes["test"], run.pca_square][number], 16)), 1)
    leads, taken = counts ** 2 / (counts.sum(axis=0) + 1), []
    for digit, place in written_digits(run.figure("latent-plane").axes[number], large=True):
        assert digit == len(taken)
        tile, free = cell_under(place, 16), (distances(centres(16), taken) >= 0.15).all(axis=-1)
        np.testing.assert_allclose(place, centres(16)[tile])
        assert free[tile] and leads[digit][tile] == leads[digit][free].max() > 0, digit
        taken.append(place)
    assert len(taken) == 10


def test_epochs_strip(run, truth):
    """The codes of the validation images before training, after some epochs and at the end, ever purer."""
    axes = run.figure("epochs-strip").axes
    assert [ax.get_title() for ax in axes] == [
        "na początku", "po epoce 1", "po epoce 3", "po epoce 10", f"po epoce {run.EPOCHS}"]
    purities = []
    for ax in axes:
        offsets, digits = points(ax)
        np.testing.assert_array_equal(digits, run.y_valid)
        nearest = KDTree(offsets).query(offsets, 26)[1][:, 1:]
        purities.append(np.mean(digits[nearest] == digits[:, np.newaxis]))
        assert is_square(ax)
    np.testing.assert_allclose(offsets, truth.codes["valid"], atol=1e-4)
    start, _, _ = run.autoencoder(run.CODE_SIZE, run.x_train)
    np.testing.assert_allclose(points(axes[0])[0], call(start, run.x_valid), atol=1e-4)
    assert min(purities[1:]) > purities[0] and purities[-1] > purities[0] + 0.1


def test_random_codes_and_their_crosses(run, truth):
    assert run.random_codes.shape == (100, 2) and np.abs(run.random_codes).max() <= 1
    np.testing.assert_array_equal(once_more(run, "random-codes")["random_codes"], run.random_codes)
    assert (np.histogram2d(*run.random_codes.T, bins=2, range=[(-1, 1)] * 2)[0] >= 10).all()
    assert KDTree(truth.codes["test"]).query(run.random_codes)[0].max() > 0.02  # they are not codes of images
    line, = run.figure("regions").axes[0].lines
    assert line.get_marker() == "+" and line.get_linestyle() in ("None", "none") and line.get_markersize() >= 6
    np.testing.assert_array_equal(line.get_xydata(), run.random_codes)


def test_confusion_matrix(run, truth):
    ax, = run.figure("confusion").axes
    shares = truth.counts / truth.counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), shares)
    written = {tuple(map(round, text.get_position())): text.get_text() for text in ax.texts}
    assert written == {(answer, digit): f"{shares[digit, answer]:.0%}" for digit in DIGITS for answer in DIGITS}
    assert axis_names(ax) == ("odpowiedź", "cyfra") and ax.get_title() == "Macierz pomyłek (test)"
    for axis in (ax.xaxis, ax.yaxis):
        assert tick_names(axis) == {str(digit): digit for digit in DIGITS}
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


@pytest.mark.parametrize("cell", PLANES)
def test_regions_and_their_borders(run, truth, cell):
    """A colour is the classifier's answer; a line passes between neighbouring cells with different answers only."""
    (ax,), grid, places = run.figure(cell).axes, truth.answers, centres(300)
    np.testing.assert_array_equal(region_digits(ax), grid)
    assert is_square(ax) and axis_names(ax) == Z
    beside, below = grid[:, 1:] != grid[:, :-1], grid[1:] != grid[:-1]
    changes = np.concatenate([(places[:, 1:] + places[:, :-1])[beside], (places[1:] + places[:-1])[below]]) / 2
    corners = border_places(ax)
    assert KDTree(corners).query(changes)[0].max() < 1 / 300 and KDTree(changes).query(corners)[0].max() < 1 / 300


@pytest.mark.parametrize("cell", PLANES)
def test_every_region_has_a_digit(run, truth, cell):
    """Each connected region of at least 0.5 % of the square; a small digit stands deep in its region, and nearer than
    0.15 to another one only if no place there is free."""
    pieces, count = truth.answers * 0, 0
    for digit in DIGITS:
        own, found = ndimage.label(truth.answers == digit)
        pieces, count = np.where(own, own + count, pieces), count + found
    clusters, small = (written_digits(run.figure(cell).axes[0], large) for large in (True, False))
    assert str(clusters) == str(written_digits(run.figure("latent-plane").axes[0], large=True))
    named = {pieces[cell_under(place, 300)] for digit, place in clusters + small
             if truth.answers[cell_under(place, 300)] == digit}
    assert [piece for piece in range(1, count + 1) if np.mean(pieces == piece) >= 0.005 and piece not in named] == []
    taken = [place for _, place in clusters]
    for digit, place in small:
        spot = cell_under(place, 300)
        depths = ndimage.distance_transform_edt(np.pad(pieces == pieces[spot], 1))[1:-1, 1:-1]
        inner = centres(300)[depths > depths.max() / 2]
        assert truth.answers[spot] == digit and depths[spot] > depths.max() / 2
        assert distances(place, taken).min() >= 0.149 or distances(inner, taken).min(axis=1).max() < 0.15, digit
        taken.append(place)


def test_atlas(run, truth):
    """A tile is the image of its centre, fainter where fewer than half the mean number of codes lie."""
    ax, = run.figure("atlas").axes
    drawn = ax.images[0]
    assert drawn.cmap.name == "gray_r" and (drawn.norm.vmin, drawn.norm.vmax, drawn.origin) == (0, 1, "upper")
    assert list(drawn.get_extent()) == [-1, 1, -1, 1] and drawn.get_array().shape == (560, 560)
    tiles = np.asarray(drawn.get_array()).reshape(20, 28, 20, 28).swapaxes(1, 2)
    images = call(run.dec, centres(20).reshape(-1, 2)).reshape(20, 20, 28, 28)
    shades = tiles.sum(axis=(2, 3)) / images.sum(axis=(2, 3))
    np.testing.assert_allclose(tiles, shades[..., None, None] * images, atol=1e-4)
    counts = np.zeros((20, 20), int)
    np.add.at(counts, cell_under(truth.codes["train"], 20), 1)
    assert np.abs(shades - np.clip(counts / (counts.mean() / 2), 0.3, 1)).max() < 0.02  # a code may lie on an edge
    assert ax.get_title() == "Atlas: zdekodowany kwadrat i obszary decyzyjne"


def test_random_answers(run):
    """The ten surest and the ten least sure, each from the surest on; an image's look tells its code."""
    shown, captions, rows = image_grid(run.figure("random-answers"), 10)
    assert rows == ["najpewniej", "najmniej"]
    images, probabilities = call(run.dec, run.random_codes), call(run.classifier, run.random_codes)
    gaps = np.abs(shown.reshape(20, 1, 28, 28, 1) - images).max(axis=(2, 3, 4))
    own = probabilities[gaps.argmin(axis=1)]
    assert gaps.min(axis=1).max() < 1e-4
    by_certainty = np.sort(probabilities.max(axis=1))[::-1]
    np.testing.assert_allclose(own.max(axis=1), [*by_certainty[:10], *by_certainty[-10:]], atol=1e-5)
    assert captions == [f"odp. {answer.argmax()}, {run.percent(answer.max())}" for answer in own]
    for share in np.linspace(0, 1, 2_001).astype("float32"):
        assert run.percent(share) == f"{share:.0%}".replace("100%", ">99%")  # only what is certain is 100%


def test_scoreboard(run, truth):
    head, nothing, *rows = table(run, "scoreboard")
    assert head == ["Reprezentacja", "bajty", "MSE (test)", "dokładność: trening", "walidacja", "test"]
    majority = np.mean(run.y_test == Counter(run.y_train.tolist()).most_common(1)[0][0])
    assert nothing == ["nic: średni obraz, najczęstsza cyfra", "0", comma(mse(truth.mean_image, run.x_test), ".4f"),
                       "", "", comma(majority, ".1%")]
    rounded = {part: np.round(own * 127).astype("int8") / 127 for part, own in truth.codes.items()}
    plane = {part: run.pca.transform(own) for part, own in truth.flat.items()}  # with the signs that it learnt
    np.testing.assert_allclose(np.abs(plane["valid"]), np.abs(truth.plane["valid"]), atol=1e-3)
    last = [0]
    for (name, size, error, *shares), (own_name, own_size, made, model, inputs) in zip(rows, [
            ("PCA (2 składowe)", "8", truth.pca(run.x_test), run.pca_classifier, plane),
            ("autoenkoder", "8", truth.remade["test"], run.classifier, truth.codes),
            ("autoenkoder, kod zaokrąglony", "2", call(run.dec, rounded["test"]), run.classifier, rounded),
            ("surowe piksele", "784", run.x_test, run.pixel_classifier, truth.flat)], strict=True):
        assert [name, size, error] == [own_name, own_size, comma(mse(made, run.x_test), ".4f")]
        exact, found = accuracies(run, model, inputs), [number(share.removesuffix("%")) / 100 for share in shares]
        assert found == pytest.approx(exact, abs=0.000501), name  # a half may be rounded either way
        last.append(exact[2])
    assert last[2] >= 1.5 * last[1] and last[4] > last[2]


def test_conclusions(run, truth):
    text = " ".join(" ".join(thing.data for thing, _ in run.shown["conclusions"]).split())
    error, by_pca, by_mean = (mse(made, run.x_test) for made in (
        truth.remade["test"], truth.pca(run.x_test), truth.mean_image))
    counts = truth.counts
    recall = counts.diagonal() / counts.sum(axis=1)
    pairs = Counter({(i, j): counts[i, j] + counts[j, i] for j in DIGITS for i in range(j)})
    (pair, most), = pairs.most_common(1)
    for sentence in [
            f"(dane: {run.data_name}, zbiór testowy)",
            f"to {error / by_pca:.0%} błędu PCA i {error / by_mean:.0%} błędu średniego obrazu",
            f"na samych kodach to {comma(counts.trace() / counts.sum(), '.1%')}: "
            f"najlepiej rozpoznaje {recall.argmax()} (czułość {recall.max():.0%}), "
            f"najgorzej {recall.argmin()} ({recall.min():.0%})",
            f"para to **{pair[0]} i {pair[1]}**: {most / pairs.total():.0%} wszystkich pomyłek"]:
        assert sentence in text


def test_dimensions(run):
    (left, right), errors = run.figure("dimensions-plot").axes, run.figure("digit-mse-plot")
    bars = by_name(errors.legends[0], errors.axes[0].patches)
    assert [axis_names(ax) for ax in (left, right)] == [
        ("rozmiar kodu n", "MSE (test)"), ("rozmiar kodu n", "dokładność 25 sąsiadów (test)")]
    for ax in (left, right):
        assert tick_names(ax.xaxis) == {str(n): place for place, n in enumerate(run.DIMENSIONS)}
        for name, (line,) in by_name(ax.get_legend(), ax.lines).items():
            assert to_rgb(line.get_color()) == to_rgb(bars[name][0].get_facecolor())  # as in the other figure
    drawn = {name: np.array([curves(ax)[name][1] for ax in (left, right)]).T for name in ("autoenkoder", "PCA")}
    mean, components = principal_components(run.x_train[:20_000])

    def measured(codes, new_codes, decoded):
        votes = run.y_train[:10_000][KDTree(codes).query(new_codes, 25)[1]]
        return mse(decoded, run.x_test), np.mean([np.bincount(row).argmax() for row in votes] == run.y_test)

    for n, pair in zip(run.DIMENSIONS, drawn["PCA"], strict=True):
        first, new = ((x.reshape(-1, 784) - mean) @ components[:, :n] for x in (run.x_train[:10_000], run.x_test))
        made = (new @ components[:, :n].T + mean).reshape(run.x_test.shape)
        assert pair == pytest.approx(measured(first, new, made), rel=2e-3)
    first, new = (call(run.enc_n, x) for x in (run.x_train[:10_000], run.x_test))
    assert drawn["autoenkoder"][-1] == pytest.approx(measured(first, new, call(run.dec_n, new)), rel=2e-3)
    assert (np.diff(drawn["autoenkoder"][:, 0]) < 0).all()


def test_decimal_commas(run, read):
    """No number that a reader sees has a decimal point; Keras's own summary and version and the page's source apart."""
    seen = sum(read.values(), [text.replace(run.keras.__version__, "") for cell_id, text in run.printed.items()
                               if cell_id != "build"])
    seen += [str(getattr(thing, "data", "")) for cell_id, things in run.shown.items() for thing, _ in things
             if cell_id != "page"]
    assert [text for text in seen if re.search(r"\d\.\d", text)] == [] and sum("," in text for text in seen) > 150


def test_alternative_texts(read, notebook):
    """Long enough, each another, about what the figure's texts or its section's headings speak of, and stored."""
    def stems(words):  # Polish words change at their ends
        return {word[:4] for word in re.findall(r"[^\W\d_]{5,}", " ".join(words).lower())}

    headings = []
    for cell in notebook.cells:
        for marks, heading in re.findall("^(##+) (.*)$", cell.source, flags=re.M):
            headings = [*headings[:len(marks) - 2], heading]
        *own, alt = read.get(cell.id, [None])
        stored = [out.metadata["image/png"]["alt"] for out in cell.get("outputs", []) 
                  if "image/png" in out.get("metadata", {})]
        assert stored == ([alt] if alt else []), cell.id
        assert not alt or len(alt) >= 30 and stems([alt]) & stems([*headings, *own]), cell.id
    assert len({alt for *_, alt in read.values()}) == len(read) > 12
