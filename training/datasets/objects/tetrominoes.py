"""Tetrominoes: three pieces of four squares each, on black."""

import numpy as np

SIZE = 35
_SQUARE = 5
_PIECES = 3
# One drawing of each piece, rows from the top. The straight piece is left out: what is left can be turned into 17.
_DRAWINGS = (("##", "##"), ("###", ".#."), ("##.", ".##"), (".##", "##."), ("###", "#.."), ("###", "..#"))
_COLORS = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255], [0, 255, 255]],
    np.uint8,
)


def _variants():
    """The pieces in all their orientations: `(17, 4, 2)`, row and column of each square."""
    found = {}
    for drawing in _DRAWINGS:
        piece = np.array([[mark == "#" for mark in row] for row in drawing])
        for turns in range(4):
            turned = np.rot90(piece, turns)
            found.setdefault((turned.shape, turned.tobytes()), np.argwhere(turned))
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
    squares = VARIANTS[random.integers(len(VARIANTS), size=(count, _PIECES))]
    colors = _COLORS[random.integers(len(_COLORS), size=(count, _PIECES))]
    room = SIZE + 1 - _SQUARE * (squares.max(axis=2) + 1)
    mask = np.zeros((count, SIZE, SIZE), np.uint8)
    # Only the places are drawn again where pieces overlap: bulky pieces are as frequent as others.
    rest = np.arange(count)
    while len(rest):
        corners = random.integers(room[rest])
        tried, taken = np.zeros((2, len(rest), SIZE, SIZE), np.uint8)
        within = np.arange(_SQUARE)
        for piece in range(_PIECES):
            for square in range(4):
                corner = corners[:, piece] + _SQUARE * squares[rest, piece, square]
                rows, columns = corner[:, 0, None, None] + within[:, None], corner[:, 1, None, None] + within
                place = (np.arange(len(rest))[:, None, None], rows, columns)
                tried[place] = piece + 1
                taken[place] += 1
        apart = taken.max(axis=(1, 2)) == 1
        mask[rest[apart]] = tried[apart]
        rest = rest[~apart]
    palette = np.concatenate([np.zeros((count, 1, 3), np.uint8), colors], axis=1)
    return palette[np.arange(count)[:, None, None], mask], mask


def draw_cropped_tetrominoes(random, count):
    """The inner 32×32 pixels of `draw_tetrominoes`: a border of 1 pixel is cut at the top and left, of 2 elsewhere.

    Args:
        random: A `numpy.random.Generator`.
        count: Number of scenes.

    Returns:
        Images, `(count, 32, 32, 3)` uint8, and masks, `(count, 32, 32)` uint8.
    """
    image, mask = draw_tetrominoes(random, count)
    return image[:, 1:33, 1:33], mask[:, 1:33, 1:33]
