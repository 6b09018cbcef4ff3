"""Cutting pictures of any size to one size."""

import numpy as np


def middle(picture, size):
    """The middle square of a picture of Pillow, resized.

    Bilinearly if it has three channels; else it has numbers of objects, and each pixel takes its nearest neighbour's.

    Args:
        picture: A `PIL.Image.Image`.
        size: Height and width of the result.

    Returns:
        `(size, size, 3)` or `(size, size, 1)` uint8.

    Example:

    >>> from PIL import Image
    >>> middle(Image.new("RGB", (30, 20)), 8).shape
    (8, 8, 3)
    """
    from PIL import Image

    method = Image.Resampling.BILINEAR if picture.mode == "RGB" else Image.Resampling.NEAREST
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    pixels = np.asarray(picture.resize((size, size), method, box=(left, top, left + side, top + side)))
    return pixels.reshape(size, size, -1)
