"""Does each figure show what its title, captions and legend say?"""

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.contour import ContourSet
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier

DIGITS = [f"cyfra {digit}" for digit in range(10)]
IMAGE_GRIDS = {  # by cell: the number of images
    "examples": 30,
    "reconstructions": 30,
    "local-means": 30,
    "unseen": 30,
    "random-grid": 100,
    "path": 20,
    "random-answers": 20,
    "hardest": 24,
}


def close(found, expected, atol=1e-4):
    np.testing.assert_allclose(found, expected, atol=atol)


def colours_of(legend):
    """Return a legend's texts by colour."""
    colours = [to_hex(handle.get_color()) for handle in legend.legend_handles]
    texts = [re.sub(r"\\mathdefault|[${}]", "", text.get_text()) for text in legend.texts]
    return dict(zip(colours, texts))


def assert_dots(dots, codes, labels, lab):
    """Require dots to be all codes in their labels' colours."""
    assert dots.get_alpha() in (None, 1), "the dots are faded"
    close(dots.get_offsets(), codes)
    np.testing.assert_array_equal(dots.get_array(), labels)
    colours = dots.to_rgba(np.arange(10))
    close(colours, [to_rgba(colour) for colour in lab.COLOURS.colors])


def assert_legend_of_digits(figure, lab):
    colours = [to_hex(colour) for colour in lab.COLOURS.colors]
    assert colours_of(figure.legends[0]) == dict(zip(colours, "0123456789"))


@pytest.mark.parametrize("cell_id", IMAGE_GRIDS)
def test_images_are_upright_whole_and_equally_dark(lab, cell_id):
    axes = lab.figure(cell_id).axes
    assert len(axes) == IMAGE_GRIDS[cell_id]
    for ax in axes:
        (image,) = ax.images
        assert image.get_array().shape == (28, 28)
        assert image.get_cmap().name == "gray_r" and image.get_clim() == (0, 1)
        assert image.get_alpha() in (None, 1)
        assert ax.get_xlim() == (-0.5, 27.5) and ax.get_ylim() == (27.5, -0.5)


def test_every_figure_has_its_own_alternative_text(lab):
    texts = [
        metadata["image/png"]["alt"]
        for shown in lab.shown.values()
        for thing, metadata in shown
        if hasattr(thing, "axes")
    ]
    assert len(texts) == len(set(texts)) > 10
    assert min(map(len, texts)) > 20


def test_numbers_at_axes_have_decimal_commas(lab):
    figures = [
        thing for shown in lab.shown.values() for thing, _ in shown if hasattr(thing, "axes")
    ]
    for figure in figures:
        figure.canvas.draw()
        for ax in figure.axes:
            ticks = [label.get_text() for label in ax.get_xticklabels() + ax.get_yticklabels()]
            assert "." not in "".join(ticks), ax.get_title()


def test_loss_curves(lab):
    ax = lab.figure("loss-curves").axes[0]
    curves = {line.get_label(): line for line in ax.lines}
    history = lab.ae_model.history.history
    for name, losses in [("trening", history["loss"]), ("walidacja", history["val_loss"])]:
        close(curves[name].get_xdata(), np.arange(1, lab.EPOCHS + 1))
        close(curves[name].get_ydata(), losses)
    assert curves["trening"].get_linestyle() != curves["walidacja"].get_linestyle()
    shown = ax.get_legend()
    styles = [(h.get_linestyle(), t.get_text()) for h, t in zip(shown.legend_handles, shown.texts)]
    assert styles == [(line.get_linestyle(), line.get_label()) for line in ax.lines]
    assert lab.LOSS in ax.get_ylabel() and ax.get_xlabel() == "epoka"


def test_reconstructions_stand_under_their_originals(lab):
    (originals, decoded, by_pca), captions, titles = lab.image_rows("reconstructions")
    assert captions == DIGITS + [""] * 20
    assert titles == ["oryginał", "autoenkoder", "PCA"]
    for digit, image in enumerate(originals):
        assert (lab.x_test[lab.y_test == digit] == image).all(axis=(1, 2, 3)).any()
    close(decoded, lab.ae_model.predict(originals))
    codes = lab.pca.transform(originals.reshape(10, 784))
    close(by_pca.reshape(10, 784), lab.pca.inverse_transform(codes), atol=1e-2)


def test_bars_are_the_errors_of_their_digit_and_method(lab):
    ax = lab.figure("digit-errors").axes[0]
    bars = {container.get_label(): container.patches for container in ax.containers}
    images = {
        "średni obraz": lab.x_train.mean(axis=0),
        "PCA": lab.pca_reconstructions,
        "autoenkoder": lab.reconstructions,
    }
    assert bars.keys() == images.keys()
    for name, answer in images.items():
        errors = np.mean((answer - lab.x_test) ** 2, axis=(1, 2, 3))
        for digit, bar in enumerate(bars[name]):
            assert abs(bar.get_center()[0] - digit) < 0.45, "a bar stands at another digit"
            assert bar.get_y() == 0
            assert bar.get_height() == pytest.approx(errors[lab.y_test == digit].mean(), abs=1e-5)
    shown = ax.get_legend()
    for handle, text in zip(shown.legend_handles, shown.get_texts()):
        (bar, *_) = bars[text.get_text()]
        assert handle.get_facecolor() == bar.get_facecolor()
    colours = {container.patches[0].get_facecolor() for container in ax.containers}
    assert len(shown.texts) == len(colours) == 3


def test_means_are_those_of_the_training_images_with_the_nearest_codes(lab):
    (originals, decoded, means), _, titles = lab.image_rows("local-means")
    assert titles == ["oryginał", "rekonstrukcja", "średnia 100 najbliższych"]
    close(originals, lab.x_test[:10])
    close(decoded, lab.ae_model.predict(originals))
    for code, mean in zip(lab.enc.predict(originals), means):
        nearest = np.argsort(np.linalg.norm(lab.codes_train - code, axis=1))[:100]
        close(mean, lab.x_train[nearest].mean(axis=0), atol=0.03)


def test_digits_never_seen(lab):
    (originals, from_low, from_all), captions, titles = lab.image_rows("unseen")
    assert captions[:10] == DIGITS
    assert titles == ["oryginał", "uczona na 0–4", "uczona na wszystkich"]
    for digit, image in enumerate(originals):
        assert (lab.x_test[lab.y_test == digit] == image).all(axis=(1, 2, 3)).any()
    close(from_low, lab.ae_low.predict(originals))
    close(from_all, lab.ae_model.predict(originals))


def test_both_planes_show_every_test_image_in_its_digits_colour(lab):
    figure = lab.figure("latent-scatter")
    ours, by_pca = figure.axes
    assert (ours.get_title(), by_pca.get_title()) == ("Autoenkoder", "PCA")
    assert (ours.get_xlabel(), ours.get_ylabel()) == ("$z_1$", "$z_2$")
    assert_dots(ours.collections[0], lab.codes_test, lab.y_test, lab)
    assert_dots(by_pca.collections[0], lab.pca_codes_test, lab.y_test, lab)
    assert_legend_of_digits(figure, lab)


def test_the_strip_shows_the_plane_after_the_epochs_in_its_titles(lab):
    axes = lab.figure("epochs-strip").axes
    titles = [ax.get_title() for ax in axes]
    assert titles == [f"epoka {epochs}" for epochs in (0, 1, 3, 10, lab.EPOCHS)]
    for ax, epochs in zip(axes, (0, 1, 3, 10, lab.EPOCHS)):
        assert_dots(ax.collections[0], lab.codes_after[epochs], lab.y_valid, lab)


def test_random_images_are_decoded_from_codes_all_over_the_square(lab):
    rows, *_ = lab.image_rows("random-grid")
    close(rows.reshape(100, 28, 28, 1), lab.dec.predict(lab.random_codes))
    assert lab.random_codes.shape == (100, 2)
    assert lab.random_codes.min() < -0.9 and lab.random_codes.max() > 0.9
    assert np.abs(lab.random_codes).max() <= 1


def test_the_path_leads_from_a_two_to_a_seven(lab):
    (by_codes, by_pixels), _, titles = lab.image_rows("path")
    assert titles == ["przez kody", "przez piksele"]
    ends = by_pixels[[0, -1]]
    for image, digit in zip(ends, (2, 7)):
        assert (lab.x_test[lab.y_test == digit] == image).all(axis=(1, 2, 3)).any()
    shares = np.linspace(0, 1, 10)
    codes = lab.enc.predict(ends)
    close(by_codes, lab.dec.predict(np.outer(1 - shares, codes[0]) + np.outer(shares, codes[1])))
    close(by_pixels[3], ends[0] * 2 / 3 + ends[1] / 3)


def test_the_matrix_has_true_digits_in_rows_and_answers_in_columns(lab):
    ax = lab.figure("confusion").axes[0]
    shares = ax.images[0].get_array()
    for digit in range(10):
        answers = lab.predicted[lab.y_test == digit]
        close(shares[digit], np.bincount(answers, minlength=10) / len(answers))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("odpowiedź", "cyfra prawdziwa")
    texts = [text.get_text() for text in ax.texts]
    assert texts == [f"{share:.0%}" for share in shares.flat]
    close(shares.diagonal(), recall_score(lab.y_test, lab.predicted, average=None))


def assert_regions(ax, lab):
    """Require the colour of places to be the classifier's answer there, outlined in black."""
    image = [image for image in ax.images if image.get_array().shape == (300, 300)][0]
    assert image.origin == "upper" and image.get_extent() == [-1, 1, -1, 1]
    assert image.get_clim() == (0, 9) and image.get_cmap() == lab.COLOURS
    rows, columns = np.random.default_rng(0).integers(0, 300, (2, 500))
    codes = np.stack([(columns + 0.5) / 150 - 1, 1 - (rows + 0.5) / 150], axis=1)
    answers = lab.classify(lab.classifier, codes)
    np.testing.assert_array_equal(image.get_array()[rows, columns], answers)
    outlines = [found for found in ax.collections if isinstance(found, ContourSet)]
    assert len(outlines) == len(np.unique(answers)) - 1, "a region has no outline"


def assert_digits_stand_among_their_codes(ax, lab):
    """Require each digit to be written once, where its codes are dense, none over another."""
    texts = {text.get_text(): np.array(text.get_position()) for text in ax.texts}
    assert sorted(texts) == list("0123456789")
    places = np.array([texts[str(digit)] for digit in range(10)])
    for digit, place in enumerate(places):
        own = lab.codes_test[lab.y_test == digit]
        assert np.linalg.norm(own - place, axis=1).min() < 1e-6, f"no {digit} has its code there"
        distances = [np.median(np.linalg.norm(own - code, axis=1)) for code in (place, *own[::20])]
        assert distances[0] <= np.median(distances), f"{digit} stands apart from its codes"
        assert np.delete(np.linalg.norm(places - place, axis=1), digit).min() >= 0.15


def test_regions(lab):
    figure = lab.figure("regions")
    (ax,) = figure.axes
    assert_regions(ax, lab)
    assert_digits_stand_among_their_codes(ax, lab)
    assert_dots(ax.collections[-1], lab.codes_test, lab.y_test, lab)
    assert_legend_of_digits(figure, lab)
    (crosses,) = ax.lines
    close(crosses.get_xydata(), lab.random_codes)
    assert crosses.get_marker() == "+"


def test_atlas(lab):
    (ax,) = lab.figure("atlas").axes
    assert_regions(ax, lab)
    assert_digits_stand_among_their_codes(ax, lab)
    mosaic = ax.images[0]
    assert mosaic.get_array().shape == (560, 560) and mosaic.origin == "upper"
    assert mosaic.get_extent() == [-1, 1, -1, 1] and mosaic.get_clim() == (0, 1)
    assert mosaic.get_alpha() in (None, 1) and ax.images[1].get_alpha() <= 0.3
    tiles = mosaic.get_array().reshape(20, 28, 20, 28).swapaxes(1, 2)
    for row, column, code in [
        (0, 0, (-0.95, 0.95)),
        (0, 19, (0.95, 0.95)),
        (19, 0, (-0.95, -0.95)),
        (9, 10, (0.05, 0.05)),
    ]:
        close(tiles[row, column], lab.dec.predict(np.array([code]))[0, ..., 0])


def test_random_answers_have_the_answer_and_its_probability_as_captions(lab):
    rows, captions, titles = lab.image_rows("random-answers")
    assert titles == ["najpewniej", "najmniej pewnie"]
    highest = lab.classifier.predict(lab.random_codes).max(axis=1)
    images = lab.dec.predict(lab.random_codes)
    for row, expected in zip(rows, [np.sort(highest)[::-1][:10], np.sort(highest)[::-1][-10:]]):
        found = [np.abs(images - image).max(axis=(1, 2, 3)).argmin() for image in row]
        close(highest[found], expected)
        for index, caption in zip(found, captions):
            answer = lab.classify(lab.classifier, lab.random_codes[[index]])[0]
            assert caption == f"{answer} ({int(100 * highest[index])}%)"
        captions = captions[10:]


def test_hardest_digits(lab):
    (originals, decoded), captions, titles = lab.image_rows("hardest", columns=12)
    assert titles == ["oryginał", "rekonstrukcja"]
    close(decoded, lab.ae_model.predict(originals))
    mean = lab.x_train.mean(axis=0)

    def relative(images, answers):
        own = np.square(answers - images).mean(axis=(1, 2, 3))
        return own / np.square(mean - images).mean(axis=(1, 2, 3))

    every = relative(lab.x_test, lab.reconstructions)
    close(relative(originals, decoded), np.sort(every)[::-1][:12], atol=1e-3)
    for image, caption in zip(originals, captions):
        (indices,) = np.nonzero((lab.x_test == image).all(axis=(1, 2, 3)))
        assert caption == f"{lab.y_test[indices[0]]}, odp. {lab.predicted[indices[0]]}"


def test_code_sizes_on_validation_images(lab):
    errors, scores = lab.figure("dimensions-plot").axes
    assert errors.get_ylabel() == "MSE (walidacja)"
    assert scores.get_ylabel() == "dokładność 25 sąsiadów (walidacja)"
    flat_valid, flat_part = lab.x_valid.reshape(-1, 784), lab.x_part.reshape(-1, 784)
    sizes = [2, 4, 8, 16, 32]
    for ax in (errors, scores):
        assert [line.get_label() for line in ax.lines] == ["autoenkoder", "PCA"]
        drawn = {to_hex(line.get_color()): line.get_label() for line in ax.lines}
        assert colours_of(ax.get_legend()) == drawn
        for line in ax.lines:
            assert list(line.get_xdata()) == [str(size) for size in sizes]
    for index, (n, call) in enumerate(zip(sizes, lab.fits["dimensions"], strict=True)):
        enc, dec = call["model"].layers
        pca = lab.PCA(n).fit(flat_part)
        pca_answers = pca.inverse_transform(pca.transform(flat_valid))
        expected = {
            "autoenkoder": np.mean((dec.predict(enc.predict(lab.x_valid)) - lab.x_valid) ** 2),
            "PCA": np.mean((pca_answers - flat_valid) ** 2),
        }
        for line in errors.lines:
            height = line.get_ydata()[index]
            assert height == pytest.approx(expected[line.get_label()], rel=0.01), n
    enc, _ = lab.fits["dimensions"][0]["model"].layers
    neighbours = KNeighborsClassifier(25).fit(enc.predict(lab.x_part), lab.y_part)
    score = neighbours.score(enc.predict(lab.x_valid), lab.y_valid)
    assert scores.lines[0].get_ydata()[0] == pytest.approx(score, abs=0.002)


def test_bends_pass_through_the_centre_only_without_biases(lab):
    def distances(ax):
        """Return how far from the centre the lines pass."""
        points = np.array([line.get_xy1() for line in ax.lines])
        slopes = np.array([line.get_slope() for line in ax.lines])
        return np.abs(points[:, 1] - slopes * points[:, 0]) / np.hypot(1, slopes)

    zero, spread = lab.figure("bends").axes
    assert len(zero.lines) == len(spread.lines) == lab.HIDDEN_UNITS
    assert "0" in zero.get_title() and "[−1; 1]" in spread.get_title()
    assert distances(zero).max() < 1e-6
    assert np.median(distances(spread)) > 0.2
    trained = lab.dec.get_layer("hidden_1").kernel.numpy()
    slopes = [line.get_slope() for line in spread.lines]
    assert not np.allclose(slopes, -trained[0] / trained[1]), "this decoder is trained"
