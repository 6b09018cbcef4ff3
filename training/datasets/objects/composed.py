"""Scenes composed of pictures that are cut out, such as stickers or 3-D emoji, over textures."""

import pathlib

import numpy as np

from training.datasets.objects.generator import generate_scenes, place_objects
from training.datasets.storing import store

_ENDINGS = (".png", ".webp")
# Pictures are kept at twice the size at which they are shown at most.
_KEPT = 2
# Longest side of an object, as a share of the image's.
_SMALLEST, _LARGEST = 0.2, 0.5
_VISIBLE = 0.4


class ComposedScenes:
    """Draws scenes of pictures, scaled, turned and laid over a texture.

    Everything is drawn uniformly: the number of objects, the pictures, the length of an object's longest side between a
    fifth and a half of the image, its angle, whether it is mirrored, and its place, wholly inside the image, as long as
    at least two fifths of each object are seen. A texture is cloud-like or striped noise between two colours, with
    finer noise in a third.

    Args:
        folders: Folders with PNG or WebP files, searched with all that is below them. Files without transparent pixels,
            or without others, are no objects, and are left out.
        size: Height and width of the images.
        objects: Least and largest number of objects.

    Raises:
        ValueError: If there is no such folder, none of its files is an object, a file can't be read, or an argument is
            out of range.

    Example:

    >>> scenes = ComposedScenes(["/usr/share/tuxpaint/stamps"], size=128)  # doctest: +SKIP
    >>> image, mask = scenes(np.random.default_rng(0), 10)  # doctest: +SKIP
    """

    def __init__(self, folders, size=128, objects=(2, 6)):
        if size < 8:
            raise ValueError(f"`size` must be at least 8. Received {size}.")
        if not 1 <= objects[0] <= objects[1] <= 255:
            raise ValueError(f"`objects` must be two numbers from 1 to 255, the lesser first. Received {objects}.")
        self.size, self.objects = size, objects
        self.pictures = read_pictures(folders, int(_KEPT * _LARGEST * size))

    def __call__(self, random, count):
        """Draws scenes.

        Args:
            random: A `numpy.random.Generator`.
            count: Number of scenes.

        Returns:
            Images, `(count, size, size, 3)` uint8, and masks, `(count, size, size)` uint8: 0 for the background, else
            the object that is uppermost of those that cover at least half of the pixel.
        """
        fewest, most = self.objects
        window = int(np.ceil(_LARGEST * self.size * np.sqrt(2))) + 2
        number = random.integers(fewest, most + 1, size=count)
        layers = np.zeros((count, most, window, window, 4), np.float32)
        for scene in range(count):
            for position in range(number[scene]):
                layer = self._object(random, window)
                top, left = ((window - length) // 2 for length in layer.shape[:2])
                layers[scene, position, top : top + len(layer), left : left + layer.shape[1]] = layer
        mask, corners = place_objects(random, layers[..., 3] >= 0.5, self.size, _VISIBLE)
        images = np.zeros((count, *(self.size + 2 * window,) * 2, 3), np.float32)
        images[:, window:-window, window:-window] = draw_textures(random, count, self.size)
        within = np.arange(window)
        for position in range(most):
            rows, columns = (window + corners[:, position, axis, None] + within for axis in range(2))
            place = np.arange(count)[:, None, None], rows[:, :, None], columns[:, None]
            color, cover = layers[:, position, ..., :3], layers[:, position, ..., 3:]
            images[place] = color + (1 - cover) * images[place]
        images = images[:, window:-window, window:-window]
        return np.round(255 * images.clip(0, 1)).astype(np.uint8), mask

    def _object(self, random, window):
        """A picture as it comes into a scene: `(height, width, 4)`, colours times opacity, and opacity."""
        from PIL import Image

        picture = self.pictures[random.integers(len(self.pictures))]
        longest = random.uniform(_SMALLEST, _LARGEST) * self.size
        angle, mirrored = random.uniform(0, 360), random.integers(2)
        scale = longest / max(picture.size)
        picture = picture.resize(
            [max(1, round(scale * length)) for length in picture.size], Image.Resampling.BILINEAR, reducing_gap=2
        )
        if mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
        # A thin line may fade when it is turned; an object has a pixel of its own at least.
        layer = np.asarray(picture, np.float32)[:window, :window] / 255
        if layer[..., 3].max() < 0.5:
            layer = layer / max(layer[..., 3].max(), 1 / 255)
        return layer


def read_pictures(folders, longest):
    """Reads the pictures of folders that are cut out.

    Args:
        folders: Folders with PNG or WebP files, searched with all that is below them.
        longest: Pictures whose longest side has more pixels are made smaller.

    Returns:
        List of images of Pillow in the mode `"RGBa"`, colours times opacity, without transparent borders. In the order
        of the names of their files.

    Raises:
        ValueError: If there is no such folder, it has no file that is cut out, or one can't be read.
    """
    from PIL import Image, UnidentifiedImageError

    files = set()
    for folder in map(pathlib.Path, folders):
        if not folder.is_dir():
            raise ValueError(f"'{folder}' is not a folder with pictures.")
        files |= {path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS and path.is_file()}
    pictures = []
    for path in sorted(files):
        try:
            with Image.open(path) as image:
                if not image.has_transparency_data:
                    continue
                picture = image.convert("RGBA")
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
            raise ValueError(f"'{path}' can't be read as a picture: {error}.") from None
        box = picture.getchannel("A").point(lambda value: 255 * (value >= 128)).getbbox()
        if box is None or picture.getextrema()[3][0] == 255:
            continue
        picture = picture.crop(box)
        # Transparent pixels have any colour, which would come in by interpolation.
        picture = picture.convert("RGBa")
        if max(picture.size) > longest:
            scale = longest / max(picture.size)
            picture = picture.resize([max(1, round(scale * length)) for length in picture.size], reducing_gap=3)
        pictures.append(picture)
    if not pictures:
        raise ValueError(
            f"There must be PNG or WebP files of objects that are cut out, with transparent pixels around them, in "
            f"{', '.join(map(str, folders))}. Of {len(files)} {' and '.join(_ENDINGS)} files none is one."
        )
    return pictures


def draw_textures(random, count, size):
    """Draws backgrounds: clouds and stripes of random colours, sizes and directions, with finer noise.

    Args:
        random: A `numpy.random.Generator`.
        count: Number of textures.
        size: Height and width.

    Returns:
        `(count, size, size, 3)` float32 in [0, 1].
    """
    # How rough the clouds are; the stripes' angle and number, and how the clouds bend them; how strong the grain is.
    low, high = np.array([[0.3, 0, 2, 0, 0], [0.9, np.pi, 12, 8, 0.5]], np.float32)[:, :, None, None, None]
    rough, angle, waves, bend, strength = low + (high - low) * random.random((5, count, 1, 1), np.float32)
    # Noise that is twice as fine each time.
    octaves = [_noise(random, count, size, cells) for cells in (2, 4, 8, 16, 32) if cells <= size]
    clouds = sum(rough**power * octave for power, octave in enumerate(octaves))
    clouds /= sum(rough**power for power in range(len(octaves)))
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    phase = 2 * np.pi * waves * (np.cos(angle) * x + np.sin(angle) * y) + 2 * bend * clouds
    striped = random.integers(2, size=(count, 1, 1)) == 1
    weight = np.where(striped, 0.5 + 0.5 * np.sin(phase), np.clip(1.5 * clouds - 0.25, 0, 1))
    colors = random.random((3, count, 1, 1, 3), np.float32)
    texture = colors[0] + weight[..., None] * (colors[1] - colors[0])
    grain = strength * random.random((count, size, size), np.float32)
    return texture + grain[..., None] * (colors[2] - texture)


def _noise(random, count, size, cells):
    """Random numbers between 0 and 1 on a grid of so many cells, with linear interpolation between them."""
    grid = random.random((count, cells + 1, cells + 1), np.float32)
    place = (np.arange(size, dtype=np.float32) + 0.5) * cells / size
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells + 1))).astype(np.float32)
    rows = (grid.reshape(-1, cells + 1) @ weights.T).reshape(count, cells + 1, size)
    return weights @ rows


def store_composed(folders, name, size=128, train=10_000, test=320, objects=(2, 6), seed=0, data_dir=None):
    """Prepares a data set of TensorFlow Datasets of composed scenes; see `ComposedScenes`.

    Args:
        folders: Folders with PNG or WebP files of objects that are cut out.
        name: Name of the data set: lower-case letters, digits and `_`.
        size: Height and width of the images.
        train: Number of scenes to train.
        test: Number of scenes to test, none of which is in the train split.
        objects: Least and largest number of objects.
        seed: Non-negative integer, from which all scenes follow.
        data_dir: Directory for prepared data sets, that of TensorFlow Datasets by default.

    Returns:
        A function without arguments that writes the data set and returns its directory. All is checked before.

    Raises:
        ValueError: If there are no pictures in the folder, a number is out of range, or the name is not allowed or
            taken.

    Example:

    >>> store_composed(["/usr/share/tuxpaint/stamps"], "stamps")()  # doctest: +SKIP
    """
    for argument, value, least in (("train", train, 1), ("test", test, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"`{argument}` must be at least {least}. Received {value}.")
    draw = ComposedScenes(folders, size, objects)
    import tensorflow_datasets as tfds

    def examples(split, count):
        # Smaller pieces than of the scenes that are drawn all at once: these need more memory.
        scenes = generate_scenes(draw, count, split, seed, chunk=32)
        return ((key, {"image": image, "mask": mask[..., None]}) for key, (image, mask) in enumerate(scenes))

    return store(
        name,
        features={
            "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            "mask": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
        },
        splits={"train": examples("train", train), "test": examples("test", test)},
        description=f"Scenes of {len(draw.pictures):,} pictures over textures: {train:,} to train, {test:,} to test.",
        data_dir=data_dir,
    )
