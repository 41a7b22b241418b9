"""Does each figure show what its captions, axes and legend say?"""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import Normalize, to_hex, to_rgb, to_rgba_array

DIGITS = [f"cyfra {digit}" for digit in range(10)]
CURVES = "Strata treningowa i walidacyjna w kolejnych epokach"
PLANES = "Kody testowe na płaszczyźnie autoenkodera i na płaszczyźnie PCA, kolor oznacza cyfrę"
MATRIX = "Macierz pomyłek klasyfikatora na kodach testowych, w procentach każdego wiersza"
REGIONS = "Obszary odpowiedzi klasyfikatora i kody testowe"
ATLAS = "Atlas przestrzeni latentnej: zdekodowana siatka i granice obszarów decyzyjnych"
LABELLED = "Kody testowe enkodera uczonego bez etykiet i enkodera uczonego z etykietami"
SIZES = "Błąd w zależności od rozmiaru kodu: autoenkoder i PCA"
GRIDS = [
    "Po trzy treningowe przykłady każdej cyfry od 0 do 9",
    "Dziesięć cyfr testowych, pod nimi rekonstrukcje autoenkodera i PCA",
    "Dziesięć cyfr testowych, ich rekonstrukcje i średnie obrazów o najbliższych kodach",
    "Obrazy zdekodowane ze stu losowych kodów",
    "Droga od dwójki do siódemki przez kody i przez piksele",
    "Obrazy, na których uczyła się sieć stu obrazów, i nowe, z rekonstrukcjami",
    "Dziesięć cyfr testowych, pod nimi rekonstrukcje z sieci uczonej tylko na cyfrach "
    "od 0 do 4 i z sieci uczonej na wszystkich",
]


def first_of_each(labels):
    """Return where the first image of each digit stands."""
    return [np.flatnonzero(labels == digit)[0] for digit in range(10)]


def nearest_means(lab, codes):
    """Return for each code the mean of the 100 training images with the nearest codes."""
    distances = np.linalg.norm(lab.codes_train - codes[:, None], axis=2)
    return lab.x_train[distances.argsort(axis=1)[:, :100]].mean(axis=1)


def line_between(ends):
    """Return ten equal steps from the first to the last of two arrays."""
    return ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, 10).reshape(10, *[1] * ends[0].ndim)


@pytest.fixture(scope="module")
def grids(lab):
    """By a figure's description: its rows of images, its captions and its row titles."""
    ten, known = first_of_each(lab.y_test), lab.x_train[first_of_each(lab.y_train)]
    new, ours, two_and_seven = lab.x_test[ten], lab.reconstructions[ten], [ten[2], ten[7]]
    three = [[np.flatnonzero(lab.y_train == digit)[i] for digit in range(10)] for i in range(3)]
    means = nearest_means(lab, lab.codes_test[ten])
    few = lab.networks[100].predict_on_batch
    path = lab.dec.predict_on_batch(line_between(lab.codes_test[two_and_seven]))
    found = [
        (lab.x_train[three], DIGITS, []),
        ([new, ours, lab.pca_reconstructions[ten]], DIGITS, ["oryginał", "autoenkoder", "PCA"]),
        ([new, ours, means], DIGITS, ["oryginał", "rekonstrukcja", "średnia 100\nnajbliższych"]),
        (lab.random_images.reshape(10, 10, 28, 28, 1), [], []),
        ([path, line_between(lab.x_test[two_and_seven])], [], ["przez kody", "przez piksele"]),
        (
            [known, few(known), new, few(new)],
            DIGITS,
            ["znane", "znane,\nodtworzone", "nowe", "nowe,\nodtworzone"],
        ),
        (
            [new, lab.from_low[ten], lab.from_all[ten]],
            DIGITS,
            ["oryginał", "uczona\nna 0–4", "uczona na\nwszystkich"],
        ),
    ]
    return dict(zip(GRIDS, found, strict=True))


def test_every_figure_is_described_and_tested(run):
    others = {CURVES, PLANES, MATRIX, REGIONS, ATLAS, LABELLED, SIZES}
    assert run.figures.keys() == others | set(GRIDS)


def assert_picture(shown, colours):
    """Require colours (rows, columns, 4) as they are drawn, the first row on top, none cut off."""
    np.testing.assert_allclose(shown.to_rgba(shown.get_array()), colours, atol=0.01)
    assert shown.origin == "upper"
    assert (*shown.axes.get_xlim(), *shown.axes.get_ylim()) == tuple(shown.get_extent())


@pytest.mark.parametrize("description", GRIDS)
def test_images(run, grids, description):
    rows, captions, titles = grids[description]
    axes = np.reshape(run.figures[description].axes, (len(rows), -1))
    for row, row_of_axes in zip(rows, axes, strict=True):
        for image, ax in zip(row, row_of_axes, strict=True):
            (shown,) = ax.images
            assert_picture(shown, plt.get_cmap("gray_r")(np.squeeze(image)))
            assert shown.get_alpha() is None and ax.axison
            assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0
    empty = [""] * axes.size
    assert [ax.get_title() for ax in axes.flat] == [*captions, *empty[len(captions) :]]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == (titles or empty[: len(axes)])


def assert_plane(ax, codes, lab, title, names):
    """Require all test codes, each in the colour of its digit, between axes that cut none off."""
    (dots,) = [marks for marks in ax.collections if len(marks.get_offsets()) > 1]
    np.testing.assert_allclose(dots.get_offsets(), codes, atol=1e-3)
    dots.update_scalarmappable()
    colours = to_rgba_array(np.array(lab.COLOURS.colors)[lab.y_test])
    np.testing.assert_allclose(dots.get_facecolors(), colours)
    np.testing.assert_allclose(dots.get_edgecolors(), colours)
    assert all(image.get_zorder() < dots.get_zorder() for image in ax.images)
    assert 1 < dots.get_sizes() < 10, "dots cover one another, or nobody sees them"
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (title, *names)
    limits = (ax.get_xlim(), ax.get_ylim())
    for (low, high), values in zip(limits, np.transpose(codes), strict=True):
        assert low <= values.min() and values.max() <= high, "codes are cut off"
        assert high - low < 1.3 * max(2, np.ptp(values)), "codes are lost in the middle"


def assert_legend_of_digits(figure, lab):
    (legend,) = figure.legends
    colours = [to_hex(handle.get_color()) for handle in legend.legend_handles]
    assert colours == list(map(to_hex, lab.COLOURS.colors))
    names = ["".join(filter(str.isdigit, text.get_text())) for text in legend.texts]
    assert names == [*"0123456789"]
    assert legend.get_title().get_text() == "cyfra"
    figure.canvas.draw()
    assert not any(legend.get_window_extent().overlaps(ax.bbox) for ax in figure.axes)


def test_planes_show_every_test_image_in_its_digits_colour(run, lab):
    ours = ("$z_1$", "$z_2$")
    left, right = run.figures[PLANES].axes
    assert_plane(left, lab.codes_test, lab, "Autoenkoder", ours)
    assert_plane(right, lab.pca_codes_test, lab, "PCA", ("składowa 1", "składowa 2"))
    left, right = run.figures[LABELLED].axes
    assert_plane(left, lab.codes_test, lab, "Enkoder uczony bez etykiet", ours)
    assert_plane(right, lab.codes_labelled, lab, "Enkoder uczony z etykietami", ours)
    (ax,) = run.figures[REGIONS].axes
    assert_plane(ax, lab.codes_test, lab, "Odpowiedzi klasyfikatora i kody testowe", ours)
    for description in (PLANES, LABELLED, REGIONS):
        assert_legend_of_digits(run.figures[description], lab)


def lightness_and_hue(colour):
    """Return a colour as L*, a*, b* (CIE 1976, white D65): distances as an eye sees them."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(to_xyz @ linear / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_an_eye_tells_ten_colours_apart(lab):
    places = np.array([lightness_and_hue(colour) for colour in lab.COLOURS.colors])
    assert places.shape == (10, 3)
    distances = np.linalg.norm(places - places[:, None], axis=2) + 100 * np.eye(10)
    assert distances.min() > 20, "two digits have about the same colour"  # 2 is just noticeable


def assert_curves(ax, curves, labels):
    """Require lines with these places, heights and names, each told apart in the legend."""
    for line, (name, (places, heights)) in zip(ax.lines, curves.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_allclose(ax.convert_xunits(line.get_xdata()), places)
        np.testing.assert_allclose(line.get_ydata(), heights, rtol=1e-5)
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        assert low <= min(heights) and max(heights) <= high, "a curve is cut off"
        assert left <= min(places) and max(places) <= right, "a curve is cut off"
    shown = ax.get_legend()
    assert [text.get_text() for text in shown.texts] == list(curves)
    looks = [(handle.get_color(), handle.get_marker()) for handle in shown.legend_handles]
    assert looks == [(line.get_color(), line.get_marker()) for line in ax.lines]
    assert len(set(looks)) == len(looks)
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels
    scales = ["log" if "logarytmiczna" in label else "linear" for label in labels]
    assert [ax.get_xscale(), ax.get_yscale()] == scales


def test_loss_curves(run, lab):
    history = lab.ae_model.history.history
    epochs = range(1, len(history["loss"]) + 1)
    curves = {"trening": (epochs, history["loss"]), "walidacja": (epochs, history["val_loss"])}
    assert_curves(run.figures[CURVES].axes[0], curves, ("epoka (oś logarytmiczna)", "strata (MSE)"))


def test_errors_by_size_of_the_code(run, lab):
    (ax,) = run.figures[SIZES].axes
    error = np.mean((lab.ae_model.predict_on_batch(lab.x_valid) - lab.x_valid) ** 2)
    curves = {
        "autoenkoder, 10000 obrazów, 25 epok": (range(4), lab.size_mse),
        "PCA, te same obrazy": (range(4), lab.size_mse_pca),
        "sieć z sekcji 4, 11000 obrazów, 55 epok": ([0], [error]),
    }
    assert_curves(ax, curves, ("rozmiar kodu n", "MSE (walidacja)"))
    assert tick_labels(ax.xaxis) == {0: "2", 1: "4", 2: "8", 3: "16"}
    assert ax.get_ylim()[0] == 0, "shares of an error are seen from zero only"


def centres(ax, texts):
    """Return where the middle of each text is drawn, in the units of the axes."""
    ax.figure.canvas.draw()
    corners = np.array([text.get_window_extent().corners() for text in texts])
    return ax.transData.inverted().transform(corners.mean(axis=1))


def test_confusion_matrix(run, lab):
    (ax,) = run.figures[MATRIX].axes
    counts = np.zeros((10, 10))
    np.add.at(counts, (lab.y_test, lab.predicted), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert_picture(ax.images[0], plt.get_cmap("Blues")(Normalize()(shares)))
    texts = [text.get_text() * text.get_visible() for text in ax.texts]
    assert texts == [f"{share:.0%}" * (f"{share:.0%}" != "0%") for share in shares.flat]
    seen = [text for text in ax.texts if text.get_visible()]
    places = [
        (column, row) for row in range(10) for column in range(10) if texts[10 * row + column]
    ]
    np.testing.assert_allclose(centres(ax, seen), places, atol=0.1)
    digits = {digit: str(digit) for digit in range(10)}
    assert tick_labels(ax.xaxis) == tick_labels(ax.yaxis) == digits
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("odpowiedź", "cyfra prawdziwa")


def answers_at(lab, codes):
    """Return the classifier's answers at codes (N, 2)."""
    return lab.classifier.predict_on_batch(np.array(codes)).argmax(axis=1)


@pytest.mark.parametrize("description", [REGIONS, ATLAS])
def test_a_place_has_the_colour_the_digit_and_the_outline_of_its_answer(run, lab, description):
    (ax,) = run.figures[description].axes
    image = ax.images[-1]
    middles = np.linspace(-1 + 1 / 300, 1 - 1 / 300, 300)
    answers = answers_at(lab, [(x, y) for y in middles[::-1] for x in middles]).reshape(300, 300)
    assert_picture(image, to_rgba_array(lab.COLOURS.colors)[answers])
    assert image.get_extent() == [-1, 1, -1, 1]
    assert 0.1 < image.get_alpha() < 0.5, "it hides what lies under it, or nobody sees it"
    outlines = [marks for marks in ax.collections if len(marks.get_offsets()) < 2]
    vertices = np.concatenate([path.vertices for marks in outlines for path in marks.get_paths()])
    steps = np.round((vertices * [1, -1] + 1) * 300 - 1)  # half a tile each: column, row
    below, right = (np.argwhere(np.diff(answers, axis=axis)) for axis in (0, 1))
    borders = {(2 * column, 2 * row + 1) for row, column in below}
    borders |= {(2 * column + 1, 2 * row) for row, column in right}
    assert set(map(tuple, steps)) == borders, "outlines and the regions' borders differ"
    names = [text.get_text() for text in ax.texts]
    places = [text.get_position() for text in ax.texts]
    np.testing.assert_allclose(centres(ax, ax.texts), places, atol=0.015)
    assert names == [str(digit) for digit in answers_at(lab, places)]
    assert set(names) >= {str(digit) for digit in range(10) if np.mean(answers == digit) > 0.05}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$z_1$", "$z_2$")


def test_a_digit_stands_where_its_regions_border_is_farthest(lab):
    """An L of ones in twos, with a sliver too thin for a digit."""
    answers = np.full((100, 100), 2)
    answers[:, :40], answers[70:, :] = 1, 1
    answers[20:22, 60:90] = 3
    ax = plt.figure().add_subplot()
    lab.write_digits(ax, answers)
    plt.close(ax.figure)
    found = {text.get_text(): text.get_position() for text in ax.texts}
    assert found.keys() == {"1", "2"} and len(ax.texts) == 2
    assert found["1"] == pytest.approx((-0.57, -0.57), abs=0.06)
    assert found["2"] == pytest.approx((0.4, 0.1), abs=0.2)


def test_the_atlas_is_what_the_decoder_draws_at_each_place_and_shows_the_way(run, lab):
    (ax,) = run.figures[ATLAS].axes
    codes = [(-0.95 + 0.1 * column, 0.95 - 0.1 * row) for row in range(20) for column in range(20)]
    tiles = lab.dec.predict_on_batch(np.array(codes)).reshape(20, 20, 28, 28)
    assert_picture(ax.images[0], plt.get_cmap("gray_r")(np.block([list(row) for row in tiles])))
    assert ax.get_title() == "Atlas: zdekodowany kwadrat i odpowiedzi klasyfikatora"
    (way,) = ax.lines
    ends = [lab.codes_test[first_of_each(lab.y_test)[digit]] for digit in (2, 7)]
    np.testing.assert_allclose(way.get_xydata(), line_between(ends), atol=1e-6)
    np.testing.assert_allclose(way.get_xydata()[way.get_markevery()], ends, atol=1e-6)


def tick_labels(axis):
    """Return the labels that an axis shows, by place."""
    labels = [label.get_text() for label in axis.get_ticklabels()]
    low, high = sorted(axis.get_view_interval())
    places = zip(axis.get_ticklocs(), labels, strict=True)
    return {place: text for place, text in places if text and low <= place <= high}


def test_numbers_at_axes_are_their_places_with_a_decimal_comma(run):
    for description in run.figures.keys() - set(GRIDS):
        figure = run.figures[description]
        figure.canvas.draw()
        for axis in [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]:
            labels = tick_labels(axis)
            assert len(labels) > 1 and axis.axes.axison and "." not in "".join(labels.values())
            if (description, axis.axis_name) != (SIZES, "x"):  # there stand the sizes
                numbers = [text.replace("−", "-").replace(",", ".") for text in labels.values()]
                assert list(map(float, numbers)) == pytest.approx(list(labels))
    assert not plt.get_fignums(), "a figure stays open and would be shown twice"
