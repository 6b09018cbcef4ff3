"""Multi-dSprites: ellipses, hearts and squares of any colour, on grey."""

import numpy as np

from training.datasets.objects.generator import paint, place_objects

SIZE = 64
_FEWEST, _MOST = 2, 5
# Half the side of a square, and what the other shapes are measured in, at full scale.
_RADIUS = 10.0
_WINDOW = 31


def draw_sprites(random, count):
    """Draws scenes of sprites that cover each other, as in DeepMind's multi-dSprites, "coloured on greyscale".

    Published are: images of 64×64 pixels with 2 to 5 ellipses, hearts or squares, with a position, an orientation and a
    scale, some occluded, their colours drawn as hue, saturation and value, on a background of one grey that is drawn,
    too. What else the description leaves open: everything is drawn uniformly and independently, the hue, saturation
    and value over all of their range, the scale from 0.5 to 1 in the six steps of dSprites, and sprites are wholly
    inside the image and hidden by at most three quarters. At scale 1 a square has a side of 20 pixels, an ellipse axes
    of 24 and 14, a heart is 23 wide.

    Args:
        random: A `numpy.random.Generator`.
        count: Number of scenes.

    Returns:
        Images, `(count, 64, 64, 3)` uint8, and masks, `(count, 64, 64)` uint8: 0 for the background, 1 to 5.

    Example:

    >>> image, mask = draw_sprites(np.random.default_rng(0), 100)
    >>> sorted(set(mask.max(axis=(1, 2)).tolist()))
    [2, 3, 4, 5]
    """
    shape = (count, _MOST, 1, 1)
    kind = random.integers(3, size=shape)
    angle = random.uniform(0, 2 * np.pi, size=shape).astype(np.float32)
    radius = np.float32(_RADIUS) * (random.integers(5, 11, size=shape) / 10).astype(np.float32)
    y, x = np.mgrid[:_WINDOW, :_WINDOW].astype(np.float32) - (_WINDOW - 1) / 2
    cosine, sine = np.cos(angle) / radius, np.sin(angle) / radius
    x, y = cosine * x - sine * y, sine * x + cosine * y
    # Products: NumPy's powers other than squares are far slower.
    square, heart = x * x, x * x + y * y - 1
    inside = [
        square / 1.2**2 + y * y / 0.7**2 <= 1,
        heart * heart * heart <= square * (y * y * y),
        np.maximum(np.abs(x), np.abs(y)) <= 1,
    ]
    stencils = np.choose(kind, inside)
    number = random.integers(_FEWEST, _MOST + 1, size=count)
    stencils &= (np.arange(_MOST) < number[:, None])[:, :, None, None]
    mask, _ = place_objects(random, stencils, SIZE, visible=0.25)
    colors = _from_hsv(random.uniform(size=(count, _MOST, 3)))
    return paint(mask, colors, random.integers(256, size=(count, 1))), mask


def _from_hsv(colors):
    """Hue, saturation and value, from 0 to 1, as red, green and blue, uint8."""
    hue, saturation, value = (colors[..., channel, None] for channel in range(3))
    position = (np.array([5, 3, 1]) + 6 * hue) % 6
    share = np.clip(np.minimum(position, 4 - position), 0, 1)
    return np.round(255 * value * (1 - saturation * share)).astype(np.uint8)
