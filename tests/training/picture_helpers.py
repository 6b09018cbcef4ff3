"""What the tests look at in pictures: the pixels of a file, and what a figure was drawn of."""

import matplotlib.image
import numpy as np
from PIL import Image


def check_picture(path, width=250, height=200, colours=20):
    """Asserts that a PNG shows something: of at least that size, not blank, with several colours besides black.

    Args:
        path: Path of the file.
        width: The fewest pixels in a row.
        height: The fewest rows.
        colours: The fewest different colours, shades of antialiasing included.
    """
    pixels = np.round(matplotlib.image.imread(path)[..., :3] * 255).astype(int)
    assert pixels.shape[0] >= height
    assert pixels.shape[1] >= width
    drawn = pixels[(pixels < 250).any(axis=-1)]
    assert 0.01 < len(drawn) / pixels[..., 0].size < 0.95
    assert len(np.unique(drawn, axis=0)) >= colours
    # Axes and letters are grey: what they stand around is not.
    assert (np.ptp(drawn, axis=-1) > 30).mean() > 0.01


def film_length(path):
    """The number of frames of an animated GIF."""
    with Image.open(path) as film:
        return film.n_frames


def capture_figures(monkeypatch):
    """The figures that `training.plots.save` writes from now on, by the names of their files."""
    from training import plots

    figures, save = {}, plots.save

    def save_and_keep(figure, path):
        save(figure, path)
        figures[path.name] = figure

    monkeypatch.setattr(plots, "save", save_and_keep)
    return figures


def titles(figure):
    """The titles of a figure's axes, those of its colour bars left out."""
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def legend(axes):
    """The labels of what is drawn in axes."""
    return axes.get_legend_handles_labels()[1]


def matrices(figure):
    """The matrices that are shown as images."""
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.get_images()]
