"""Tetrominoes: three pieces of four squares each, on black."""

import numpy as np

from training.datasets.objects.generator import paint, place_objects

SIZE = 35
_SQUARE = 5
_PIECES = 3
# One drawing of each piece, rows from the top. Turned in all ways, these are 17; the straight piece is left out.
_DRAWINGS = (("##", "##"), ("###", ".#."), ("##.", ".##"), (".##", "##."), ("###", "#.."), ("###", "..#"))
# Red, green, blue, yellow, magenta, cyan.
_COLORS = 255 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.uint8)


def _variants():
    """The pieces in all their orientations, `(17, 15, 15)` bool."""
    found = {}
    for drawing in _DRAWINGS:
        piece = np.array([[mark == "#" for mark in row] for row in drawing])
        for turns in range(4):
            turned = np.rot90(piece, turns)
            stencil = np.zeros((3, 3), bool)
            stencil[: len(turned), : len(turned[0])] = turned
            found[stencil.tobytes()] = np.kron(stencil, np.ones((_SQUARE, _SQUARE), bool))
    return np.stack(list(found.values()))


VARIANTS = _variants()


def draw_tetrominoes(random, count):
    """Draws scenes of three tetrominoes that do not overlap, as in DeepMind's data set of that name.

    Published are: images of 35×35 pixels, three tetrominoes each, out of 17 shapes and orientations, each red, green,
    blue, yellow, magenta or cyan, on black. Of the 19 orientations of tetrominoes the 17 that are not straight are
    taken here. What else the description leaves open: a square has 5×5 pixels, all shapes and colours are drawn
    independently and equally often, and all places where pieces lie within the image and apart from each other are
    equally likely, to the pixel.

    Args:
        random: A `numpy.random.Generator`.
        count: Number of scenes.

    Returns:
        Images, `(count, 35, 35, 3)` uint8, and masks, `(count, 35, 35)` uint8: 0 for the background, 1 to 3.

    Example:

    >>> image, mask = draw_tetrominoes(np.random.default_rng(0), 2)
    >>> np.bincount(mask[0].ravel()).tolist()
    [925, 100, 100, 100]
    """
    stencils = VARIANTS[random.integers(len(VARIANTS), size=(count, _PIECES))]
    mask, _ = place_objects(random, stencils, SIZE, visible=1.0)
    return paint(mask, _COLORS[random.integers(len(_COLORS), size=(count, _PIECES))], 0), mask


def draw_cropped_tetrominoes(random, count):
    """The inner 32×32 pixels of `draw_tetrominoes`: a border of 1 pixel is cut at the top and left, of 2 elsewhere.

    So do AKOrN's authors with the published images.

    Args:
        random: A `numpy.random.Generator`.
        count: Number of scenes.

    Returns:
        Images, `(count, 32, 32, 3)` uint8, and masks, `(count, 32, 32)` uint8.
    """
    image, mask = draw_tetrominoes(random, count)
    return image[:, 1:33, 1:33], mask[:, 1:33, 1:33]
