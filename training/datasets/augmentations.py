"""Random changes of batches of images, in TensorFlow, for `tf.data` pipelines.

All are stateless: the same seed gives the same result. Each image of a batch gets draws of its own.
"""

import tensorflow as tf

# What a grey image has of red, green and blue (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)
_TRIES = 10


class SimCLRViews:
    """Random views of images for contrastive learning: resized crops with other colours.

    Of an image a crop is taken that has `crop_scale` of its area and a ratio of its sides of 3/4 to 4/3 (the logarithm
    drawn uniformly), and is resized bilinearly. Then, with probability 0.8, brightness, contrast and saturation are
    multiplied by 1 ± 0.8 `strength`, and the hue is turned by ± 0.2 `strength` of the colour circle; with probability
    0.2 the image becomes grey. With the paper's strength of 0.5 these are 0.4 and 0.1. `color_jitter`
    has the details.

    Args:
        size: Height and width of the views.
        strength: How strong the changes of colours are, 0 to 1.
        crop_scale: Least and largest share of the image's area that a crop has.
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

    def __init__(self, size, strength=0.5, crop_scale=(0.08, 1.0), flip=False):
        if size < 1:
            raise ValueError(f"`size` must be at least 1. Received {size}.")
        if not 0 <= strength <= 1:
            raise ValueError(f"`strength` must be between 0 and 1. Received {strength}.")
        _check_scale(crop_scale)
        self.size, self.strength, self.crop_scale, self.flip = size, strength, crop_scale, flip

    def __call__(self, images, seed):
        """Makes a view of each image.

        Args:
            images: `(batch, height, width, 3)` uint8.
            seed: Two integers, such as a tensor of shape `(2,)`.

        Returns:
            `(batch, size, size, 3)` float32 in [0, 1].
        """
        images, seed = _check(images, seed)
        crop_seed, color_seed = tf.unstack(tf.random.split(seed, 2))
        images = random_resized_crop(images, crop_seed, self.size, self.crop_scale, self.flip)
        return color_jitter(images, color_seed, 0.8 * self.strength, 0.2 * self.strength, apply=0.8, grey=0.2)


def random_resized_crop(images, seed, size, scale=(0.08, 1.0), flip=False):
    """Random crops, resized bilinearly.

    The crop has whole pixels. Where none of ten draws fits into the image, the image as a whole is taken.

    Args:
        images: `(batch, height, width, channels)` uint8.
        seed: Two integers, such as a tensor of shape `(2,)`.
        size: Height and width of the result.
        scale: Least and largest share of the image's area that a crop has.
        flip: Whether every second crop is mirrored, left to right.

    Returns:
        `(batch, size, size, channels)` float32 in [0, 1].

    Raises:
        ValueError: If an argument is out of range or has another shape.
    """
    images, seed = _check(images, seed)
    _check_scale(scale)
    batch = tf.shape(images)[0]
    extent = tf.cast(tf.shape(images)[1:3], tf.float32)
    noise = tf.random.stateless_uniform((batch, 2 * _TRIES + 3), seed)
    area = extent[0] * extent[1] * (scale[0] + (scale[1] - scale[0]) * noise[:, :_TRIES])
    ratio = tf.exp(tf.math.log(4 / 3) * (2 * noise[:, _TRIES : 2 * _TRIES] - 1))
    sides = tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], axis=-1)))
    fits = tf.reduce_all((sides >= 1) & (sides <= extent), axis=-1)
    # The first that fits; the last place is for the whole image, which always does.
    fits = tf.pad(fits, [[0, 0], [0, 1]], constant_values=True)
    sides = tf.concat([sides, tf.broadcast_to(extent, (batch, 1, 2))], axis=1)
    sides = tf.gather(sides, tf.argmax(tf.cast(fits, tf.int32), axis=1), batch_dims=1)
    corner = tf.floor(noise[:, -3:-1] * (extent - sides + 1))
    # Centres of the first and the last pixel of the result, in pixels of the image whose border is repeated once, and
    # from there in the fractions that `crop_and_resize` asks for.
    step = sides / size
    first = (corner + step / 2 + 0.5) / (extent + 1)
    last = (corner + sides - step / 2 + 0.5) / (extent + 1)
    if size == 1:
        # Of a single pixel it takes the middle.
        first = last = (first + last) / 2
    if flip:
        mirrored = noise[:, -1:] < 0.5
        left = tf.where(mirrored, last[:, 1:], first[:, 1:])
        last = tf.concat([last[:, :1], tf.where(mirrored, first[:, 1:], last[:, 1:])], axis=1)
        first = tf.concat([first[:, :1], left], axis=1)
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    crops = tf.image.crop_and_resize(padded, tf.concat([first, last], axis=1), tf.range(batch), (size, size))
    return tf.ensure_shape(crops / 255, (images.shape[0], size, size, images.shape[3]))


def color_jitter(images, seed, strength, hue, apply=1.0, grey=0.0):
    """Random changes of brightness, contrast, saturation and hue, in this order.

    Brightness, contrast and saturation multiply: the values, their distance from the mean brightness of the image, and
    their distance from the brightness of the pixel. The values are cut to [0, 1] after each.

    Args:
        images: `(batch, height, width, 3)` float32 in [0, 1].
        seed: Two integers, such as a tensor of shape `(2,)`.
        strength: The three factors are drawn between `1 - strength` and `1 + strength`, and are not below 0.
        hue: The hue is turned by at most this part of the colour circle, to either side, at most 0.5.
        apply: Probability that an image is changed in these ways.
        grey: Probability that an image is made grey afterwards.

    Returns:
        `(batch, height, width, 3)` float32 in [0, 1].
    """
    noise = tf.random.stateless_uniform((tf.shape(images)[0], 6), seed)[:, :, None, None, None]
    low, high = max(0.0, 1 - strength), 1 + strength
    brightness, contrast, saturation = (low + (high - low) * noise[:, index] for index in range(3))

    changed = tf.clip_by_value(images * brightness, 0, 1)
    mean = tf.reduce_mean(_brightness(changed), axis=(1, 2, 3), keepdims=True)
    changed = tf.clip_by_value(mean + contrast * (changed - mean), 0, 1)
    level = _brightness(changed)
    changed = tf.clip_by_value(level + saturation * (changed - level), 0, 1)
    turned, saturated, value = tf.split(tf.image.rgb_to_hsv(changed), 3, axis=-1)
    turned = (turned + hue * (2 * noise[:, 3] - 1)) % 1.0
    changed = tf.image.hsv_to_rgb(tf.concat([turned, saturated, value], axis=-1))

    images = tf.where(noise[:, 4] < apply, changed, images)
    return tf.where(noise[:, 5] < grey, _brightness(images), images)


def _brightness(images):
    return tf.reduce_sum(images * _LUMA, axis=-1, keepdims=True)


def _check_scale(scale):
    if not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
        raise ValueError(f"The least and largest share of a crop must be between 0 and 1, in order. Received {scale}.")


def _check(images, seed):
    images, seed = tf.convert_to_tensor(images), tf.convert_to_tensor(seed)
    if images.dtype != tf.uint8 or images.shape.rank != 4:
        raise ValueError(
            f"The images must be uint8 of shape (batch, height, width, channels). Received {images.dtype.name} "
            f"of shape {images.shape}."
        )
    if not seed.shape.is_compatible_with((2,)):
        raise ValueError(f"The seed must hold two integers. Received shape {seed.shape}.")
    return images, seed
