"""Shapes: outlines of triangles, squares, circles and diamonds, white on black."""

import numpy as np

from training.datasets.objects.generator import paint, place_objects

SIZE = 40
_FEWEST, _MOST = 2, 4
_WIDTHS = (13, 15, 17)
_STROKE = 2


def _outlines():
    """The four shapes in all widths, `(12, 17, 17)` bool, each in the middle."""
    window = max(_WIDTHS)
    y, x = np.mgrid[:window, :window] - (window - 1) / 2
    found = []
    for width in _WIDTHS:
        half = width / 2
        # How far a pixel is outside of the shape: the largest distance from one of its sides.
        outside = {
            # An equilateral one; its middle is that of its height here.
            "triangle": np.maximum(y - half * np.sqrt(3) / 2, (np.sqrt(3) * np.abs(x) - y) / 2 - half * np.sqrt(3) / 4),
            "square": np.maximum(np.abs(x), np.abs(y)) - half,
            "circle": np.hypot(x, y) - half,
            "diamond": (np.abs(x) + np.abs(y) - half) / np.sqrt(2),
        }
        found += [(distance <= 0) & (distance > -_STROKE) for distance in outside.values()]
    return np.stack(found)


OUTLINES = _outlines()


def draw_shapes(random, count):
    """Draws scenes of hollow shapes that may cross each other, as the AKOrN paper describes its data set Shapes.

    Published are: images of 40×40 pixels with 2 to 4 of triangle, square, circle and diamond, of which several may be
    the same, and figures in which they are hollow. What else is open: each number of objects, each shape and each
    width (13, 15 or 17 pixels, with a stroke of 2) are equally often, all places inside the image equally likely, as
    long as at least half of each outline is seen that no later one crosses; outlines are white on black. Where
    outlines cross, the mask has the later one.

    Args:
        random: A `numpy.random.Generator`.
        count: Number of scenes.

    Returns:
        Images, `(count, 40, 40, 3)` uint8, and masks, `(count, 40, 40)` uint8: 0 for the background, 1 to 4.

    Example:

    >>> image, mask = draw_shapes(np.random.default_rng(0), 100)
    >>> sorted(set(mask.max(axis=(1, 2)).tolist()))
    [2, 3, 4]
    """
    stencils = OUTLINES[random.integers(len(OUTLINES), size=(count, _MOST))]
    number = random.integers(_FEWEST, _MOST + 1, size=count)
    stencils &= (np.arange(_MOST) < number[:, None])[:, :, None, None]
    mask, _ = place_objects(random, stencils, SIZE, visible=0.5)
    return paint(mask, np.full((count, _MOST, 3), 255, np.uint8), 0), mask
