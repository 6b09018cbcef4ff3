"""Scenes from a seed, that are either on the train side or on the test side."""

import hashlib

import numpy as np
import tqdm

_CHUNK = 512
_SIDES = ("train", "test")
# One image in so many is on the test side.
_SHARE = 8


def generate_scenes(draw, count, side="train", seed=0, progress=True):
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

    Yields:
        Pairs of an image and its mask.

    Example:

    >>> from training.datasets.objects.tetrominoes import draw_tetrominoes
    >>> image, mask = next(generate_scenes(draw_tetrominoes, 10, progress=False))
    >>> image.shape, mask.shape
    ((35, 35, 3), (35, 35))
    """
    seen, chunk = set(), 0
    with tqdm.tqdm(total=count, desc="Scenes", unit=" scenes", disable=not progress, leave=False) as bar:
        while len(seen) < count:
            random = np.random.default_rng(np.random.SeedSequence([seed, _SIDES.index(side), chunk]))
            for image, mask in zip(*draw(random, _CHUNK)):
                code = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
                held_out = int.from_bytes(code, "little") % _SHARE == 0
                if held_out == (side == "test") and code not in seen:
                    seen.add(code)
                    yield image, mask
                    if len(seen) == count:
                        break
            bar.update(len(seen) - bar.n)
            chunk += 1
