"""Does each figure show what its captions, axes and legend say?"""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb, to_rgba_array

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


@pytest.mark.parametrize("description", GRIDS)
def test_images(run, grids, description):
    rows, captions, titles = grids[description]
    axes = np.reshape(run.figures[description].axes, (len(rows), -1))
    for row, row_of_axes in zip(rows, axes, strict=True):
        for image, ax in zip(row, row_of_axes, strict=True):
            (shown,) = ax.images
            np.testing.assert_allclose(shown.get_array(), np.squeeze(image), atol=0.01)
            assert (shown.get_clim(), shown.get_cmap().name) == ((0, 1), "gray_r")
            assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 27.5), (27.5, -0.5))
            assert shown.get_alpha() is None
            assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0
    empty = [""] * axes.size
    assert [ax.get_title() for ax in axes.flat] == [*captions, *empty[len(captions) :]]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == (titles or empty[: len(axes)])


def assert_plane(ax, codes, lab, title, names):
    """Require all test codes, each in the colour of its digit, between axes that cut none off."""
    dots = ax.collections[-1]
    np.testing.assert_allclose(dots.get_offsets(), codes, atol=1e-3)
    dots.update_scalarmappable()
    colours = to_rgba_array(np.array(lab.COLOURS.colors)[lab.y_test])
    np.testing.assert_allclose(dots.get_facecolors(), colours)
    np.testing.assert_allclose(dots.get_edgecolors(), colours)
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (title, *names)
    for (low, high), values in zip((ax.get_xlim(), ax.get_ylim()), np.transpose(codes)):
        assert low <= values.min() and values.max() <= high, "codes are cut off"
        assert high - low < 1.3 * max(2, np.ptp(values)), "codes are lost in the middle"


def assert_legend_of_digits(figure, lab):
    (legend,) = figure.legends
    colours = [to_hex(handle.get_color()) for handle in legend.legend_handles]
    assert colours == list(map(to_hex, lab.COLOURS.colors))
    names = [text.get_text() for text in legend.texts]
    assert [[sign for sign in name if sign.isdigit()] for name in names] == [
        *map(list, "0123456789")
    ]
    assert legend.get_title().get_text() == "cyfra"


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


def test_loss_curves(run, lab):
    history = lab.ae_model.history.history
    epochs = range(1, len(history["loss"]) + 1)
    curves = {"trening": (epochs, history["loss"]), "walidacja": (epochs, history["val_loss"])}
    assert_curves(run.figures[CURVES].axes[0], curves, ("epoka (oś logarytmiczna)", "strata (MSE)"))


def test_errors_by_size_of_the_code(run, lab):
    (ax,) = run.figures[SIZES].axes
    curves = {
        "autoenkoder, 10000 obrazów, 25 epok": (range(4), lab.size_mse),
        "PCA, te same obrazy": (range(4), lab.size_mse_pca),
        "sieć z sekcji 4, 11000 obrazów, 55 epok": (
            [0],
            [np.mean((lab.ae_model.predict_on_batch(lab.x_valid) - lab.x_valid) ** 2)],
        ),
    }
    assert_curves(ax, curves, ("rozmiar kodu n", "MSE (walidacja)"))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "4", "8", "16"]


def test_confusion_matrix(run, lab):
    (ax,) = run.figures[MATRIX].axes
    counts = np.zeros((10, 10))
    np.add.at(counts, (lab.y_test, lab.predicted), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ax.images[0].get_array(), shares, atol=1e-6)
    texts = [text.get_text() * text.get_visible() for text in ax.texts]
    assert texts == [f"{share:.0%}" * (f"{share:.0%}" != "0%") for share in shares.flat]
    places = [text.get_position() for text in ax.texts]
    assert places == [(column, row) for row in range(10) for column in range(10)]
    for axis in (ax.xaxis, ax.yaxis):
        assert [tick.get_text() for tick in axis.get_ticklabels()] == [*"0123456789"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("odpowiedź", "cyfra prawdziwa")


def answers_at(lab, codes):
    """Return the classifier's answers at codes (N, 2)."""
    return lab.classifier.predict_on_batch(np.array(codes)).argmax(axis=1)


@pytest.mark.parametrize("description", [REGIONS, ATLAS])
def test_a_place_has_the_colour_the_digit_and_the_outline_of_its_answer(run, lab, description):
    (ax,) = run.figures[description].axes
    image = ax.images[-1]
    assert image.get_extent() == [-1, 1, -1, 1] and image.origin == "upper"
    assert (image.get_cmap(), image.get_clim()) == (lab.COLOURS, (0, 9))
    assert 0.1 < image.get_alpha() < 0.5, "it hides what lies under it, or nobody sees it"
    answers = np.asarray(image.get_array())
    middles = np.linspace(-1 + 1 / 300, 1 - 1 / 300, 300)
    for row in (0, 150, 299):
        codes = [(x, middles[::-1][row]) for x in middles]
        np.testing.assert_array_equal(answers[row], answers_at(lab, codes))
    outlines = [c for c in ax.collections if len(c.get_offsets()) < 2]
    vertices = np.concatenate([path.vertices for c in outlines for path in c.get_paths()])
    columns, rows = ((vertices * [1, -1] + 1) * 150 - 0.5).T
    around = [
        answers[side_y(rows).astype(int), side_x(columns).astype(int)]
        for side_y in (np.floor, np.ceil)
        for side_x in (np.floor, np.ceil)
    ]
    assert (np.ptp(around, axis=0) > 0).all(), "an outline lies inside a region"
    assert len(vertices) > 100
    names = [text.get_text() for text in ax.texts]
    assert names == [str(digit) for digit in answers_at(lab, [t.get_position() for t in ax.texts])]
    assert set(names) >= {str(digit) for digit in range(10) if np.mean(answers == digit) > 0.05}
    assert ax.get_xlim() == ax.get_ylim() == (-1, 1)
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
    mosaic = ax.images[0]
    assert mosaic.get_extent() == [-1, 1, -1, 1] and mosaic.origin == "upper"
    tiles = mosaic.get_array().reshape(20, 28, 20, 28).swapaxes(1, 2)
    for row, column in [(0, 0), (19, 0), (4, 15)]:
        code = np.array([[-0.95 + 0.1 * column, 0.95 - 0.1 * row]])
        drawn = lab.dec.predict_on_batch(code).squeeze()
        np.testing.assert_allclose(tiles[row, column], drawn, atol=0.01)
    assert ax.get_title() == "Atlas: zdekodowany kwadrat i odpowiedzi klasyfikatora"
    (way,) = ax.lines
    ends = [lab.codes_test[first_of_each(lab.y_test)[digit]] for digit in (2, 7)]
    np.testing.assert_allclose(way.get_xydata()[way.get_markevery()], ends, atol=1e-6)


def test_numbers_at_axes_have_decimal_commas(run):
    for figure in run.figures.values():
        figure.canvas.draw()
        ticks = [tick for ax in figure.axes for tick in ax.get_xticklabels() + ax.get_yticklabels()]
        assert "." not in "".join(tick.get_text() for tick in ticks)
    assert not plt.get_fignums(), "a figure stays open and would be shown twice"
