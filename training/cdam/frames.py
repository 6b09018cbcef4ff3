"""Frames of a video and other images: read from files, or generated."""

import math
import pathlib
import warnings

import numpy as np

# Of one image: more than any camera's.
_MOST_PIXELS = 1 << 26


def moving_scene(count, seed=0, height=60, width=80):
    """A short film that begins again where it ends, whose frames are much alike.

    A camera pans over a landscape and back, below a sky that stands still; three discs go their ways, and the light
    fades and comes back. Bright frames attract by their scalar products, so the film starts with its brightest.

    Args:
        count: Number of frames.
        seed: Seed of landscape and sky.
        height: In pixels.
        width: In pixels.

    Returns:
        float32 array `(count, height, width, 3)`, from 0 to 1.
    """
    rng = np.random.default_rng(seed)
    sky, land = _texture(rng, height, width, 12), _texture(rng, height, 2 * width, 8)
    y, x = np.mgrid[:height, :width]
    frames = []
    for u in 2 * np.pi * np.arange(count) / count:
        pan = width / 8 * (1 + np.sin(u))
        left, part = int(pan), pan % 1
        view = (1 - part) * land[:, left : left + width] + part * land[:, left + 1 : left + 1 + width]
        frame = 0.7 * sky + 0.3 * view
        for radius, across, down, color in (
            (0.15, 0.5 + 0.28 * np.cos(u), 0.5 + 0.27 * np.sin(u), (1.0, 0.1, 0.1)),
            (0.1, 0.5 - 0.33 * np.cos(u), 0.57 + 0.23 * np.sin(2 * u), (0.05, 0.05, 0.9)),
            (0.18, 0.5 + 0.23 * np.sin(u), 0.47 + 0.3 * np.cos(u), (0.1, 0.6, 0.1)),
        ):
            distance = np.hypot(x - across * width, y - down * height)
            share = np.clip(radius * height - distance + 0.5, 0, 1)[..., None]
            frame = (1 - share) * frame + share * np.array(color)
        frames.append(frame * (1 + 0.1 * np.cos(u)) / 1.1)
    return np.stack(frames).astype("float32")


def read_frames(path, count, every=1):
    """Reads frames of a video.

    Args:
        path: Folder of images (PNG, JPEG, BMP) in the order of their names, an animated GIF, or a video file, for which
            the package `opencv-python` must be there.
        count: How many at most.
        every: Take one of so many.

    Returns:
        float32 array `(frames, height, width, 3)`, from 0 to 1.

    Raises:
        ValueError: If there is no such file, it can't be read, or the images are not of one size.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        _check_links(path)
        names = sorted(name for name in path.iterdir() if name.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp"))
        frames = [decode_image(name)[0] for name in names[::every][:count]]
        if not frames:
            raise ValueError(f"The folder '{path}' has no images: PNG, JPEG or BMP.")
    elif not path.is_file():
        raise ValueError(f"There is no video or folder '{path}'.")
    elif path.suffix.lower() == ".gif":
        frames = list(decode_image(path)[::every][:count])
    else:
        frames = _decode_video(path, count, every)
    if len({frame.shape for frame in frames}) != 1:
        raise ValueError(f"The images in '{path}' must be of one size. Received {sorted({f.shape for f in frames})}.")
    return np.stack(frames).astype("float32") / 255


def _texture(rng, height, width, scale):
    """Smooth random colours `(height, width, 3)`."""
    grid = rng.random((height // scale + 2, width // scale + 2, 3))
    for axis, size in enumerate((height, width)):
        place = np.arange(size) / scale
        low = place.astype(int)
        part = place - low
        part = (part * part * (3 - 2 * part)).reshape([-1 if i == axis else 1 for i in range(3)])
        grid = (1 - part) * grid.take(low, axis) + part * grid.take(low + 1, axis)
    return grid


def _check_links(folder):
    """Raises a `ValueError` if an entry of a folder leads out of it."""
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"'{entry}' leads out of its folder, to '{entry.resolve()}': copy the image instead.")


def decode_image(path):
    """The images in a file.

    Args:
        path: PNG, JPEG, BMP or GIF, a `pathlib.Path`.

    Returns:
        uint8 array `(frames, height, width, 3)`, one frame but for an animation.

    Raises:
        ValueError: If it can't be read.
    """
    import tensorflow as tf

    _check_size(path)
    try:
        image = tf.io.decode_image(path.read_bytes(), channels=3, expand_animations=True).numpy()
    except (OSError, tf.errors.InvalidArgumentError) as error:
        message = getattr(error, "message", None) or str(error)
        raise ValueError(f"'{path}' can't be read as an image: {message.splitlines()[0]}.") from None
    return image if image.ndim == 4 else image[None]


def _check_size(path):
    """Raises a `ValueError` if an image's header tells of too many pixels: a small file may fill a memory."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pixels = math.prod(image.size)
    except Image.DecompressionBombError:
        pixels = math.inf
    except (OSError, ValueError, SyntaxError):
        # TensorFlow says what is wrong with it.
        return
    if pixels > _MOST_PIXELS:
        raise ValueError(f"'{path}' has more pixels than the {_MOST_PIXELS:,} that are read.")


def _decode_video(path, count, every):
    try:
        import cv2
    except ImportError:
        raise ValueError(
            f"To read the video '{path}' install opencv-python, or make a folder of its frames: "
            f"mkdir frames && ffmpeg -i {path} frames/%05d.png"
        ) from None
    video, frames, number = cv2.VideoCapture(str(path)), [], 0
    while len(frames) < count:
        there, frame = video.read()
        if not there:
            break
        if number % every == 0:
            frames.append(frame[..., ::-1])
        number += 1
    video.release()
    if not frames:
        raise ValueError(f"'{path}' can't be read as a video.")
    return frames
