"""What generated scenes share: objects are put into images, and images on the train side or on the test side."""

import hashlib

import numpy as np
import tqdm

_SIDES = ("train", "test")
# One image in so many is on the test side.
_SHARE = 8


def generate_scenes(draw, count, side="train", seed=0, progress=True, chunk=512):
    """Generates different images with their masks.

    A hash of its pixels decides whether an image belongs to the train side or to the test side (about one in eight), so
    that no image of one side is ever found on the other, for any two seeds.

    Args:
        draw: Function of a `numpy.random.Generator` and a number of scenes, to their images, `(n, height, width, 3)`
            uint8, and their masks, `(n, height, width)` uint8.
        count: Number of scenes.
        side: `"train"` or `"test"`, the side the images are from.
        seed: Non-negative integer, from which all scenes follow.
        progress: Whether to show a progress bar on standard error.
        chunk: Number of scenes that are drawn at once. Other scenes follow from another one.

    Yields:
        Pairs of an image and its mask.

    Example:

    >>> from training.datasets.objects.tetrominoes import draw_tetrominoes
    >>> image, mask = next(generate_scenes(draw_tetrominoes, 10, progress=False))
    >>> image.shape, mask.shape
    ((35, 35, 3), (35, 35))
    """
    seen, drawn = set(), 0
    with tqdm.tqdm(total=count, desc="Scenes", unit=" scenes", disable=not progress, leave=False) as bar:
        while len(seen) < count:
            random = np.random.default_rng(np.random.SeedSequence([seed, _SIDES.index(side), drawn]))
            for image, mask in zip(*draw(random, chunk)):
                code = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
                held_out = int.from_bytes(code, "little") % _SHARE == 0
                if held_out == (side == "test") and code not in seen:
                    seen.add(code)
                    yield image, mask
                    if len(seen) == count:
                        break
            bar.update(len(seen) - bar.n)
            drawn += 1


def place_objects(random, stencils, size, visible):
    """Puts objects into square images, at places that are drawn again until enough is seen of each of them.

    Every place where an object is wholly within the image is equally likely, as far as the others allow; later objects
    cover earlier ones.

    Args:
        random: A `numpy.random.Generator`.
        stencils: `(count, objects, height, width)` bool, the pixels of each object. One without pixels is no object.
        size: Height and width of the images.
        visible: Least share of an object's pixels that no other one may cover, at most 1.

    Returns:
        `(mask, corners)`: masks, `(count, size, size)` uint8, 0 where there is no object, else its number, from 1; and
        the row and column of each stencil's first pixel, `(count, objects, 2)` int64, that may be outside.

    Example:

    >>> two = np.ones((1, 2, 3, 3), bool)
    >>> mask, corners = place_objects(np.random.default_rng(0), two, 6, visible=1.0)
    >>> np.bincount(mask.ravel()).tolist()
    [18, 9, 9]
    """
    count, objects, *window = stencils.shape
    area = stencils.sum(axis=(2, 3), dtype=np.int64)
    # The first and the last row and column of each object, inside its stencil.
    lines = [stencils.any(axis=3), stencils.any(axis=2)]
    first = np.stack([line.argmax(axis=2) for line in lines], axis=-1)
    last = np.stack([length - 1 - line[..., ::-1].argmax(axis=2) for line, length in zip(lines, window)], axis=-1)
    last = np.where(area[..., None] > 0, last, first)
    within = [np.arange(length) for length in window]
    mask, places = np.zeros((count, size, size), np.uint8), np.zeros((count, objects, 2), np.int64)
    rest = np.arange(count)
    while len(rest):
        corners = random.integers(-first[rest], size - last[rest])
        # Stencils may reach beyond the image where they are empty.
        tried = np.zeros((len(rest), *(size + 2 * length for length in window)), np.uint8)
        for number in range(objects):
            rows, columns = (window[axis] + corners[:, number, axis, None] + within[axis] for axis in range(2))
            place = np.arange(len(rest))[:, None, None], rows[:, :, None], columns[:, None]
            tried[place] = np.where(stencils[rest, number], number + 1, tried[place])
        tried = tried[:, window[0] : window[0] + size, window[1] : window[1] + size]
        seen = np.stack([(tried == number + 1).sum(axis=(1, 2)) for number in range(objects)], axis=1)
        enough = (seen >= visible * area[rest]).all(axis=1)
        mask[rest[enough]], places[rest[enough]] = tried[enough], corners[enough]
        rest = rest[~enough]
    return mask, places


def paint(mask, colors, background):
    """Gives each object its colour.

    Args:
        mask: `(count, height, width)` integers, 0 for the background.
        colors: `(count, objects, 3)` uint8.
        background: uint8 that can be broadcast to `(count, 3)`.

    Returns:
        `(count, height, width, 3)` uint8.
    """
    background = np.broadcast_to(np.asarray(background, np.uint8), (len(mask), 3))
    palette = np.concatenate([background[:, None], colors], axis=1)
    return palette[np.arange(len(mask))[:, None, None], mask]
