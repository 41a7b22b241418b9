"""Do the figures and the labelled numbers show what they say they show?

The tests read what was drawn: offsets and colours, image arrays and where they lie, bars, lines, texts (reading.py).
They compare it with the models and the data, not with the variables that the drawing code was given.
"""
import gzip
import re
from collections import Counter
from unittest.mock import MagicMock

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy import ndimage
from scipy.spatial import KDTree

from reading import (
    COLOURS, accuracy, answers, axis_names, border_places, by_name, call, cell_under, centres, certainty, claimed,
    comma, curves, digits_of, image_rows, images_of, is_square, mse, nearest, number, once_more, points,
    principal_components, purity, region_digits, said, table, texts, tick_names, titles, written_digits)

PARTS = ("train", "valid", "test")
CAPTIONS = [f"cyfra {digit}" for digit in range(10)]
Z = ("$z_1$", "$z_2$")
PLANES = ["regions", "atlas"]  # the planes with decision regions


@pytest.fixture(scope="module")
def codes(run):
    """For each part of the data the encoder's codes."""
    return {part: call(run.enc, run.space[f"x_{part}"]) for part in PARTS}


@pytest.fixture(scope="module")
def remade(run):
    """For each part of the data the autoencoder's reconstructions."""
    return {part: call(run.ae_model, run.space[f"x_{part}"]) for part in PARTS}


@pytest.fixture(scope="module")
def pca(run):
    """A function from images to their scores and reconstructions by n principal components of the training images."""
    mean, components = principal_components(run.x_train)

    def transform(images, n=2):
        scores = (np.reshape(images, (-1, 784)) - mean) @ components[:, :n]
        return scores, (scores @ components[:, :n].T + mean).reshape(-1, 28, 28, 1)

    return transform


@pytest.fixture(scope="module")
def flat(run):
    return {part: run.space[f"x_{part}"].reshape(-1, 784) for part in PARTS}


@pytest.fixture(scope="module")
def label_of(run):
    """A function that finds the labels of images among a part's images; None for an image that is not there."""
    data = {part: zip(run.space[f"x_{part}"], run.space[f"y_{part}"]) for part in PARTS}
    labels = {part: {image.tobytes(): int(label) for image, label in pairs} for part, pairs in data.items()}
    return lambda part, images: [labels[part].get(image.astype("float32").tobytes()) for image in images]


@pytest.fixture(scope="module")
def counts(run, codes):
    """The number of test images by digit and answer, counted one by one."""
    found = Counter(zip(run.y_test.tolist(), answers(run, codes["test"]).tolist()))
    return np.array([[found[digit, answer] for answer in range(10)] for digit in range(10)])


@pytest.fixture(scope="module")
def answer_grid(run):
    """The classifier's answers in the middles of 300 x 300 cells of the square, the first row at the top."""
    return answers(run, centres(300).reshape(-1, 2)).reshape(300, 300)


def accuracies(run, model, inputs):
    """Return a classifier's accuracy on each part of the data, of the training part on its first 20,000 images."""
    return [accuracy(model, inputs[part][:20_000], run.space[f"y_{part}"][:20_000]) for part in PARTS]


# Data, training, reconstructions


def test_examples_are_training_images_of_the_digit_above(run, label_of):
    axes = image_rows(run.figure("examples"), 10)
    images = images_of(axes)
    assert titles(axes) == CAPTIONS + 20 * [""]
    assert label_of("train", images) == 3 * list(range(10))
    assert len({image.tobytes() for image in images}) == 30


def test_loss_curves(run, remade):
    whole, half = run.figure("loss-curves").axes
    lines, late = curves(whole), curves(half)
    styles = {line.get_label(): line.get_linestyle() for ax in (whole, half) for line in ax.lines}
    assert styles == {"trening": "--", "walidacja": "-"} and set(lines) == set(late) == set(styles)
    for name, (epochs, losses) in lines.items():
        np.testing.assert_array_equal(epochs, np.arange(1, run.EPOCHS + 1))
        np.testing.assert_array_equal(late[name], [epochs[run.EPOCHS // 2:], losses[run.EPOCHS // 2:]])
        assert losses[0] > 1.2 * losses[-1]
    train, valid = (mse(remade[part], run.space[f"x_{part}"]) for part in ("train", "valid"))
    assert lines["walidacja"][1][-1] == pytest.approx(valid, rel=1e-3)
    assert lines["trening"][1][-1] == pytest.approx(train, rel=0.015)  # a mean over the last, slow epoch
    assert valid > 1.03 * train
    assert axis_names(whole) == axis_names(half) == ("epoka", "strata (MSE)")
    assert titles([whole, half]) == ["Krzywe uczenia", "Druga połowa w powiększeniu"]


def test_shapes_of_predictions(run):
    count = len(run.x_test)
    assert run.printed["predictions"] == f"kody: ({count}, 2) rekonstrukcje: ({count}, 28, 28, 1)\n"
    assert run.printed["random-codes"] == "losowe kody: (100, 2) obrazy: (100, 28, 28, 1)\n"


def test_reconstructions(run, label_of, pca):
    axes = image_rows(run.figure("reconstructions"), 10)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["oryginał", "autoenkoder", "PCA"] and titles(axes[0]) == CAPTIONS
    originals, by_model, by_pca = map(images_of, axes)
    assert label_of("test", originals) == list(range(10))
    np.testing.assert_allclose(by_model, call(run.ae_model, originals), atol=1e-4)
    np.testing.assert_allclose(by_pca, pca(originals)[1], atol=1e-3)


def test_dead_pixels(run, remade):
    matters = run.x_train.mean(axis=0) >= 0.05
    dead = np.sum(matters & (remade["test"].max(axis=0) <= 0))
    assert said(run, "dead-pixels") == {"Martwe piksele": f"{dead} z {matters.sum()}"}
    assert claimed(run, "dead-pixels") and dead <= matters.sum() / 100


def test_digit_errors(run, pca, remade):
    figure = run.figure("digit-mse-plot")
    made = {"średni obraz": np.broadcast_to(run.x_train.mean(axis=0), run.x_test.shape), "PCA": pca(run.x_test)[1],
            "autoenkoder": remade["test"]}
    errors = {name: np.array([mse(images[run.y_test == digit], run.x_test[run.y_test == digit]) for digit in range(10)])
              for name, images in made.items()}
    for ax, divisor in zip(figure.axes, [1, errors["średni obraz"]], strict=True):
        bars = by_name(figure.legends[0], ax.patches)
        assert set(bars) == set(made) and not ax.get_legend()
        for name, own in bars.items():
            assert [round(bar.get_x() + bar.get_width() / 2) for bar in own] == list(range(10))
            np.testing.assert_allclose([bar.get_height() for bar in own], errors[name] / divisor, rtol=1e-3)
        edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
        assert all(left[1] <= right[0] for left, right in zip(edges, edges[1:]))
        assert tick_names(ax.xaxis) == {str(digit): digit for digit in range(10)}
        assert ax.get_ylim()[0] == 0 and ax.get_yscale() == "linear"
    assert [axis_names(ax) for ax in figure.axes] == [
        ("cyfra", "MSE (test)"), ("cyfra", "część błędu średniego obrazu")]
    factor = number(re.fullmatch("MSE autoenkodera jest poniżej (.+) MSE dla PCA", *claimed(run, "digit-mse"))[1])
    assert mse(remade["test"], run.x_test) < factor * mse(made["PCA"], run.x_test)


def test_a_method_has_the_same_colour_in_both_figures(run):
    legends = [run.figure("digit-mse-plot").legends[0], *(ax.get_legend() for ax in run.figure("dimensions-plot").axes)]
    bars, *lines = [{text.get_text(): handle for handle, text in zip(legend.legend_handles, legend.get_texts())}
                    for legend in legends]
    colours = {name: to_rgb(bar.get_facecolor()) for name, bar in bars.items()}
    assert len(set(colours.values())) == 3
    for own in lines:
        assert {name: to_rgb(line.get_color()) for name, line in own.items()} == {
            name: colours[name] for name in ("autoenkoder", "PCA")}


def test_linear(run, pca):
    own, by_pca = mse(call(run.linear, run.x_test), run.x_test), mse(pca(run.x_test)[1], run.x_test)
    assert said(run, "linear") == {
        "MSE (test)": f"liniowy autoenkoder {comma(own, '.4f')}, PCA {comma(by_pca, '.4f')}"}
    assert claimed(run, "linear") == ["błąd liniowego autoenkodera różni się od błędu PCA o najwyżej 3%"]
    assert abs(own - by_pca) < 0.03 * by_pca


def test_unseen_images(run, label_of):
    axes = image_rows(run.figure("unseen-images"), 10)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["oryginał", "uczona\nna 0–4", "uczona na\nwszystkich"]
    originals, by_low, by_main = map(images_of, axes)
    assert label_of("test", originals) == list(range(10)) and titles(axes[0]) == CAPTIONS
    np.testing.assert_allclose(by_low, call(run.ae_low, originals), atol=1e-4)
    np.testing.assert_allclose(by_main, call(run.ae_model, originals), atol=1e-4)
    assert np.abs(by_low - by_main).max() > 0.2


def test_unseen_errors(run, remade):
    head, *rows = table(run, "unseen-errors")
    assert head == ["MSE (test)", "cyfry 0–4", "cyfry 5–9"]
    by_low = call(run.ae_low, run.x_test)
    made = {"średni obraz cyfr 0–4": by_low * 0 + run.x_train[run.y_train <= 4].mean(axis=0),
            "autoenkoder uczony na 0–4": by_low, "autoenkoder uczony na wszystkich": remade["test"]}
    known = run.y_test <= 4
    assert rows == [[name, *(comma(mse(images[part], run.x_test[part]), ".4f") for part in (known, ~known))]
                    for name, images in made.items()]
    assert len({cell for row in rows for cell in row}) == 9
    factor = number(re.search(r"(\d,\d) raza większy", *claimed(run, "unseen-errors"))[1])
    assert mse(by_low[~known], run.x_test[~known]) > factor * mse(by_low[known], run.x_test[known])


def test_what_gzip_makes_of_images(run, notebook):
    """A digit, its negative, its pixels shuffled, and noise: the sizes that the text gives for MNIST."""
    if run.data_name != "MNIST":
        pytest.skip("the sentence is about MNIST")
    text, = [cell.source for cell in notebook.cells if cell.id == "unseen-text"]
    images, rng = run.images_test, np.random.default_rng(0)
    shuffled = rng.permuted(images.reshape(-1, 784), axis=1)
    noise = rng.integers(0, 256, images.shape, dtype=np.uint8)
    sizes = [np.mean([len(gzip.compress(image.tobytes())) for image in own])
             for own in (images, 255 - images, shuffled, noise)]
    assert list(map(int, re.findall(r" do (\d{3})", text))) == pytest.approx(sizes, rel=0.02)


# The planes


def test_latent_scatter(run, codes):
    ax, = run.figure("latent-scatter").axes
    offsets, digits = points(ax)
    np.testing.assert_allclose(offsets, codes["test"], atol=1e-4)
    np.testing.assert_array_equal(digits, run.y_test)
    assert axis_names(ax) == Z and ax.get_title() == "Przestrzeń latentna: kody testowe"


@pytest.mark.parametrize("cell", ["latent-scatter", "latent-plane"])
def test_legend_of_digits(run, cell):
    figure = run.figure(cell)
    legend, = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    names = [int(re.search(r"\d", text.get_text())[0]) for text in legend.get_texts()]
    assert names == list(range(10)) and legend.get_title().get_text() == "cyfra"
    assert digits_of([to_rgb(handle.get_color()) for handle in legend.legend_handles]).tolist() == names


def test_latent_plane(run, codes, pca):
    planes = run.figure("latent-plane").axes
    assert titles(planes) == ["Autoenkoder", "PCA"] and all(map(is_square, planes))
    assert list(map(axis_names, planes)) == [Z, ("składowa 1", "składowa 2")]
    offsets, digits = points(planes[0])
    np.testing.assert_allclose(offsets, codes["test"][::2], atol=1e-4)
    np.testing.assert_array_equal(digits, run.y_test[::2])
    offsets, digits = points(planes[1])
    scores = pca(run.x_test)[0]
    scaled = (2 * (scores - scores.min(axis=0)) / np.ptp(scores, axis=0) - 1)[::2]  # but for its sign
    np.testing.assert_allclose(offsets * np.sign(np.sum(offsets * scaled, axis=0)), scaled, atol=1e-3)
    np.testing.assert_array_equal(digits, run.y_test[::2])


@pytest.mark.parametrize("number", [0, 1])
def test_a_digit_stands_where_it_leads(run, codes, number):
    """In no other free tile of 16x16, 0.15 from the digits before, are there so many of its codes and so few others."""
    counts = np.zeros((10, 16, 16), int)
    np.add.at(counts, (run.y_test, *cell_under([codes["test"], run.pca_square][number], 16)), 1)
    leads = counts ** 2 / (counts.sum(axis=0) + 1)
    written = written_digits(run.figure("latent-plane").axes[number])
    assert [digit for digit, _ in written] == list(range(10))
    for digit, place in written:
        row, column = (index[0] for index in cell_under(place, 16))
        np.testing.assert_allclose(place, centres(16)[row, column])
        gaps = [np.hypot(*np.moveaxis(centres(16) - other, -1, 0)) for _, other in written[:digit]]
        free = np.all([np.full((16, 16), True), *(gap >= 0.15 for gap in gaps)], axis=0)
        assert free[row, column] and leads[digit, row, column] == leads[digit][free].max() > 0, digit


def test_points_on_decision_regions(run, codes):
    """Every second test code in its digit's colour; the clusters' names where they are on the first plane."""
    ax, = run.figure("regions").axes
    offsets, digits = points(ax)
    np.testing.assert_allclose(offsets, codes["test"][::2], atol=1e-4)
    np.testing.assert_array_equal(digits, run.y_test[::2])
    assert set(digits) == set(range(10)) and ax.get_title() == "Obszary decyzyjne i kody testowe"


@pytest.mark.parametrize("cell", PLANES)
def test_clusters_have_their_names_in_the_same_places(run, cell):
    planes = *run.figure(cell).axes, run.figure("latent-plane").axes[0]
    names, first = (dict(written_digits(plane, large=True)) for plane in planes)
    assert len(names) == 10
    np.testing.assert_array_equal([names[digit] for digit in range(10)], [first[digit] for digit in range(10)])


def test_edge(run, codes):
    edge = np.maximum(*np.abs(codes["test"]).T) > 0.99
    shares = {digit: edge[run.y_test == digit].mean() for digit in range(10)}
    worst = max(shares, key=shares.get)
    assert said(run, "edge") == {"Obrazy z kodem na brzegu kwadratu": comma(edge.mean(), ".1%"),
                                 f"Najczęściej cyfra {worst}": comma(shares[worst], ".1%")}


def test_epochs_strip(run, codes):
    """The codes of the validation images before training, after some epochs and at the end, ever purer."""
    axes = run.figure("epochs-strip").axes
    assert titles(axes) == ["na początku", *(f"po epoce {epoch}" for epoch in (1, 3, 10, run.EPOCHS))]
    assert all(map(is_square, axes))
    planes = [points(ax) for ax in axes]
    for offsets, digits in planes:
        assert len(offsets) == len(run.x_valid) == run.VALID_SIZE
        np.testing.assert_array_equal(digits, run.y_valid)
    start, _, _ = run.autoencoder(run.CODE_SIZE, run.x_train)
    np.testing.assert_allclose(planes[0][0], call(start, run.x_valid), atol=1e-4)
    np.testing.assert_allclose(planes[-1][0], codes["valid"], atol=1e-4)
    purities = [purity(offsets, run.y_valid) for offsets, _ in planes]
    assert min(purities[1:]) > purities[0] and purities[-1] > purities[0] + 0.1


# Random codes and the classifier


def test_random_codes_fill_the_square_evenly(run, codes):
    assert run.random_codes.shape == (100, 2) and np.abs(run.random_codes).max() <= 1
    assert (np.histogram2d(*run.random_codes.T, bins=2, range=[(-1, 1)] * 2)[0] >= 10).all()
    gaps = np.abs(run.random_codes[:, None] - codes["test"]).max(axis=-1).min(axis=1)
    assert gaps.max() > 0.02  # they are not codes of images


def test_random_grid(run):
    axes = image_rows(run.figure("random-grid"), 10)
    assert axes.shape == (10, 10)
    shown = np.array([[number(part) for part in title.split("; ")] for title in titles(axes)])
    np.testing.assert_allclose(shown, run.random_codes, atol=0.00501)
    np.testing.assert_allclose(images_of(axes), call(run.dec, run.random_codes), atol=1e-4)


def test_classifiers_learn_from_the_training_part_of_their_representation(run, codes, flat):
    teach = MagicMock(return_value=run.classifier)
    once_more(run, "classify", train_classifier=teach)
    once_more(run, "baselines", train_classifier=teach)
    given = [call_.args for call_ in teach.call_args_list]
    scores = (flat["train"] - flat["train"].mean(axis=0)) @ run.pca.components_.T
    for (x, y), expected in zip(given, [codes["train"], scores, flat["train"][:20_000]], strict=True):
        np.testing.assert_allclose(x, expected, atol=1e-3)
        np.testing.assert_array_equal(y, run.y_train[:len(expected)])


def test_printed_accuracy_is_the_test_accuracy(run, codes):
    shares = [comma(share, ".1%") for share in accuracies(run, run.classifier, codes)]
    assert said(run, "classify") == {"Dokładność na kodach testowych": shares[2]}
    assert shares[2] not in shares[:2]


def test_confusion_matrix(run, counts):
    ax, = run.figure("confusion").axes
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(seen_matrix := np.asarray(ax.images[0].get_array()), shares)
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and not np.allclose(seen_matrix, seen_matrix.T)
    written = {tuple(map(round, text.get_position())): text.get_text() for text in ax.texts}
    assert written == {(answer, digit): f"{shares[digit, answer]:.0%}" for digit in range(10) for answer in range(10)}
    assert axis_names(ax) == ("odpowiedź", "cyfra") and ax.get_title() == "Macierz pomyłek (test)"
    for axis in (ax.xaxis, ax.yaxis):
        assert tick_names(axis) == {str(digit): digit for digit in range(10)}


@pytest.mark.parametrize("cell", PLANES)
def test_regions_are_the_classifiers_answers(run, cell, answer_grid):
    ax, = run.figure(cell).axes
    np.testing.assert_array_equal(region_digits(ax), answer_grid)
    assert is_square(ax) and axis_names(ax) == Z and set(answer_grid.ravel()) == set(range(10))


@pytest.mark.parametrize("cell", PLANES)
def test_lines_run_where_and_only_where_the_answer_changes(run, cell, answer_grid):
    """A line passes between any two neighbouring cells with different answers."""
    places = centres(300)
    beside, below = answer_grid[:, 1:] != answer_grid[:, :-1], answer_grid[1:] != answer_grid[:-1]
    changes = np.concatenate([(places[:, 1:] + places[:, :-1])[beside], (places[1:] + places[:-1])[below]]) / 2
    corners = border_places(run.figure(cell).axes[0])
    assert len(changes) > 1_000
    assert KDTree(corners).query(changes)[0].max() < 1 / 300 and KDTree(changes).query(corners)[0].max() < 1 / 300


@pytest.mark.parametrize("cell", PLANES)
def test_every_region_has_a_digit_of_its_own(run, cell, answer_grid):
    """Every connected region of at least 0.5 % of the square; and a small digit lies in a region of its answer."""
    ax, = run.figure(cell).axes
    written = [(digit, *(index[0] for index in cell_under(place, 300))) for digit, place in written_digits(ax)]
    for digit in range(10):
        pieces, count = ndimage.label(answer_grid == digit)
        for piece in range(1, count + 1):
            if np.mean(pieces == piece) >= 0.005:
                own = [place for name, *place in written if name == digit and pieces[tuple(place)] == piece]
                assert own, f"a region of {digit}, {np.mean(pieces == piece):.1%} of the square, has no name"
    small = written_digits(ax, large=False)
    assert answers(run, [place for _, place in small]).tolist() == [digit for digit, _ in small] if small else True


@pytest.mark.parametrize("cell", PLANES)
def test_no_digit_lies_on_another(run, cell, answer_grid):
    """A small digit stands nearer than 0.15 to another only if its region's inner half has no place that is free."""
    ax, = run.figure(cell).axes
    written = dict(written_digits(run.figure("latent-plane").axes[0]))  # these are placed first
    taken = [written[digit] for digit in range(10)]
    for digit, place in written_digits(ax, large=False):
        if np.hypot(*(np.array(taken) - place).T).min() < 0.149:
            pieces, _ = ndimage.label(answer_grid == digit)
            piece = pieces == pieces[tuple(index[0] for index in cell_under(place, 300))]
            depths = ndimage.distance_transform_edt(np.pad(piece, 1))[1:-1, 1:-1]
            inner = centres(300)[depths > depths.max() / 2]
            assert np.hypot(*np.moveaxis(inner[:, None] - taken, -1, 0)).min(axis=1).max() < 0.15, digit
        taken.append(place)
    big = np.array(taken[:10])
    assert np.hypot(*np.moveaxis(big[:, None] - big, -1, 0))[np.triu_indices(10, 1)].min() >= 0.149


def test_atlas_tiles_are_the_decoders_images(run, codes):
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
    np.add.at(counts, cell_under(codes["train"], 20), 1)
    expected = np.clip(counts / (counts.mean() / 2), 0.3, 1)
    assert np.abs(shades - expected).max() < 0.02  # a code may lie on an edge
    assert set(shades.round(2).ravel()) >= {0.3, 1}
    assert ax.get_title() == "Atlas: zdekodowany kwadrat i obszary decyzyjne"


def test_a_cross_for_each_random_code(run):
    ax, = run.figure("regions").axes
    line, = ax.lines
    assert line.get_marker() == "+" and line.get_linestyle() in ("None", "none") and line.get_markersize() >= 6
    np.testing.assert_array_equal(line.get_xydata(), run.random_codes)


def test_random_answers(run):
    """The ten surest and the ten least sure answers, each group from the surest on; an image's look tells its code."""
    axes = image_rows(run.figure("random-answers"), 10)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["najpewniej", "najmniej"]
    images, probabilities = call(run.dec, run.random_codes), call(run.classifier, run.random_codes)
    gaps = np.abs(images_of(axes)[:, None] - images).max(axis=(2, 3, 4))
    chosen = gaps.argmin(axis=1)
    assert gaps.min(axis=1).max() < 1e-4 and len(set(chosen)) == 20
    shown, by_certainty = probabilities[chosen], np.sort(probabilities.max(axis=1))[::-1]
    np.testing.assert_allclose(shown.max(axis=1), [*by_certainty[:10], *by_certainty[-10:]], atol=1e-5)
    assert titles(axes) == [f"odp. {answer.argmax()}, {certainty(answer.max())}" for answer in shown]


def test_random_counts(run):
    found = Counter(map(str, answers(run, run.random_codes)))
    names = [str(digit) for digit in range(10)]
    assert table(run, "random-counts") == [
        ["odpowiedź", *names], ["razy na 100", *(str(found[name]) for name in names)], ["po równo", *10 * ["10"]]]


# Conclusions


def test_scoreboard(run, codes, pca, flat, remade):
    head, *rows = table(run, "scoreboard")
    assert head == ["Reprezentacja", "bajty", "MSE (test)", "dokładność: trening", "walidacja", "test"]
    rounded = {part: (np.round(own * 127).astype("int8") / 127).astype("float32") for part, own in codes.items()}
    plane = {part: run.pca.transform(own) for part, own in flat.items()}
    np.testing.assert_allclose(np.abs(plane["valid"]), np.abs(pca(run.x_valid)[0]), atol=1e-3)
    common = Counter(run.y_train.tolist()).most_common(1)[0][0]
    nothing = ["", "", comma(np.mean(run.y_test == common), ".1%")]
    for (name, size, error, *shares), (expected_name, expected_size, made, model, inputs) in zip(rows, [
            ("nic: średni obraz, najczęstsza cyfra", "0", run.x_train.mean(axis=0), None, None),
            ("PCA (2 składowe)", "8", pca(run.x_test)[1], run.pca_classifier, plane),
            ("autoenkoder", "8", remade["test"], run.classifier, codes),
            ("autoenkoder, kod zaokrąglony", "2", call(run.dec, rounded["test"]), run.classifier, rounded),
            ("surowe piksele", "784", run.x_test, run.pixel_classifier, flat)], strict=True):
        assert (name, size, error) == (expected_name, expected_size, comma(mse(made, run.x_test), ".4f"))
        expected = [comma(share, ".1%") for share in accuracies(run, model, inputs)] if model else nothing
        assert shares == expected and len(set(shares)) >= 2, name
    percent = {name: [number(share.strip("%")) for share in shares if share] for name, _, _, *shares in rows}
    assert percent["autoenkoder"][2] >= 1.5 * percent["PCA (2 składowe)"][2] - 0.1
    assert percent["surowe piksele"][2] > percent["autoenkoder"][2] and len(claimed(run, "scoreboard-claims")) == 2


def test_cost(run, flat, remade):
    images = flat["test"], remade["test"].reshape(-1, 784)
    seen = [call(run.pixel_classifier, own).argmax(axis=1) for own in images]
    numbers = sum(weight.size for weight in run.dec.get_weights())
    assert said(run, "cost") == {
        "Kompresja": f"{28 * 28 / (2 * 4):.0f} razy, po zaokrągleniu {28 * 28 / 2:.0f} razy",
        "Liczby, które trzeba mieć obok kodu, czyli wagi dekodera": f"{numbers // 1000} {numbers % 1000:03}",
        "Rekonstrukcje, w których klasyfikator pikseli widzi inną cyfrę niż w oryginale":
            comma(np.mean(seen[0] != seen[1]), ".1%")}


def test_conclusions(run, pca, counts, remade):
    text = re.sub(r"\s+", " ", " ".join(thing.data for thing, _ in run.shown["conclusions"]))
    error, mean_error = (mse(made, run.x_test) for made in (remade["test"], run.x_train.mean(axis=0)))
    recall = [counts[digit, digit] / np.sum(run.y_test == digit) for digit in range(10)]
    best, worst = np.argmax(recall), np.argmin(recall)
    pairs = Counter({(i, j): counts[i, j] + counts[j, i] for i in range(10) for j in range(i + 1, 10)})
    (pair, most), = pairs.most_common(1)
    for sentence in [
            f"(dane: {run.data_name}, zbiór testowy)",
            f"to {error / mse(pca(run.x_test)[1], run.x_test):.0%} błędu PCA "
            f"i {error / mean_error:.0%} błędu średniego obrazu",
            f"na samych kodach to {comma(counts.trace() / counts.sum(), '.1%')}: "
            f"najlepiej rozpoznaje {best} (czułość {recall[best]:.0%}), najgorzej {worst} ({recall[worst]:.0%})",
            f"para to **{pair[0]} i {pair[1]}**: {most / pairs.total():.0%} wszystkich pomyłek"]:
        assert sentence in text


def test_hardest_digits(run, codes, remade, label_of):
    axes = image_rows(run.figure("hardest"), 12)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["oryginał", "rekon-\nstrukcja"] and axes.shape == (2, 12)
    originals, drawn = map(images_of, axes)
    own = call(run.enc, originals)
    np.testing.assert_allclose(drawn, call(run.dec, own), atol=1e-4)
    assert titles(axes[0]) == [f"cyfra {digit}\nodp. {answer}"
                               for digit, answer in zip(label_of("test", originals), answers(run, own))]
    errors = np.sort(np.square(remade["test"] - run.x_test).mean(axis=(1, 2, 3)))[::-1]
    np.testing.assert_allclose(np.square(drawn - originals).mean(axis=(1, 2, 3)), errors[:12], rtol=1e-3)


def test_dimensions(run):
    left, right = run.figure("dimensions-plot").axes
    assert [axis_names(ax) for ax in (left, right)] == [
        ("rozmiar kodu n", "MSE (test)"), ("rozmiar kodu n", "dokładność 25 sąsiadów (test)")]
    sizes, errors, shares = run.DIMENSIONS, curves(left), curves(right)
    for ax in (left, right):
        assert tick_names(ax.xaxis) == {str(n): place for place, n in enumerate(sizes)}
    assert set(errors) == set(shares) == {"autoenkoder", "PCA"}
    assert all(list(x) == list(range(len(sizes))) for x, _ in [*errors.values(), *shares.values()])

    def neighbours(codes, new_codes):
        votes = run.y_train[:10_000][nearest(codes.astype("float64"), new_codes.astype("float64"))]
        return np.mean([np.bincount(row, minlength=10).argmax() for row in votes] == run.y_test)

    mean, components = principal_components(run.x_train[:20_000])
    for place, n in enumerate(sizes):
        first, new = ((x.reshape(-1, 784) - mean) @ components[:, :n] for x in (run.x_train[:10_000], run.x_test))
        decoded = (new @ components[:, :n].T + mean).reshape(run.x_test.shape)
        assert errors["PCA"][1][place] == pytest.approx(mse(decoded, run.x_test), rel=1e-5)
        assert shares["PCA"][1][place] == pytest.approx(neighbours(first, new), abs=0.001)
    first, new = (call(run.enc_n, x) for x in (run.x_train[:10_000], run.x_test))
    assert errors["autoenkoder"][1][-1] == pytest.approx(mse(call(run.dec_n, new), run.x_test), rel=1e-5)
    assert shares["autoenkoder"][1][-1] == pytest.approx(neighbours(first, new), abs=0.001)
    assert claimed(run, "dimensions-plot") and (np.diff(errors["autoenkoder"][1]) < 0).all()


# What holds for all of them


def figures(run):
    return {cell_id: run.figure(cell_id) for cell_id, things in run.shown.items()
            if any(hasattr(thing, "axes") for thing, _ in things)}


def test_decimal_commas(run):
    """No number that a reader sees has a decimal point; Keras's own summary and version and the page's source apart."""
    read = {cell_id: [text.replace(run.keras.__version__, "")] for cell_id, text in run.printed.items()
            if cell_id != "build"}
    for cell_id, things in run.shown.items():
        for thing, metadata in things:
            if hasattr(thing, "axes"):
                read[cell_id] += [run.alt(cell_id), *texts(thing)]
            elif cell_id != "page":
                read[cell_id].append(str(getattr(thing, "data", thing)))
    found = [(cell_id, text) for cell_id, own in read.items() for text in own if re.search(r"\d\.\d", text)]
    assert found == [] and sum("," in text for own in read.values() for text in own) > 150


def stems(text):
    """Return the beginnings of a text's longer words: Polish words change at their ends."""
    return {word[:4] for word in re.findall(r"[^\W\d_]{5,}", text.lower())}


def test_alternative_texts(run, notebook):
    """Long enough, each another, and about what the figure's own texts or its section's headings speak of."""
    headings, current = {}, []
    for cell in notebook.cells:
        found = re.findall("^(##+) (.*)$", cell.source, flags=re.M) if cell.cell_type == "markdown" else []
        for marks, heading in found:
            current = [*current[:len(marks) - 2], heading]
        headings[cell.id] = " ".join(current)
    alts = {cell_id: run.alt(cell_id) for cell_id in figures(run)}
    assert len(alts) > 12 and len(set(alts.values())) == len(alts)
    for cell_id, alt in alts.items():
        assert len(alt) >= 30, cell_id
        assert stems(alt) & stems(" ".join([headings[cell_id], *texts(run.figure(cell_id))])), cell_id


def test_parts_of_the_data_are_told_apart(run, codes, remade, flat):
    """Numbers of the training and the validation images are other ones, so the tests above know which part was used."""
    errors = [comma(mse(remade[part], run.space[f"x_{part}"]), ".4f") for part in PARTS]
    shares = [comma(share, ".1%") for share in accuracies(run, run.classifier, codes)]
    assert errors[2] not in errors[:2] and shares[2] not in shares[:2]


MACHADO = {  # colour vision without one kind of cone: Machado, Oliveira and Fernandes (2009), table 1, severity 1
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("kind", MACHADO)
def test_digits_side_by_side_differ_for_colour_blind_readers(run, kind):
    """CIE 1976 colour difference of at least 20, ten times what is just seen, between digits that lie side by side."""
    rgb = np.array(list(map(to_rgb, run.COLOURS.colors)))
    np.testing.assert_array_equal(rgb, COLOURS)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    white_is_one = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]]
    xyz = (linear @ np.transpose(MACHADO[kind])).clip(0, 1) @ np.transpose(white_is_one)
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1)
    for first, second in [(3, 5), (4, 9), (2, 8), (3, 8), (5, 8), (7, 9)]:
        assert np.linalg.norm(lab[first] - lab[second]) >= 20, (first, second)


# Drawing functions on their own


def test_first_free(run):
    candidates = np.array([[0.0, 0.1], [0.0, 0.14], [0.0, 0.2], [0.5, 0.5]])
    assert run.first_free(candidates, [np.zeros(2)]).tolist() == [0.0, 0.2]
    for few, taken in [(candidates, []), (candidates[:2], [np.zeros(2)])]:  # all free, none free: the first one
        assert run.first_free(few, taken).tolist() == [0.0, 0.1]


def test_only_certainty_is_called_100_per_cent(run):
    shares = np.linspace(0, 1, 2_001).astype("float32")
    assert [run.percent(share) for share in shares] == [certainty(share) for share in shares]
