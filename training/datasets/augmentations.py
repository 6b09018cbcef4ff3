"""Random changes of batches of images, in TensorFlow, for `tf.data` pipelines.

All are stateless: the same seed gives the same result. Each image of a batch gets draws of its own.

Keras' preprocessing layers draw from a generator that they own, and some of them one change for a whole batch. Where
what a layer does with its draws is what is needed, it is done by that layer, with draws made here.
"""

import keras
import tensorflow as tf

# What the brightness of a pixel has of red, green and blue (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)
_TRIES = 10


class SimCLRViews:
    """Random views of images for contrastive learning: resized crops with other colours.

    A `RandomResizedCrop`, and with probability 0.8 a `ColorJitter` whose factors differ from 1 by at most 0.8
    `strength`, and which turns the hue by at most 0.2 `strength`; afterwards every fifth view is made grey. With the
    paper's strength of 0.5, these are 0.4 and 0.1.

    Args:
        size: Height and width of the views.
        strength: How strong the changes of colours are, 0 to 1.
        scale: Least and largest share of an image's area that a crop has.
        flip: Whether every second view is mirrored, left to right.

    Raises:
        ValueError: If an argument is out of range; on call, if the images or the seed have another shape.

    Example:

    >>> views = SimCLRViews(32)
    >>> images = tf.zeros((8, 32, 32, 3), tf.uint8)
    >>> seed = tf.constant([0, 1], tf.int64)
    >>> first, second = (views(images, one) for one in tf.unstack(tf.random.split(seed, 2)))
    >>> first.shape, first.dtype
    (TensorShape([8, 32, 32, 3]), tf.float32)

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, Appendix
    A; Miyato et al., Artificial Kuramoto Oscillatory Neurons, ICLR 2025, C.1.
    """

    def __init__(self, size, strength=0.5, scale=(0.08, 1.0), flip=False):
        if not 0 <= strength <= 1:
            raise ValueError(f"`strength` must be between 0 and 1. Received {strength}.")
        self._crop = RandomResizedCrop(size, scale, flip)
        self._jitter = ColorJitter(0.8 * strength, 0.2 * strength, apply=0.8, grey=0.2)

    def __call__(self, images, seed):
        """Makes a view of each image.

        Args:
            images: `(batch, height, width, 3)` uint8.
            seed: Two integers, such as a tensor of shape `(2,)`.

        Returns:
            `(batch, size, size, 3)` float32 in [0, 1].
        """
        crop, jitter = _split(seed, 2)
        return self._jitter(self._crop(images, crop), jitter)


class RandomResizedCrop:
    """Random crops, resized bilinearly.

    The area of a crop is drawn uniformly, and so is the logarithm of the ratio of its sides, between those of 3/4 and
    4/3; then its place among all whole pixels. Where none of ten draws fits into the image, the crop is the whole
    image. Where a crop has more pixels than the result, they are averaged.

    Args:
        size: Height and width of the crops.
        scale: Least and largest share of an image's area that a crop has.
        flip: Whether every second crop is mirrored, left to right.

    Raises:
        ValueError: If an argument is out of range; on call, if the images or the seed have another shape.

    Example:

    >>> RandomResizedCrop(32, scale=(0.2, 1.0))(tf.zeros((8, 64, 48, 3), tf.uint8), (0, 1)).shape
    TensorShape([8, 32, 32, 3])
    """

    def __init__(self, size, scale=(0.08, 1.0), flip=False):
        if size < 1:
            raise ValueError(f"`size` must be at least 1. Received {size}.")
        if not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
            raise ValueError(f"`scale` must be two shares between 0 and 1, the lesser first. Received {scale}.")
        self.size, self.scale, self.flip = size, scale, flip

    def __call__(self, images, seed):
        """Crops each image.

        Args:
            images: `(batch, height, width, channels)` uint8.
            seed: Two integers, such as a tensor of shape `(2,)`.

        Returns:
            `(batch, size, size, channels)` float32 in [0, 1].
        """
        images = tf.convert_to_tensor(images)
        if images.dtype != tf.uint8 or images.shape.rank != 4:
            raise ValueError(
                "The images must be uint8 of shape (batch, height, width, channels). Received "
                f"{images.dtype.name} of shape {images.shape}."
            )
        noise = _uniform(images, seed, 2 * _TRIES + 3)
        extent = tf.cast(tf.shape(images)[1:3], tf.float32)
        area = extent[0] * extent[1] * _between(*self.scale, noise[:, :_TRIES])
        ratio = tf.exp(tf.math.log(4 / 3) * _between(-1, 1, noise[:, _TRIES : 2 * _TRIES]))
        sides = tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], axis=-1)))
        fits = tf.reduce_all((sides >= 1) & (sides <= extent), axis=-1)
        # The first that fits, or the image as a whole, which stands behind them.
        fits = tf.pad(fits, [[0, 0], [0, 1]], constant_values=True)
        sides = tf.concat([sides, tf.broadcast_to(extent, tf.stack([tf.shape(images)[0], 1, 2]))], axis=1)
        sides = tf.gather(sides, tf.argmax(tf.cast(fits, tf.int32), axis=1), batch_dims=1)
        corners = tf.floor(noise[:, -3:-1] * (extent - sides + 1))

        rows, columns = (
            _resampling(corners[:, axis, None], sides[:, axis, None], self.size, tf.shape(images)[1 + axis])
            for axis in range(2)
        )
        if self.flip:
            columns = tf.where(noise[:, -1:, None] < 0.5, columns[:, ::-1], columns)
        crops = tf.einsum("byh,bhwc->bywc", rows, tf.cast(images, tf.float32) / 255)
        crops = tf.einsum("bxw,bywc->byxc", columns, crops)
        return tf.ensure_shape(crops, (images.shape[0], self.size, self.size, images.shape[3]))


class ColorJitter:
    """Random changes of brightness, contrast, saturation and hue, in this order.

    Brightness, contrast and saturation multiply: the values, their distance from the mean brightness of the image, and
    their distance from the brightness of the pixel. Values are cut to [0, 1] after each. (Keras' layers of these names
    add, take the mean of each colour, and change the distance from the largest of a pixel's values.)

    Args:
        strength: The three factors are drawn between `1 - strength` and `1 + strength`; 0 to 1.
        hue: The hue is turned by at most this part of the colour circle, to either side; 0 to 0.5.
        apply: Probability that an image is changed in these ways.
        grey: Probability that an image is made grey afterwards.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> ColorJitter(0.4, 0.1, apply=0.8)(tf.zeros((8, 32, 32, 3)), (0, 1)).shape
    TensorShape([8, 32, 32, 3])
    """

    def __init__(self, strength, hue, apply=1.0, grey=0.0):
        for name, value, most in (("strength", strength, 1), ("hue", hue, 0.5), ("apply", apply, 1), ("grey", grey, 1)):
            if not 0 <= value <= most:
                raise ValueError(f"`{name}` must be between 0 and {most}. Received {value}.")
        self.strength, self.hue, self.apply, self.grey = strength, hue, apply, grey
        self._turn = keras.layers.RandomHue(1.0, value_range=(0, 1), dtype="float32")

    def __call__(self, images, seed):
        """Changes each image.

        Args:
            images: `(batch, height, width, 3)` float32 in [0, 1].
            seed: Two integers, such as a tensor of shape `(2,)`.

        Returns:
            `(batch, height, width, 3)` float32 in [0, 1].
        """
        noise = _uniform(images, seed, 6)[:, :, None, None, None]
        brightness, contrast, saturation = (
            _between(1 - self.strength, 1 + self.strength, noise[:, index]) for index in range(3)
        )
        changed = tf.clip_by_value(images * brightness, 0, 1)
        mean = tf.reduce_mean(_luma(changed), axis=(1, 2, 3), keepdims=True)
        changed = tf.clip_by_value(mean + contrast * (changed - mean), 0, 1)
        luma = _luma(changed)
        changed = tf.clip_by_value(luma + saturation * (changed - luma), 0, 1)
        turn = _between(-self.hue, self.hue, noise[:, 3, 0, 0, 0])
        changed = self._turn.transform_images(changed, {"factor": turn})
        images = tf.where(noise[:, 4] < self.apply, changed, images)
        return tf.where(noise[:, 5] < self.grey, _luma(images), images)


def _luma(images):
    """The brightness of each pixel, with an axis of length 1 for the channels."""
    return tf.tensordot(images, tf.constant(_LUMA), 1)[..., None]


def _between(low, high, noise):
    return low + (high - low) * noise


def _uniform(images, seed, count):
    """Numbers between 0 and 1, `(batch, count)`."""
    return tf.random.stateless_uniform((tf.shape(images)[0], count), _checked(seed))


def _split(seed, count):
    """As many seeds as are asked for, from one."""
    return tf.unstack(tf.random.split(_checked(seed), count))


def _checked(seed):
    seed = tf.convert_to_tensor(seed)
    if not (seed.shape.is_compatible_with((2,)) and seed.dtype.is_integer):
        raise ValueError(f"The seed must be two integers. Received {seed.dtype.name} of shape {seed.shape}.")
    return seed


def _resampling(start, length, size, extent):
    """Weights, `(batch, size, extent)`, with which `length` pixels from `start` on give `size` pixels.

    Linear interpolation between the centres of pixels; where pixels are lost, the mean of them under a wider triangle.
    """
    step = length / size
    centres = start + (tf.range(size, dtype=tf.float32) + 0.5) * step
    pixels = tf.cast(tf.range(extent), tf.float32) + 0.5
    weights = tf.nn.relu(1 - tf.abs(centres[:, :, None] - pixels) / tf.maximum(1.0, step)[:, :, None])
    inside = (pixels > start) & (pixels < start + length)
    weights *= tf.cast(inside, tf.float32)[:, None]
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
