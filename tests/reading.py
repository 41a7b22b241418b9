"""What a reader sees: functions that read figures, printed lines and tables, and answer by own computation."""
import contextlib
import io
import re
from unittest.mock import MagicMock

import matplotlib
import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

COLOURS = np.array([to_rgb(colour) for colour in  # by digit
                    "#b9ac70 #a96b59 #bd1f01 #ffa90e #3f90da #92dadd #717581 #94a4a2 #832db6 #e76300".split()])


# Figures


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


def digit_image(ax):
    """Return the image on axes that hold one, after a look at its scale: white 0, black 1."""
    image, = ax.images
    assert image.cmap.name == "gray_r" and image.norm.vmin == 0 and image.norm.vmax == 1 and image.get_alpha() is None
    array = seen(ax)
    assert array.shape == (28, 28)
    return array


def image_rows(figure, columns):
    """Return the axes of a grid of images as an array (rows, columns), laid out as a reader meets them."""
    figure.draw_without_rendering()
    axes = sorted(figure.axes, key=lambda ax: (-round(ax.get_window_extent().y0), ax.get_window_extent().x0))
    return np.reshape(axes, (-1, columns))


def images_of(axes):
    """Return the images (N, 28, 28, 1) on an array of axes."""
    return np.array([digit_image(ax) for ax in np.ravel(axes)])[..., np.newaxis]


def titles(axes):
    return [ax.get_title() for ax in np.ravel(axes)]


def digits_of(colours):
    """Return the digit of each colour (..., 3)."""
    distances = np.abs(np.asarray(colours)[..., np.newaxis, :] - COLOURS).sum(axis=-1)
    assert distances.min(axis=-1).max() < 0.01, "a colour that no digit has"
    return distances.argmin(axis=-1)


def points(ax):
    """Return the offsets (N, 2) of a scatter, all within the axes, and for each point the digit whose colour it has."""
    scatter, = [drawn for drawn in ax.collections if isinstance(drawn, PathCollection)]
    offsets, (x, y) = np.asarray(scatter.get_offsets()), (ax.get_xlim(), ax.get_ylim())
    assert (offsets >= (min(x), min(y))).all() and (offsets <= (max(x), max(y))).all() and scatter.get_sizes() >= 1
    return offsets, digits_of(scatter.to_rgba(scatter.get_array(), alpha=1)[:, :3])


def look(artist):
    """Return what tells an artist from others in a legend: its colour and a line's dashes and marker."""
    if hasattr(artist, "get_linestyle") and hasattr(artist, "get_marker"):
        return to_rgb(artist.get_color()), artist.get_linestyle(), artist.get_marker()
    return to_rgb(artist.get_facecolor())


def by_name(legend, artists):
    """Return what a reader finds for each entry of a legend: the artists that look like it."""
    found = {text.get_text(): [artist for artist in artists if look(artist) == look(handle)]
             for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True)}
    assert len(found) == len(legend.get_texts()) and sum(map(len, found.values())) == len(artists)
    return found


def curves(ax):
    """Return the data (x, y) of the one line that each legend entry points at."""
    return {name: line.get_data(orig=False) for name, (line,) in by_name(ax.get_legend(), ax.lines).items()}


def axis_names(ax):
    return ax.get_xlabel(), ax.get_ylabel()


def tick_names(axis):
    """Return the names at an axis's ticks and the places of these."""
    axis.figure.draw_without_rendering()
    return {text.get_text(): place for text, place in zip(axis.get_ticklabels(), axis.get_ticklocs())}


def is_square(ax):
    """Say whether axes show the square [-1, 1]², not distorted."""
    return ax.get_xlim() == ax.get_ylim() == (-1, 1) and ax.get_aspect() == 1


def written_digits(ax, large=None):
    """Return the pairs (digit, place) written on a plane; large: only the clusters' names, or only the others."""
    return [(int(text.get_text()), np.array(text.get_position())) for text in ax.texts
            if large in (None, text.get_fontsize() > 12)]


def cell_under(places, count):
    """Return the row, from the top, and the column of each place (N, 2) in a grid of count x count."""
    columns, rows = (((np.reshape(places, (-1, 2)) + 1) / 2) * count).astype(int).clip(0, count - 1).T
    return count - 1 - rows, columns


def centres(count):
    """Return the places (count, count, 2) of that grid's cells."""
    steps = np.linspace(-1 + 1 / count, 1 - 1 / count, count)
    return np.array([[(x, y) for x in steps] for y in steps[::-1]])


def region_digits(ax):
    """Return the grid of digits whose colours the decision regions on a plane have."""
    regions = ax.images[-1]
    assert regions.get_alpha() >= 0.2 and list(regions.get_extent()) == [-1, 1, -1, 1]
    image = regions.to_rgba(regions.get_array(), alpha=1)[..., :3]
    return digits_of(image[::-1] if regions.origin == "lower" else image)


def border_places(ax):
    """Return the corners of the black border lines on a plane."""
    drawn = [lines for lines in ax.collections if not isinstance(lines, PathCollection)]
    for lines in drawn:
        assert np.allclose(lines.get_edgecolor(), [0, 0, 0, 1]) and min(lines.get_linewidth()) >= 0.4
    return np.concatenate([path.vertices for lines in drawn for path in lines.get_paths()])


# Texts


def comma(number, form):
    """Return a number's text with the decimal comma that Polish asks for."""
    return format(number, form).replace(".", ",")


def number(text):
    """Return what a Polish reader reads: a decimal comma and a true minus."""
    assert "." not in text and "-" not in text
    return float(text.replace(",", ".").replace("−", "-"))


def certainty(probability):
    """Return a probability as a caption gives it."""
    rounded = f"{probability:.0%}"
    return ">99%" if rounded == "100%" else rounded


def said(run, cell_id):
    """Return the pairs name: value that a cell printed, claims apart."""
    pieces = [piece for piece in re.split("[;\n]", run.printed[cell_id]) if piece and not piece.startswith("OK:")]
    return {name.strip(): value.strip() for name, value in (piece.rsplit(":", 1) for piece in pieces)}


def claimed(run, cell_id):
    """Return the claims that a cell printed."""
    return re.findall("^OK: (.*)$", run.printed[cell_id], flags=re.M)


def table(run, cell_id):
    """Return the rows of the Markdown table that a cell has shown, the head first."""
    markdown, = [thing.data for thing, _ in run.shown[cell_id]]
    lines = [[cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
             for line in markdown.splitlines()]
    assert set("".join(lines.pop(1))) == {"-"} and len(set(map(len, lines))) == 1
    return lines


def texts(figure):
    """Return all texts of a figure."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


# Computations


def call(model, x):
    """Return a model's answer to the whole array x at once."""
    return np.asarray(model(np.asarray(x, "float32")))


def answers(run, codes):
    """Return the classifier's digit for each code."""
    return call(run.classifier, codes).argmax(axis=-1)


def accuracy(model, x, y):
    return np.mean(call(model, x).argmax(axis=1) == y)


def mse(images, targets):
    """Return the mean squared error of images; one image may stand for all."""
    return float(np.mean(np.square(np.asarray(images, "float64") - targets)))


def principal_components(images):
    """Return the mean (784,) and the principal components (784, 784) of images, the largest first."""
    rows = np.reshape(images, (len(images), -1)).astype("float64")
    return rows.mean(axis=0), np.linalg.eigh(np.cov(rows.T))[1][:, ::-1]


def nearest(codes, new_codes, count=25):
    """Return the indices (N, count) of the codes nearest to each new code."""
    distances = np.square(codes).sum(axis=1) - 2 * new_codes @ codes.T
    return distances.argpartition(count, axis=1)[:, :count]


def purity(codes, labels):
    """Return the share of equal labels among the 25 nearest neighbours of each code, itself apart; their mean."""
    codes = codes.astype("float64")
    distances = np.square(codes[:, np.newaxis] - codes).sum(axis=-1)
    np.fill_diagonal(distances, np.inf)
    return np.mean(labels[distances.argpartition(25, axis=1)[:, :25]] == labels[:, np.newaxis])


def once_more(run, cell_id, **others):
    """Execute a cell once more, with other values of some names; return its variables. The run does not change."""
    cell, = [cell for cell in run.cells if cell.id == cell_id]
    space = {**run.space, "display": MagicMock(), **others}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(run.shortened(cell), cell_id, "exec"), space)
    return space
