"""What a reader sees: functions that read figures, printed lines and tables, and answer by own computation."""
import contextlib
import io
from unittest.mock import MagicMock

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from conftest import plain_python

# By digit; those that lie side by side are far apart for colour-blind readers too, so look before you change one.
COLOURS = np.array([to_rgb(colour) for colour in
                    "#b9ac70 #a96b59 #bd1f01 #ffa90e #3f90da #92dadd #717581 #94a4a2 #832db6 #e76300".split()])


def image_grid(figure, columns):
    """Return a grid's images (rows, columns, 28, 28, 1), all captions and the titles of the rows, in reading order."""
    figure.draw_without_rendering()
    axes = sorted(figure.axes, key=lambda ax: (-round(ax.get_window_extent().y0), ax.get_window_extent().x0))
    images = [image for ax in axes for image in ax.images]
    for image in images:  # white is 0 and black 1, the first row at the top, the first column at the left
        assert (image.cmap.name, image.norm.vmin, image.norm.vmax, image.get_alpha()) == ("gray_r", 0, 1, None)
        assert [*image.axes.get_xlim(), *image.axes.get_ylim()] == list(image.get_extent()) == [-0.5, 27.5, 27.5, -0.5]
        assert image.origin == "upper"
    return (np.reshape([image.get_array() for image in images], (-1, columns, 28, 28, 1)),
            [ax.get_title() for ax in axes], [ax.get_ylabel() for ax in axes[::columns]])


def axis_names(ax):
    return ax.get_xlabel(), ax.get_ylabel()


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


def by_name(legend, artists):
    """Return what a reader finds for each entry of a legend: the artists of its colour, for lines its dashes too."""
    def look(artist):
        line = hasattr(artist, "get_marker")
        return (to_rgb(artist.get_color()), artist.get_linestyle()) if line else to_rgb(artist.get_facecolor())

    found = {text.get_text(): [artist for artist in artists if look(artist) == look(handle)]
             for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True)}
    assert len(found) == len(legend.get_texts()) and sum(map(len, found.values())) == len(artists)
    return found


def curves(ax):
    """Return the data (x, y) of the one line that each legend entry points at."""
    return {name: line.get_data(orig=False) for name, (line,) in by_name(ax.get_legend(), ax.lines).items()}


def tick_names(axis):
    """Return the names at an axis's ticks and the places of these."""
    axis.figure.draw_without_rendering()
    return {text.get_text(): place for text, place in zip(axis.get_ticklabels(), axis.get_ticklocs())}


def is_square(ax):
    """Say whether axes show the square [-1, 1]², not distorted."""
    return ax.get_xlim() == ax.get_ylim() == (-1, 1) and ax.get_aspect() == 1


def written_digits(ax, large):
    """Return the pairs (digit, place) written on a plane: the clusters' names, which are large, or the small ones."""
    return [(int(text.get_text()), np.array(text.get_position())) for text in ax.texts
            if large == (text.get_fontsize() > 12)]


def cell_under(places, count):
    """Return the row, from the top, and the column of each place (..., 2) in a grid of count x count."""
    columns, rows = np.moveaxis((np.add(places, 1) / 2 * count).astype(int).clip(0, count - 1), -1, 0)
    return count - 1 - rows, columns


def centres(count):
    """Return the places (count, count, 2) of that grid's cells."""
    steps = np.linspace(-1 + 1 / count, 1 - 1 / count, count)
    return np.array([[(x, y) for x in steps] for y in steps[::-1]])


def distances(places, others):
    """Return the distance of each place (..., 2) to each of the other places (K, 2): (..., K)."""
    return np.linalg.norm(np.asarray(places)[..., np.newaxis, :] - np.reshape(others, (-1, 2)), axis=-1)


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


def comma(number, form):
    """Return a number's text with the decimal comma that Polish asks for."""
    return format(number, form).replace(".", ",")


def number(text):
    """Return what a Polish reader reads: a decimal comma and a true minus."""
    assert "." not in text and "-" not in text
    return float(text.replace(",", ".").replace("−", "-"))


def said(run, cell_id):
    """Return the pairs name: value that a cell printed; the claim that it checked is the value of OK."""
    return {name: value.strip() for name, value in (line.rsplit(":", 1) for line in run.printed[cell_id].splitlines())}


def rows_of(markdown):
    """Return the rows of a Markdown table as lists of cells, the head first."""
    rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in markdown.splitlines()]
    assert set("".join(rows.pop(1))) == {"-"} and len(set(map(len, rows))) == 1
    return rows


def table(run, cell_id):
    """Return the rows of the Markdown table that a cell has shown."""
    (markdown, _), = run.shown[cell_id]
    return rows_of(markdown.data)


def call(model, x):
    """Return a model's answer to the whole array x at once."""
    return np.asarray(model(np.asarray(x, "float32")))


def answers(model, x):
    """Return a classifier's digit for each row of x."""
    return call(model, x).argmax(axis=-1)


def mse(images, targets):
    """Return the mean squared error of images; one image may stand for all."""
    return float(np.mean(np.square(np.asarray(images, "float64") - targets)))


def principal_components(images):
    """Return the mean (784,) and the principal components (784, 784) of images, the largest first."""
    rows = np.reshape(images, (len(images), -1)).astype("float64")
    return rows.mean(axis=0), np.linalg.eigh(np.cov(rows.T))[1][:, ::-1]


def once_more(run, cell_id, **others):
    """Execute a cell once more, with other values of some names; return its variables. The run does not change."""
    cell, = [cell for cell in run.cells if cell.id == cell_id]
    space = {**run.space, "display": MagicMock(), **others}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(plain_python(cell), cell_id, "exec"), space)
    return space
