"""Does each figure show what its captions, axes and legend say?"""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.decomposition import PCA

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
    "Obrazy, na których uczyła się sieć stu obrazów, i nowe, z rekonstrukcjami",
    "Dziesięć cyfr testowych, pod nimi rekonstrukcje z sieci uczonej tylko na cyfrach "
    "od 0 do 4 i z sieci uczonej na wszystkich",
    "Obrazy zdekodowane ze stu losowych kodów",
    "Droga od dwójki do siódemki przez kody i przez piksele",
]


def first_of_each(images, labels):
    """Return the first image of each digit."""
    return images[[np.flatnonzero(labels == digit)[0] for digit in range(10)]]


def nearest_means(lab, images):
    """Return for each image the mean of the 100 training images with the nearest codes."""
    distances = np.linalg.norm(
        lab.enc.predict_on_batch(lab.x_train) - lab.enc.predict_on_batch(images)[:, None], axis=2
    )
    return lab.x_train[distances.argsort(axis=1)[:, :100]].mean(axis=1)


def line_between(first, last):
    """Return ten equal steps from one array to another."""
    return first + (last - first) * np.linspace(0, 1, 10).reshape(10, *[1] * first.ndim)


@pytest.fixture(scope="module")
def pca(lab):
    return PCA(2).fit(lab.x_train.reshape(-1, 784))


@pytest.fixture(scope="module")
def grids(lab, pca):
    """By a figure's description: its rows of images, its captions and its row titles."""
    ten, known = first_of_each(lab.x_test, lab.y_test), first_of_each(lab.x_train, lab.y_train)
    ours = lab.ae_model.predict_on_batch(ten)
    by_pca = pca.inverse_transform(pca.transform(ten.reshape(10, 784))).reshape(ten.shape)
    codes = lab.enc.predict_on_batch(ten)
    examples = [[np.flatnonzero(lab.y_train == digit)[i] for digit in range(10)] for i in range(3)]
    few = [
        known,
        lab.networks[100].predict_on_batch(known),
        ten,
        lab.networks[100].predict_on_batch(ten),
    ]
    ways = [
        lab.dec.predict_on_batch(line_between(codes[2], codes[7])),
        line_between(ten[2], ten[7]),
    ]
    rows_and_titles = [
        (lab.x_train[examples], DIGITS, []),
        ([ten, ours, by_pca], DIGITS, ["oryginał", "autoenkoder", "PCA"]),
        (
            [ten, ours, nearest_means(lab, ten)],
            DIGITS,
            ["oryginał", "rekonstrukcja", "średnia 100\nnajbliższych"],
        ),
        (few, DIGITS, ["znane", "odtworzone", "nowe", "odtworzone"]),
        (
            [ten, lab.ae_low.predict_on_batch(ten), ours],
            DIGITS,
            ["oryginał", "uczona\nna 0–4", "uczona na\nwszystkich"],
        ),
        (lab.dec.predict_on_batch(lab.random_codes).reshape(10, 10, 28, 28, 1), [], []),
        (ways, [], ["przez kody", "przez piksele"]),
    ]
    return dict(zip(GRIDS, rows_and_titles, strict=True))


def test_every_figure_is_described_and_tested(lab):
    assert list(lab.figures) == [
        *(GRIDS[0], CURVES, *GRIDS[1:5], PLANES, *GRIDS[5:]),
        *(MATRIX, REGIONS, ATLAS, LABELLED, SIZES),
    ]


@pytest.mark.parametrize("description", GRIDS)
def test_images(lab, grids, description):
    rows, captions, titles = grids[description]
    axes = np.reshape(lab.figures[description].axes, (len(rows), -1))
    for row, row_of_axes in zip(rows, axes, strict=True):
        for image, ax in zip(row, row_of_axes, strict=True):
            (shown,) = ax.images
            np.testing.assert_allclose(shown.get_array(), np.squeeze(image), atol=0.01)
            assert (shown.get_clim(), shown.get_cmap().name) == ((0, 1), "gray_r")
            assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 27.5), (27.5, -0.5))
            assert shown.get_alpha() is None
    empty = [""] * axes.size
    assert [ax.get_title() for ax in axes.flat] == [*captions, *empty[len(captions) :]]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == (titles or empty[: len(axes)])


def assert_plane(ax, codes, labels, lab, title, names):
    """Require all codes, each in the colour of its digit, between axes that cut none off."""
    dots = ax.collections[-1]
    np.testing.assert_allclose(dots.get_offsets(), codes, atol=1e-3)
    np.testing.assert_array_equal(dots.get_array(), labels)
    assert (dots.get_cmap(), dots.get_clim(), dots.get_alpha()) == (lab.COLOURS, (0, 9), None)
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (title, *names)
    for (low, high), values in zip((ax.get_xlim(), ax.get_ylim()), np.transpose(codes)):
        assert low <= values.min() and values.max() <= high, "codes are cut off"
        assert high - low < 1.3 * max(2, np.ptp(values)), "codes are lost in the middle"


def assert_legend_of_digits(figure, lab):
    (legend,) = figure.legends
    colours = [to_hex(handle.get_color()) for handle in legend.legend_handles]
    assert colours == list(map(to_hex, lab.COLOURS.colors)) and len(set(colours)) == 10
    names = [text.get_text() for text in legend.texts]
    assert names == [rf"$\mathdefault{{{digit}}}$" for digit in range(10)]
    assert legend.get_title().get_text() == "cyfra"


def test_planes_show_every_test_image_in_its_digits_colour(lab, pca):
    codes, ours = lab.enc.predict_on_batch(lab.x_test), ("$z_1$", "$z_2$")
    left, right = lab.figures[PLANES].axes
    assert_plane(left, codes, lab.y_test, lab, "Autoenkoder", ours)
    by_pca = pca.transform(lab.x_test.reshape(-1, 784))
    assert_plane(right, by_pca, lab.y_test, lab, "PCA", ("składowa 1", "składowa 2"))
    left, right = lab.figures[LABELLED].axes
    assert_plane(left, codes, lab.y_test, lab, "Enkoder uczony bez etykiet", ours)
    labelled = lab.enc_labelled.predict_on_batch(lab.x_test)
    assert_plane(right, labelled, lab.y_test, lab, "Enkoder uczony z etykietami", ours)
    for description in (PLANES, LABELLED):
        assert_legend_of_digits(lab.figures[description], lab)


def assert_curves(ax, curves, labels):
    """Require lines with these places, heights and names, each told apart in the legend."""
    for line, (name, (places, heights)) in zip(ax.lines, curves.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_allclose(line.get_xdata(), places)
        np.testing.assert_allclose(line.get_ydata(), heights, rtol=1e-5)
        (low, high) = ax.get_ylim()
        assert low <= min(heights) and max(heights) <= high, "a curve is cut off"
    shown = ax.get_legend()
    assert [text.get_text() for text in shown.texts] == list(curves)
    looks = [(handle.get_color(), handle.get_marker()) for handle in shown.legend_handles]
    assert looks == [(line.get_color(), line.get_marker()) for line in ax.lines]
    assert len(set(looks)) == len(looks)
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels


def test_loss_curves(lab):
    history, epochs = lab.ae_model.history.history, range(1, lab.EPOCHS + 1)
    curves = {"trening": (epochs, history["loss"]), "walidacja": (epochs, history["val_loss"])}
    assert_curves(lab.figures[CURVES].axes[0], curves, ("epoka", "strata (MSE)"))


def test_errors_by_size_of_the_code(lab):
    (ax,) = lab.figures[SIZES].axes
    part, valid = (x.reshape(-1, 784) for x in (lab.x_train[:20_000], lab.x_valid))
    fits = [PCA(size).fit(part) for size in (2, 4, 8, 16)]
    by_pca = [np.mean((pca.inverse_transform(pca.transform(valid)) - valid) ** 2) for pca in fits]
    ours = list(lab.size_errors["autoenkoder, 6 epok"].values())
    star = np.mean((lab.ae_model.predict_on_batch(lab.x_valid) - lab.x_valid) ** 2)
    curves = {
        "autoenkoder, 6 epok": (range(4), ours),
        "PCA": (range(4), by_pca),
        "autoenkoder z sekcji 4": ([0], [star]),
    }
    for line in ax.lines:
        line.set_xdata(ax.convert_xunits(line.get_xdata()))
    assert_curves(ax, curves, ("rozmiar kodu n", "MSE (walidacja)"))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "4", "8", "16"]
    last = lab.image_mse(lab.ae_size.predict_on_batch(lab.x_valid), lab.x_valid).mean()
    assert ours[-1] == pytest.approx(last, rel=1e-3)


def test_confusion_matrix(lab):
    (ax,) = lab.figures[MATRIX].axes
    counts = np.zeros((10, 10))
    np.add.at(
        counts, (lab.y_test, lab.classifier.predict_on_batch(lab.codes_test).argmax(axis=1)), 1
    )
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ax.images[0].get_array(), shares, atol=1e-6)
    texts = np.reshape([text.get_text() * text.get_visible() for text in ax.texts], (10, 10))
    for text, share in zip(texts.flat, shares.flat):
        assert text == f"{share:.0%}" or (text, f"{share:.0%}") == ("", "0%")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("odpowiedź", "cyfra prawdziwa")


@pytest.mark.parametrize("description", [REGIONS, ATLAS])
def test_a_place_has_the_colour_of_the_classifiers_answer(lab, description):
    (ax,) = lab.figures[description].axes
    answers = ax.images[-1]
    assert answers.get_extent() == [-1, 1, -1, 1] and answers.origin == "upper"
    assert (answers.get_cmap(), answers.get_clim()) == (lab.COLOURS, (0, 9))
    assert 0.1 < answers.get_alpha() < 0.5, "it hides what lies under it, or nobody sees it"
    rows, columns = np.random.default_rng(0).integers(0, 300, (2, 300))
    codes = np.stack([(columns + 0.5) / 150 - 1, 1 - (rows + 0.5) / 150], axis=1)
    expected = lab.classifier.predict_on_batch(codes).argmax(axis=1)
    np.testing.assert_array_equal(answers.get_array()[rows, columns], expected)
    assert ax.get_xlim()[0] <= -1 and ax.get_xlim()[1] >= 1 and ax.get_ylim()[0] < ax.get_ylim()[1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$z_1$", "$z_2$")


def test_regions_show_the_codes_and_each_digit_among_its_own(lab):
    figure = lab.figures[REGIONS]
    (ax,) = figure.axes
    title = "Odpowiedzi klasyfikatora i kody testowe"
    assert_plane(ax, lab.codes_test, lab.y_test, lab, title, ("$z_1$", "$z_2$"))
    assert_legend_of_digits(figure, lab)
    assert [text.get_text() for text in ax.texts] == [*"0123456789"]
    for digit, text in enumerate(ax.texts):
        own = lab.codes_test[(lab.y_test == digit) & (lab.predicted == digit)]
        tenth = np.quantile(np.linalg.norm(own[:, None] - own, axis=2), 0.1, axis=1)
        place = np.flatnonzero((own == text.get_position()).all(axis=1))[0]
        assert tenth[place] == pytest.approx(tenth.min(), rel=1e-3), (
            f"{digit} does not stand among its own"
        )


def test_the_atlas_is_what_the_decoder_draws_at_each_place(lab):
    (ax,) = lab.figures[ATLAS].axes
    mosaic = ax.images[0]
    assert mosaic.get_extent() == [-1, 1, -1, 1] and mosaic.origin == "upper"
    tiles = mosaic.get_array().reshape(20, 28, 20, 28).swapaxes(1, 2)
    for row, column in [(0, 0), (19, 0), (4, 15)]:
        code = np.array([[-0.95 + 0.1 * column, 0.95 - 0.1 * row]])
        np.testing.assert_allclose(
            tiles[row, column], lab.dec.predict_on_batch(code).squeeze(), atol=0.01
        )
    assert ax.get_title() == "Atlas: zdekodowany kwadrat i odpowiedzi klasyfikatora"


def test_numbers_at_axes_have_decimal_commas(lab):
    for figure in lab.figures.values():
        figure.canvas.draw()
        ticks = [tick for ax in figure.axes for tick in ax.get_xticklabels() + ax.get_yticklabels()]
        assert "." not in "".join(tick.get_text() for tick in ticks)
    assert not plt.get_fignums(), "a figure stays open and would be shown twice"
