"""Do the figures and the labelled numbers show what they say they show?

The tests read what was drawn: offsets and colours, image arrays and where they lie, bars, lines, texts. They compare
it with the models and the data, not with the variables that the drawing code was given.
"""
import re
from collections import defaultdict

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

ORDER = [8, 3, 2, 1, 0, 9, 7, 5, 4, 6]
COLOURS = np.array([to_rgb(matplotlib.color_sequences["petroff10"][place]) for place in ORDER])  # by digit


def call(model, x):
    """Return a model's answer to the whole array x at once."""
    return np.asarray(model(np.asarray(x, "float32")))


def seen(ax, image=None):
    """Return an image's array as a reader sees it: first row at the top, first column at the left."""
    image = image or ax.images[0]
    array = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    if image.origin == "lower":
        array = array[::-1]
    if (top > bottom) != (ax.get_ylim()[1] > ax.get_ylim()[0]):
        array = array[::-1]
    if (right > left) != (ax.get_xlim()[1] > ax.get_xlim()[0]):
        array = array[:, ::-1]
    return array


def digit_image(ax, shape=(28, 28)):
    """Return the image on axes that hold one, after a look at its scale: white 0, black 1."""
    image, = ax.images
    assert image.cmap.name == "gray_r" and image.norm.vmin == 0 and image.norm.vmax == 1
    array = seen(ax)
    assert array.shape == shape
    return array


def image_axes(figure, shape=(28, 28)):
    """Return the axes that hold an image of this shape, in the order in which a reader meets them."""
    axes = [ax for ax in figure.axes if [image.get_array().shape for image in ax.images] == [shape]]
    figure.draw_without_rendering()
    return sorted(axes, key=lambda ax: (-round(ax.get_window_extent().y0), ax.get_window_extent().x0))


def points(ax):
    """Return the offsets (N, 2) of a scatter, and for each point the digit whose colour it has."""
    scatter, = [drawn for drawn in ax.collections if isinstance(drawn, PathCollection)]
    colours = scatter.to_rgba(scatter.get_array(), alpha=1)[:, :3]
    return np.asarray(scatter.get_offsets()), np.abs(colours[:, None] - COLOURS).sum(axis=2).argmin(axis=1)


def crosses(ax):
    line, = [line for line in ax.lines if line.get_marker() == "+"]
    return line.get_xydata()


def legend_series(ax, legend, artists):
    """Return what a reader finds for each entry of a legend: the artists of the entry's colour."""
    found = {}
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        colour = handle.get_color() if hasattr(handle, "get_color") else handle.get_facecolor()
        found[text.get_text()] = [artist for artist, own in artists if np.allclose(to_rgb(own), to_rgb(colour))]
    return found


def lines_by_name(ax):
    """Return the data (x, y) of the one line that each legend entry points at."""
    series = legend_series(ax, ax.get_legend(), [(line, line.get_color()) for line in ax.lines])
    return {name: line.get_data() for name, (line,) in series.items()}


def is_plane(ax):
    """Say whether axes show the square [-1, 1]² with z1 to the right and z2 upwards."""
    return (ax.get_xlim() == (-1, 1) and ax.get_ylim() == (-1, 1) and ax.get_aspect() == 1
            and (ax.get_xlabel(), ax.get_ylabel()) == ("$z_1$", "$z_2$"))


def cluster_names(ax):
    """Return the positions of the large digits on a plane."""
    return {int(text.get_text()): text.get_position() for text in ax.texts if text.get_fontsize() > 12}


def numbered(ax):
    """Return the positions of the small numbers on a plane; each must lie on a marker."""
    places = {int(text.get_text()): text.get_position() for text in ax.texts if text.get_fontsize() < 12}
    line, = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(line.get_xydata(), [places[number] for number in range(1, len(places) + 1)])
    return {number: np.array(place) for number, place in places.items()}


def region_under(ax, codes):
    """Return the digit whose colour lies under each code (N, 2) on axes with decision regions, and the colour's centre."""
    regions = ax.images[-1]
    assert regions.get_alpha() >= 0.2
    digits = np.abs(regions.to_rgba(regions.get_array(), alpha=1)[..., None, :3] - COLOURS).sum(axis=-1).argmin(axis=-1)
    left, right, bottom, top = regions.get_extent()
    rows, columns = digits.shape
    if regions.origin == "lower":
        digits = digits[::-1]
    column = np.clip(((codes[:, 0] - left) / (right - left) * columns).astype(int), 0, columns - 1)
    row = np.clip(((top - codes[:, 1]) / (top - bottom) * rows).astype(int), 0, rows - 1)
    centres = np.stack([left + (column + 0.5) / columns * (right - left), top - (row + 0.5) / rows * (top - bottom)], axis=1)
    return digits[row, column], centres


def comma(text):
    """Return a number's text with the decimal comma that Polish asks for."""
    return text.replace(".", ",")


def number(text):
    """Return what a Polish reader reads: a decimal comma and a true minus."""
    assert "." not in text and "-" not in text
    return float(text.replace(",", ".").replace("−", "-"))


def classes(run, codes):
    return call(run.classifier, codes).argmax(axis=1)


def rows_of(images):
    return np.reshape(images, (len(images), -1)).astype("float64")


@pytest.fixture(scope="module")
def pca(run):
    """Principal components by the eigenvectors of the covariance: a function that gives (scores, reconstructions)."""
    mean = rows_of(run.x_train).mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(rows_of(run.x_train).T))

    def transform(images, n=2):
        components = vectors[:, ::-1][:, :n]
        scores = (rows_of(images) - mean) @ components
        return scores, (scores @ components.T + mean).reshape(-1, 28, 28)

    return transform


@pytest.fixture(scope="module")
def label_of(run):
    """For "train" and "test" a function that finds the label of an image among that part's images."""
    labels = {part: {image.tobytes(): int(label) for image, label in zip(run.space[f"x_{part}"], run.space[f"y_{part}"])}
              for part in ("train", "test")}
    return lambda part, image: labels[part].get(np.ascontiguousarray(image, "float32").tobytes())


def mse(images, targets):
    return float(np.mean(np.square(np.reshape(images, (-1, 784)) - np.reshape(targets, (-1, 784)))))


def accuracy(run, model, x, y):
    return np.mean(call(model, x).argmax(axis=1) == y)


# The figures, in the notebook's order


def test_examples_are_training_images_of_the_digit_above(run, label_of):
    axes = image_axes(run.figure("examples"))
    titles = [ax.get_title() for ax in axes[:10]]
    assert titles == [str(digit) for digit in range(10)]
    assert [label_of("train", digit_image(ax)) for ax in axes] == 3 * list(range(10))
    assert len({digit_image(ax).tobytes() for ax in axes}) == 30


def test_loss_curves(run):
    ax, = run.figure("loss-curves").axes
    curves = lines_by_name(ax)
    assert set(curves) == {"trening", "walidacja"}
    for x, y in curves.values():
        np.testing.assert_array_equal(x, np.arange(1, run.EPOCHS + 1))
    train, valid = curves["trening"][1], curves["walidacja"][1]
    at_the_end = {part: mse(call(run.ae_model, run.space[f"x_{part}"]), run.space[f"x_{part}"]) for part in ("train", "valid")}
    assert valid[-1] == pytest.approx(at_the_end["valid"], rel=1e-3)
    assert train[-1] == pytest.approx(at_the_end["train"], rel=0.02)  # a mean over the last, slow epoch
    assert train[0] > 1.5 * train[-1] and valid[0] > valid[-1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoka", "strata (MSE)")


def test_reconstructions(run, label_of, pca):
    axes = image_axes(run.figure("reconstructions"))
    assert [axes[row].get_ylabel() for row in (0, 10, 20)] == ["oryginał", "autoenkoder", "PCA"]
    assert [ax.get_title() for ax in axes[:10]] == [str(digit) for digit in range(10)]
    originals, by_model, by_pca = np.array([digit_image(ax) for ax in axes]).reshape(3, 10, 28, 28)
    assert [label_of("test", image) for image in originals] == list(range(10))
    np.testing.assert_allclose(by_model, call(run.ae_model, originals[..., None])[..., 0], atol=1e-4)
    np.testing.assert_allclose(by_pca, pca(originals)[1], atol=1e-3)


def test_digit_errors(run, pca):
    ax, = run.figure("digit-mse").axes
    answers = {"średni obraz": np.broadcast_to(run.x_train.mean(axis=0)[..., 0], (len(run.x_test), 28, 28)),
               "PCA (2 składowe)": pca(run.x_test)[1], "autoenkoder": call(run.ae_model, run.x_test)[..., 0]}
    bars = legend_series(ax, ax.get_legend(), [(bar, bar.get_facecolor()) for bar in ax.patches])
    assert len(bars) == 3 and "test" in ax.get_ylabel() and ax.get_legend().get_title().get_text() == "średni MSE"
    for text, own in bars.items():
        name, mean = text.rsplit(": ", 1)
        assert mean == comma(f"{mse(answers[name], run.x_test):.4f}")
        places = [round(bar.get_x() + bar.get_width() / 2) for bar in own]
        assert sorted(places) == list(range(10))
        for digit, bar in zip(places, own):
            chosen = run.y_test == digit
            assert bar.get_height() == pytest.approx(mse(answers[name][chosen], run.x_test[chosen]), rel=1e-3)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [str(digit) for digit in range(10)]
    assert ax.get_ylim()[0] == 0 and ax.get_yscale() == "linear"


def test_strange_images(run, label_of):
    """Two test digits, their negatives, their pixels in another order and noise; below, what the network makes of them."""
    axes = image_axes(run.figure("strange"))
    assert [ax.get_title() for ax in axes[:8:2]] == ["zwykła\ncyfra", "negatyw", "pomieszane\npiksele", "szum"]
    assert [axes[0].get_ylabel(), axes[8].get_ylabel()] == ["wejście", "wyjście"]
    given, made = np.array([digit_image(ax) for ax in axes]).reshape(2, 8, 28, 28)
    assert all(label_of("test", image) is not None for image in given[:2])
    np.testing.assert_allclose(given[2:4], 1 - given[:2], atol=1e-6)
    for mixed, digit in zip(given[4:6], given[:2]):
        np.testing.assert_array_equal(np.sort(mixed, axis=None), np.sort(digit, axis=None))
        assert abs(np.corrcoef(mixed.ravel(), digit.ravel())[0, 1]) < 0.2
    assert given[6:].min() >= 0 and given[6:].max() <= 1 and given[6:].std() == pytest.approx(12 ** -0.5, rel=0.05)
    np.testing.assert_allclose(made, call(run.ae_model, given[..., None])[..., 0], atol=1e-4)
    errors = [mse(*images) for images in zip(made, given)]
    assert [ax.get_title() for ax in axes[8:]] == [comma(f"MSE {error:.3f}") for error in errors]
    assert min(errors[2:]) > max(errors[:2])


def test_latent_plane(run, pca):
    figure = run.figure("latent-plane")
    planes = {ax.get_title(): ax for ax in figure.axes}
    assert list(planes) == ["Autoenkoder", "PCA"] and all(map(is_plane, planes.values()))
    codes, digits = points(planes["Autoenkoder"])
    np.testing.assert_allclose(codes, call(run.enc, run.x_test), atol=1e-4)
    np.testing.assert_array_equal(digits, run.y_test)
    codes, digits = points(planes["PCA"])
    np.testing.assert_array_equal(digits, run.y_test)
    scores = pca(run.x_test)[0]
    ratios = (codes * scores).sum(axis=0) / np.square(scores).sum(axis=0)
    np.testing.assert_allclose(codes, scores * ratios, atol=1e-3)
    assert abs(ratios[0]) == pytest.approx(abs(ratios[1]), rel=1e-3)  # one scale for both axes
    assert abs(ratios[0]) * np.abs(pca(run.x_train)[0]).max() == pytest.approx(1, rel=1e-3)


def test_legend_of_the_planes(run):
    legend, = run.figure("latent-plane").legends
    names = [int(re.search(r"\d", text.get_text())[0]) for text in legend.get_texts()]
    assert names == list(range(10)) and legend.get_title().get_text() == "cyfra"
    np.testing.assert_allclose([to_rgb(handle.get_color()) for handle in legend.legend_handles], COLOURS)


PLANES = [("latent-plane", 0), ("latent-plane", 1), ("random-plane", 0), ("regions", 0), ("random-answers", 0),
          ("hardest", 0), ("path", 0)]


def marked(ax):
    """Return the numbered places (K, 2) on a plane, none where there are none."""
    return np.reshape([line.get_xydata() for line in ax.lines if line.get_marker() == "o"], (-1, 2))


@pytest.mark.parametrize("cell, number", PLANES)
def test_a_digit_stands_in_its_cluster(run, cell, number):
    """In the digit's tile of 16x16 lie at least a quarter as many of its codes as in any square of that size.

    Such a square meets at most four tiles. Only squares count whose tiles are free, that is at least 0.15 away from marks
    and from smaller digits: their middle is a tile's diagonal further away.
    """
    ax = run.figure(cell).axes[number]
    codes, digits = points(ax)
    names = cluster_names(ax)
    assert sorted(names) == list(range(10))
    for digit, place in names.items():
        own = codes[digits == digit]
        taken = np.array([*marked(ax), *(names[other] for other in range(digit))]).reshape(-1, 2)
        free = [code for code in own if (np.hypot(*(taken - code).T) >= 0.15 + 2 * 0.0625 * 2 ** 0.5).all()]
        around = [(np.abs(own - centre).max(axis=1) <= 0.0625).sum() for centre in [place, *free[:200]]]
        assert around[0] >= max(1, 0.25 * max(around[1:], default=0)), digit


@pytest.mark.parametrize("cell, number", PLANES)
def test_nothing_lies_on_a_digit(run, cell, number):
    ax = run.figure(cell).axes[number]
    names = cluster_names(ax)
    for digit, place in names.items():
        others = np.array([*marked(ax), *(names[other] for other in names if other != digit)])
        assert np.hypot(*(others - place).T).min() >= 0.149, digit


def test_random_grid(run):
    axes = image_axes(run.figure("random-grid"))
    assert len(axes) == run.RANDOM_CODES
    captions = np.array([[number(text) for text in ax.get_title().split("; ")] for ax in axes])
    np.testing.assert_allclose(captions, run.random_codes, atol=0.00501)
    np.testing.assert_allclose([digit_image(ax) for ax in axes], call(run.dec, run.random_codes)[..., 0], atol=1e-4)


def test_random_codes_fill_the_square_evenly(run):
    codes = run.random_codes
    assert codes.shape == (100, 2) and np.abs(codes).max() <= 1
    assert (np.histogram2d(*codes.T, bins=2, range=[(-1, 1)] * 2)[0] >= 10).all()
    assert np.abs(codes[:, None] - run.codes_test).max(axis=-1).min(axis=1).max() > 0.02  # they are not codes of images
    assert run.printed["random-grid"] == "random_codes: (100, 2)\n"


def test_random_plane(run):
    ax, = run.figure("random-plane").axes
    np.testing.assert_array_equal(crosses(ax), run.random_codes)
    assert is_plane(ax)


def counted(run):
    """Count test images by digit and answer, one by one."""
    counts = np.zeros((10, 10), int)
    for digit, answer in zip(run.y_test, classes(run, call(run.enc, run.x_test))):
        counts[digit, answer] += 1
    return counts


def test_confusion_matrix(run):
    ax, _ = run.figure("confusion").axes
    counts = counted(run)
    np.testing.assert_array_equal(seen(ax), counts)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("cyfra", "odpowiedź")
    written = {tuple(map(round, text.get_position())): int(text.get_text()) for text in ax.texts}
    assert written == {(answer, digit): counts[digit, answer] for digit in range(10) for answer in range(10)}
    for axis in (ax.xaxis, ax.yaxis):
        assert {int(text.get_text()): round(place) for text, place in zip(axis.get_ticklabels(), axis.get_ticklocs())} == {
            digit: digit for digit in range(10)}
    assert ax.get_title() == f"Macierz pomyłek (test), dokładność {comma(f'{counts.trace() / counts.sum():.1%}')}"
    assert not np.array_equal(counts, counts.T)


def test_recall(run):
    _, ax = run.figure("confusion").axes
    counts = counted(run)
    recall = {digit: counts[digit, digit] / np.sum(run.y_test == digit) for digit in range(10)}
    bars = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
    assert bars == pytest.approx(recall)
    labels = {round(text.xy[1]): text.get_text() for text in ax.texts}
    assert labels == {digit: f"{share:.0%}" for digit, share in recall.items()}
    assert [int(text.get_text()) for text in ax.get_yticklabels()] == [round(place) for place in ax.get_yticks()]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("czułość", "cyfra") and ax.get_xlim()[0] == 0


def test_atlas_tiles_are_the_decoders_images(run):
    """The tile around a place is the decoder's image of the tile's centre, fainter where fewer codes lie."""
    ax = run.figure("atlas").axes[0]
    assert ax.images[0].cmap.name == "gray_r" and ax.images[0].get_extent() == [-1, 1, -1, 1] and is_plane(ax)
    mosaic, count = seen(ax, ax.images[0]), run.ATLAS_TILES
    assert mosaic.shape == (28 * count, 28 * count)
    shade = np.zeros((count, count))
    for row in range(count):
        for column in range(count):
            centre = [-1 + (2 * column + 1) / count, 1 - (2 * row + 1) / count]
            image = call(run.dec, [centre])[0, ..., 0]
            tile = mosaic[28 * row:28 * (row + 1), 28 * column:28 * (column + 1)]
            shade[row, column] = tile.sum() / image.sum()
            np.testing.assert_allclose(tile, shade[row, column] * image, atol=1e-4)
    left, below = ((call(run.enc, run.x_train) + 1) / 2 * count).astype(int).clip(0, count - 1).T
    codes = np.zeros((count, count), int)
    np.add.at(codes, (count - 1 - below, left), 1)
    assert shade.max() == pytest.approx(1) and shade[codes == codes.max()] == pytest.approx(1)
    assert shade.min() > 0.1 and shade[codes == 0] == pytest.approx(shade.min())
    order = codes.ravel().argsort()
    assert (np.diff(shade.ravel()[order]) > -1e-3).all()


@pytest.mark.parametrize("cell, number", [("regions", 0), ("atlas", 0), ("random-answers", 0), ("hardest", 0), ("path", 0)])
def test_regions_are_the_classifiers_answers(run, cell, number):
    ax = run.figure(cell).axes[number]
    assert is_plane(ax)
    codes = np.concatenate([call(run.enc, run.x_test), np.random.default_rng(1).uniform(-1, 1, (2_000, 2))])
    digits, centres = region_under(ax, codes)
    np.testing.assert_array_equal(digits, classes(run, centres))
    assert np.abs(centres - codes).max() < 0.01 and len(set(digits)) == 10


@pytest.mark.parametrize("cell, number", [("regions", 0), ("atlas", 0), ("random-answers", 0), ("hardest", 0), ("path", 0)])
def test_lines_run_where_the_answer_changes(run, cell, number):
    """On either side of the middle of each piece of a boundary the classifier answers differently."""
    ax = run.figure(cell).axes[number]
    corners = [path.vertices for drawn in ax.collections if not isinstance(drawn, PathCollection) for path in drawn.get_paths()]
    middles = np.concatenate([(path[1:] + path[:-1]) / 2 for path in corners if len(path) > 1])
    around = [classes(run, middles + shift) for shift in ([0.008, 0], [-0.008, 0], [0, 0.008], [0, -0.008])]
    assert len(middles) > 1_000 and np.mean(np.ptp(around, axis=0) > 0) > 0.95  # a path's jump to its next piece is none


@pytest.mark.parametrize("cell", ["random-plane", "regions", "random-answers", "hardest", "path"])
def test_points_behind_marks_and_regions_are_test_codes(run, cell):
    codes, digits = points(run.figure(cell).axes[0])
    distances = np.abs(codes[:, None] - call(run.enc, run.x_test)).max(axis=-1)
    assert distances.min(axis=1).max() < 1e-4 and len(codes) > len(run.x_test) / 4
    assert np.mean(digits == run.y_test[distances.argmin(axis=1)]) > 0.99  # two images may have one code


def test_random_answers(run):
    figure = run.figure("random-answers")
    marks, axes = numbered(figure.axes[0]), image_axes(figure)
    np.testing.assert_array_equal(crosses(figure.axes[0]), run.random_codes)
    answers = call(run.classifier, run.random_codes)
    sure = np.sort(answers.max(axis=1))
    assert len(axes) == len(marks) == 20
    for place, ax in enumerate(axes, 1):
        number, digit, percent = map(int, re.fullmatch(r"(\d+): „(\d)” \((\d+)%\)", ax.get_xlabel()).groups())
        assert number == place and marks[number] in run.random_codes
        answer = call(run.classifier, marks[number][None])[0]
        assert digit == answer.argmax() and percent == round(100 * answer.max())
        assert answer.max() >= sure[-10] - 1e-6 if number <= 10 else answer.max() <= sure[9] + 1e-6
        np.testing.assert_allclose(digit_image(ax), call(run.dec, marks[number][None])[0, ..., 0], atol=1e-4)
    assert "największa (1–10)" in figure.subfigs[1].get_suptitle() and "najmniejsza (11–20)" in figure.subfigs[1].get_suptitle()


def test_hardest_digits(run, label_of):
    figure = run.figure("hardest")
    marks, axes = numbered(figure.axes[0]), image_axes(figure, (28, 56))
    errors = np.square(call(run.ae_model, run.x_test) - run.x_test).mean(axis=(1, 2, 3))
    assert len(marks) == len(axes) == 12
    shown = []
    for number, ax in enumerate(axes, 1):
        original, drawn = np.split(digit_image(ax, (28, 56)), 2, axis=1)
        code = call(run.enc, original[None, ..., None])
        assert ax.get_xlabel() == f"{number}: cyfra {label_of('test', original)}, odp. {classes(run, code)[0]}"
        np.testing.assert_allclose(marks[number], code[0], atol=1e-4)
        np.testing.assert_allclose(drawn, call(run.dec, code)[0, ..., 0], atol=1e-4)
        shown.append(mse(drawn, original))
    np.testing.assert_allclose(shown, np.sort(errors)[::-1][:12], rtol=1e-3)


def test_path(run):
    figure = run.figure("path")
    marks, axes = numbered(figure.axes[0]), image_axes(figure)
    ends = [call(run.enc, run.x_test[run.y_test == digit][:1])[0] for digit in run.PATH_DIGITS]
    np.testing.assert_allclose([marks[number] for number in range(1, 13)],
                               [ends[0] + (ends[1] - ends[0]) * step / 11 for step in range(12)], atol=1e-4)
    line, = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert len(line.get_xydata()) == 12
    for number, ax in enumerate(axes, 1):
        answer = call(run.classifier, marks[number][None])[0]
        assert ax.get_xlabel() == f"{number}: cyfra {answer.argmax()} ({answer.max():.0%})"
        np.testing.assert_allclose(digit_image(ax), call(run.dec, marks[number][None])[0, ..., 0], atol=1e-4)


def nearest_accuracy(codes, labels, new_codes, new_labels):
    """Return the share of new codes that most of their 25 nearest codes name rightly."""
    distances = np.square(codes).sum(axis=1) - 2 * new_codes @ codes.T
    votes = labels[distances.argpartition(25, axis=1)[:, :25]]
    return np.mean([np.bincount(row, minlength=10).argmax() == label for row, label in zip(votes, new_labels)])


def test_dimensions(run, pca):
    left, right = run.figure("dimensions-plot").axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("MSE (test)", "dokładność 25 sąsiadów (test)")
    errors, accuracies = lines_by_name(left), lines_by_name(right)
    assert set(errors) == set(accuracies) == {"autoenkoder", "PCA"}
    for x, y in [*errors.values(), *accuracies.values()]:
        assert tuple(x) == run.DIMENSIONS
    for n, value in zip(*errors["PCA"]):
        assert value == pytest.approx(mse(pca(run.x_test, n)[1], run.x_test), rel=1e-3)
    codes = {part: call(run.enc_n, run.space[f"x_{part}"]) for part in ("train", "test")}
    assert errors["autoenkoder"][1][-1] == pytest.approx(mse(call(run.dec_n, codes["test"]), run.x_test), rel=1e-3)
    scores = {part: pca(run.space[f"x_{part}"], run.DIMENSIONS[-1])[0] for part in codes}
    for name, points in {"autoenkoder": codes, "PCA": scores}.items():
        by_neighbours = nearest_accuracy(points["train"][:10_000], run.y_train[:10_000], points["test"], run.y_test)
        assert accuracies[name][1][-1] == pytest.approx(by_neighbours, abs=0.005)  # ties
    for ax in (left, right):
        ticks = {text.get_text(): place for text, place in zip(ax.get_xticklabels(), ax.get_xticks())}
        assert ticks == {str(n): n for n in run.DIMENSIONS}
    assert all(0.1 < value <= 1 for _, y in accuracies.values() for value in y)


# Numbers with a label but no figure


def test_gauges(run):
    saturation, dead, _ = run.printed["gauges"].splitlines()
    codes = call(run.enc, run.x_test)
    assert saturation == comma(f"Wartości kodu z |z| > 0,99: {np.mean((codes > 0.99) | (codes < -0.99)):.1%}")
    lit = call(run.dec, call(run.enc, run.x_train)).max(axis=0) > 0
    assert dead == f"Martwe piksele: {int(np.sum(~lit & (run.x_train.mean(axis=0) >= 0.02)))}"


def table(run):
    markdown, = [thing.data for thing, _ in run.shown["scoreboard"]]
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in markdown.splitlines()]
    assert lines[0] == ["Opis obrazu", "bajty", "MSE (test)", "dokładność: trening", "walidacja", "test"]
    return {line[0]: line[1:] for line in lines[2:]}


def test_scoreboard(run, pca):
    codes = {part: call(run.enc, run.space[f"x_{part}"]) for part in ("train", "valid", "test")}
    rounded = {part: np.round(codes[part] * 127).astype("int8") / np.float32(127) for part in codes}
    pixels = {part: run.space[f"x_{part}"].reshape(-1, 784) for part in codes}
    scale = np.abs(run.pca.transform(run.x_train.reshape(-1, 784))).max()
    plane = {part: run.pca.transform(x) / scale for part, x in pixels.items()}
    common = max(range(10), key=lambda digit: np.sum(run.y_train == digit))
    expected = {
        "nic: średni obraz, najczęstsza cyfra": ["0", mse(run.x_test * 0 + run.x_train.mean(axis=0), run.x_test), None,
                                                 None, np.mean(run.y_test == common)],
        "PCA (2 składowe)": ["8", mse(pca(run.x_test)[1], run.x_test), *scores(run, run.pca_classifier, plane)],
        "autoenkoder": ["8", mse(call(run.ae_model, run.x_test), run.x_test), *scores(run, run.classifier, codes)],
        "autoenkoder, kod zaokrąglony": ["2", mse(call(run.dec, rounded["test"]), run.x_test),
                                         *scores(run, run.classifier, rounded)],
        "surowe piksele": ["784", 0.0, *scores(run, run.pixel_classifier, pixels)],
    }
    found = table(run)
    assert list(found) == list(expected)
    for name, (size, error, *shares) in expected.items():
        assert found[name] == [size, comma(f"{error:.4f}"), *("" if share is None else comma(f"{share:.1%}") for share in shares)], name


def scores(run, model, inputs):
    return [accuracy(run, model, inputs[part], run.space[f"y_{part}"]) for part in ("train", "valid", "test")]


def test_conclusions(run, pca):
    text = " ".join(thing.data for thing, _ in run.shown["conclusions"])
    text = re.sub(r"\s+", " ", text)
    error, counts = mse(call(run.ae_model, run.x_test), run.x_test), counted(run)
    mean_error = mse(run.x_test * 0 + run.x_train.mean(axis=0), run.x_test)
    assert f"stanowi {error / mse(pca(run.x_test)[1], run.x_test):.0%} błędu PCA" in text
    assert f"i {error / mean_error:.0%} błędu średniego obrazu" in text
    recall = counts.diagonal() / counts.sum(axis=1)
    for word, digit in (("Najlepiej rozpoznawana cyfra to", recall.argmax()), ("a najgorzej rozpoznawana to", recall.argmin())):
        assert re.search(rf"{word} {digit} \((czułość )?{comma(f'{recall[digit]:.1%}')}\)", text)
    mistakes = defaultdict(int)
    for digit, answer in np.argwhere(counts):
        if digit != answer:
            mistakes[frozenset((int(digit), int(answer)))] += counts[digit, answer]
    first, second = sorted(max(mistakes, key=mistakes.get))
    share = mistakes[frozenset((first, second))] / sum(mistakes.values())
    assert f"mylona para to **{first} i {second}**: {share:.0%}" in text
    codes = call(run.enc, run.x_test)
    answers = classes(run, codes)
    confused = [code for code, digit, answer in zip(codes, run.y_test, answers) if {digit, answer} == {first, second}]
    x, y = np.median(confused, axis=0)
    place = re.search(r"Mediana ich kodów leży w punkcie \((−?\d,\d\d); (−?\d,\d\d)\)", text)
    assert [number(coordinate) for coordinate in place.groups()] == pytest.approx([x, y], abs=0.00501)


# What holds for all of them


def test_decimal_commas(run):
    """No number that a reader sees has a decimal point; Keras's own summaries and the page's source apart."""
    texts = {cell_id: [text] for cell_id, text in run.printed.items() if cell_id not in ("autoencoder", "train-classifier")}
    for cell_id, things in run.shown.items():
        for thing, _ in things:
            if hasattr(thing, "axes"):
                thing.draw_without_rendering()
                texts[cell_id] += [text.get_text() for text in thing.findobj(matplotlib.text.Text)]
            elif cell_id != "page":
                texts[cell_id].append(str(getattr(thing, "data", thing)))
    found = [(cell_id, text) for cell_id, own in texts.items() for text in own if re.search(r"\d\.\d", text)]
    assert found == [] and sum("," in text for own in texts.values() for text in own) > 150


MACHADO = {  # colour vision without one kind of cone: Machado, Oliveira and Fernandes (2009), table 1, severity 1
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("kind", [None, *MACHADO])
@pytest.mark.parametrize("first, second", [(3, 5), (4, 9), (2, 8), (3, 8), (5, 8), (7, 9)])
def test_digits_side_by_side_differ_for_colour_blind_readers(run, kind, first, second):
    """CIE 1976 colour difference of at least 20: ten times what is just seen."""
    rgb = np.array(list(map(to_rgb, run.COLOURS.colors)))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if kind:
        linear = (linear @ np.transpose(MACHADO[kind])).clip(0, 1)
    xyz = linear @ np.transpose([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]])  # white: 1, 1, 1
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1)
    assert np.linalg.norm(lab[first] - lab[second]) >= 20


# Drawing functions on their own


def test_show_images_keeps_order_and_orientation(run, monkeypatch):
    """Three by two images, each with one dark pixel of its own; captions and row titles where they belong."""
    shown = []
    monkeypatch.setitem(run.space, "show", lambda figure, description: shown.append(figure))
    images = np.zeros((6, 28, 28, 1))
    for number in range(6):
        images[number, 2 + number, 20] = 1
    run.show_images(images, 3, "six", captions="abc", row_titles=["up", "down"])
    axes = image_axes(shown[0])
    assert [np.argwhere(digit_image(ax)).tolist() for ax in axes] == [[[2 + number, 20]] for number in range(6)]
    assert [ax.get_title() for ax in axes] == ["a", "b", "c", "", "", ""]
    assert [ax.get_ylabel() for ax in axes] == ["up", "", "", "down", "", ""]


def test_a_digit_without_a_free_code_stands_beside_its_codes(run):
    codes = np.full((20, 2), 0.3) + np.random.default_rng(0).uniform(-0.01, 0.01, (20, 2))
    places = run.label_places(codes, np.repeat([2, 7], 10), marks=[[0.3, 0.3]])
    for place in places.values():
        assert 0.149 <= np.hypot(*(place - 0.3)) < 0.4
    assert np.hypot(*(places[2] - places[7])) >= 0.149


def test_draw_plane_puts_a_point_where_its_code_is(run):
    _, ax = run.plt.subplots()
    run.draw_plane(ax, np.array([[0.5, -0.75], [0.5, -0.75], [-0.9, 0.1]]), np.array([3, 3, 8]), "three")
    codes, digits = points(ax)
    assert codes.tolist() == [[0.5, -0.75], [0.5, -0.75], [-0.9, 0.1]] and digits.tolist() == [3, 3, 8]
    names = cluster_names(ax)
    assert set(names) == {3, 8}
    np.testing.assert_allclose(names[3], [0.5, -0.75], atol=0.07)
    np.testing.assert_allclose(names[8], [-0.9, 0.1], atol=0.07)
    run.plt.close("all")
