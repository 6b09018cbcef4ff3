"""Random changes of batches of images, in TensorFlow, for `tf.data` pipelines.

All are stateless: the same seed gives the same result. Each image of a batch gets draws of its own.

Keras' preprocessing layers draw from a generator that they own, and some of them one change for a whole batch. Where
what a layer does with its draws is what is needed, it is done by that layer, with draws made here.
"""

import math

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
    # What becomes of a seed that is split depends on its type.
    return tf.cast(seed, tf.int64)


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


class ClassifierAugmentation:
    """Random changes of images for classifiers: mirrored, cropped, with other colours, mixed by AugMix.

    A `RandomResizedCrop` of 20 to 100 % of the area, that is mirrored in every second image; a `ColorJitter` with the
    factors 0.4 and the hue 0.1; then an `AugMix`.

    Args:
        size: Height and width of the result.
        mix: What is done last, a function of float32 images and a seed, such as another `AugMix`.

    Raises:
        ValueError: If an argument is out of range; on call, if the images or the seed have another shape.

    Example:

    >>> change = ClassifierAugmentation(32)
    >>> change(tf.zeros((8, 32, 32, 3), tf.uint8), (0, 1)).shape
    TensorShape([8, 32, 32, 3])

    Reference: Miyato et al., Artificial Kuramoto Oscillatory Neurons, ICLR 2025, C.3.
    """

    def __init__(self, size, mix=None):
        self._crop = RandomResizedCrop(size, (0.2, 1.0), flip=True)
        self._jitter = ColorJitter(0.4, 0.1)
        self._mix = mix or AugMix()

    def __call__(self, images, seed):
        """Changes each image.

        Args:
            images: `(batch, height, width, 3)` uint8.
            seed: Two integers, such as a tensor of shape `(2,)`.

        Returns:
            `(batch, size, size, 3)` float32 in [0, 1].
        """
        crop, jitter, mix = _split(seed, 3)
        return self._mix(self._jitter(self._crop(images, crop), jitter), mix)


class AugMix:
    """Mixes each image with what chains of random operations make of it.

    Each chain has 1 to `depth` operations, each one of: autocontrast, equalisation of the histogram, posterisation,
    solarisation, a rotation, a shear or a translation along an axis. The results are mixed with weights that are
    uniform on the simplex, and that mixture with the image, with a weight that is uniform between 0 and 1. What comes
    into an image from beyond its border is black. Each image has chains of its own, unlike with Keras' layer of this
    name, which also takes its operations from Python's generator. As in the paper, the operations leave out those that
    the common corruptions have, brightness, contrast, saturation and sharpness; AKOrN's code has these, too.

    Args:
        severity: Strength of the operations, above 0.1 and at most 10: at 10, rotations of up to 30 degrees, shears of
            up to 0.3, translations of up to a third of the image, 0 bits left, solarisation of all values.
        chains: Number of chains.
        depth: Largest number of operations of a chain.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> AugMix()(tf.zeros((8, 32, 32, 3)), (0, 1)).shape
    TensorShape([8, 32, 32, 3])

    Reference: Hendrycks et al., AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty, ICLR
    2020.
    """

    # The four that change colours, then the five that move pixels.
    _OPERATIONS = 9

    def __init__(self, severity=3, chains=3, depth=3):
        if not (0.1 < severity <= 10 and chains >= 1 and depth >= 1):
            raise ValueError(
                "`severity` must be above 0.1 and at most 10, `chains` and `depth` at least 1. Received "
                f"{severity}, {chains} and {depth}."
            )
        self.severity, self.chains, self.depth = severity, chains, depth
        options = {"value_range": (0, 255), "dtype": "float32"}
        self._posterize = keras.layers.RandomPosterization(8, **options)
        self._solarize = keras.layers.Solarization(**options)

    def __call__(self, images, seed):
        """Mixes each image.

        Args:
            images: `(batch, height, width, 3)` float32 in [0, 1].
            seed: Two integers, such as a tensor of shape `(2,)`.

        Returns:
            `(batch, height, width, 3)` float32 in [0, 1].
        """
        chains, depth = self.chains, self.depth
        shape = tf.shape(images)
        noise = _uniform(images, seed, chains * (3 * depth + 2) + 1)
        images = 255 * images
        # All chains at once: the first axis has the images of the first chain, then those of the second, …
        draws = tf.transpose(tf.reshape(noise[:, :-1], (-1, chains, 3 * depth + 2)), (1, 0, 2))
        draws = tf.reshape(draws, (-1, 3 * depth + 2))
        mixed = tf.tile(images, (chains, 1, 1, 1))
        length = 1 + tf.cast(depth * draws[:, -1], tf.int32)
        for step in range(depth):
            choice, level, sign = tf.unstack(draws[:, 3 * step : 3 * step + 3], axis=1)
            operation = tf.cast(self._OPERATIONS * choice, tf.int32)
            # A chain that has ended has the operation that does nothing.
            operation = tf.where(step < length, operation, self._OPERATIONS)
            mixed = self._apply(mixed, operation, _between(0.1, self.severity, level) / 10, tf.sign(sign - 0.5))
        weights = -tf.math.log(tf.maximum(tf.reshape(draws[:, -2], (chains, -1)), 1e-30))
        weights /= tf.reduce_sum(weights, axis=0)
        mixed = tf.reshape(mixed, tf.concat([[chains], shape], axis=0))
        mixed = tf.reduce_sum(mixed * weights[:, :, None, None, None], axis=0)
        mixed = images + noise[:, -1, None, None, None] * (mixed - images)
        return tf.ensure_shape(tf.clip_by_value(mixed / 255, 0, 1), images.shape)

    def _apply(self, images, operation, level, sign):
        """Applies to each image its operation, and computes no other one for it."""
        level, sign = level[:, None, None, None], sign[:, None]

        def moved(images, level, operation, sign):
            height, width = (tf.cast(extent, tf.float32) for extent in tf.unstack(tf.shape(images)[1:3]))
            level = sign * level[:, :, 0, 0]
            angle, shear = level * (math.pi / 6), 0.3 * level
            # Rounded towards zero, as are the numbers of bits and the thresholds.
            shift = tf.stack([level * width / 3, level * height / 3])
            shift = tf.sign(shift) * tf.floor(tf.abs(shift))
            none, one = tf.zeros_like(level), tf.ones_like(level)
            cosine, sine = tf.cos(angle), tf.sin(angle)
            x, y = (width - 1) / 2, (height - 1) / 2
            transforms = tf.stack(
                [
                    [cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y],
                    # From the corner, which is half a pixel from the centre of the first.
                    [one, shear, shear / 2, none, one, none],
                    [one, none, none, shear, one, shear / 2],
                    [one, none, shift[0], none, one, none],
                    [one, none, none, none, one, shift[1]],
                ]
            )
            # (operations, entries, batch, 1): to each image its own.
            transforms = tf.gather(tf.transpose(transforms[..., 0], (2, 0, 1)), operation[:, None] - 4, batch_dims=1)
            transforms = tf.pad(transforms[:, 0], [[0, 0], [0, 2]])
            return keras.ops.image.affine_transform(images, transforms, data_format="channels_last")

        operations = [
            lambda images, *_: _contrasted(images),
            lambda images, *_: _equalized(images),
            lambda images, level, *_: self._posterize.transform_images(
                # 4 bits are left and less, that is 4 are shifted out and more.
                images,
                {"shift_factor": tf.cast(4 + tf.floor(4 * level[:, 0, 0, 0]), tf.uint8)},
            ),
            lambda images, level, *_: self._solarize.transform_images(
                images, {"additions": 0.0, "thresholds": 256 - tf.floor(256 * level)}
            ),
            moved,
            lambda images, *_: images,
        ]
        kind = tf.where(operation < 4, operation, tf.where(operation < self._OPERATIONS, 4, 5))
        groups = tf.dynamic_partition(tf.range(tf.size(kind)), kind, len(operations))
        changed = [
            function(*(tf.gather(values, rows) for values in (images, level, operation, sign)))
            for function, rows in zip(operations, groups)
        ]
        return tf.dynamic_stitch(groups, changed)


class RandomSignedNoise:
    """Adds noise of one size and random sign to every value.

    The size is drawn for each image, uniformly between 0 and `most`. (AKOrN's code draws one for the whole of a
    training.) The results are cut to [0, 1].

    Args:
        most: Largest size of the noise, 0 to 1, such as 64/255.

    Raises:
        ValueError: If `most` is out of range.

    Example:

    >>> RandomSignedNoise(64 / 255)(tf.zeros((8, 32, 32, 3)), (0, 1)).shape
    TensorShape([8, 32, 32, 3])

    Reference: Miyato et al., Artificial Kuramoto Oscillatory Neurons, ICLR 2025, Figure 8.
    """

    def __init__(self, most):
        if not 0 <= most <= 1:
            raise ValueError(f"`most` must be between 0 and 1. Received {most}.")
        self.most = most

    def __call__(self, images, seed):
        """Adds noise to each image.

        Args:
            images: `(batch, height, width, channels)` float32 in [0, 1].
            seed: Two integers, such as a tensor of shape `(2,)`.

        Returns:
            What `images` are, with noise.
        """
        size, signs = _split(seed, 2)
        size = self.most * _uniform(images, size, 1)[:, :, None, None]
        bits = tf.random.stateless_uniform(tf.shape(images), signs)
        return tf.clip_by_value(images + tf.where(bits < 0.5, -size, size), 0, 1)


def _contrasted(images):
    """Images whose values, 0 to 255, reach from end to end in each channel. (Keras' layer can't have no images.)"""
    low, high = (extreme(images, axis=(1, 2), keepdims=True) for extreme in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, 255 * tf.math.divide_no_nan(images - low, high - low), images)


def _equalized(images):
    """Images whose values, 0 to 255, are spread evenly in each channel. (Keras' layer does it for a whole batch.)"""
    count, height, width, channels = tf.unstack(tf.shape(images))
    values = tf.cast(tf.reshape(tf.transpose(images, (0, 3, 1, 2)), (-1, height * width)), tf.int32)
    histogram = tf.math.bincount(values, minlength=256, maxlength=256, axis=-1)
    # Of the brightest value that occurs there are so many, which don't count.
    last = tf.reduce_max(tf.where(histogram > 0, tf.range(256), 0), axis=-1, keepdims=True)
    step = (height * width - tf.gather(histogram, last, batch_dims=1)) // 255
    table = (step // 2 + tf.cumsum(histogram, axis=-1, exclusive=True)) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(256))
    values = tf.gather(table, values, batch_dims=1)
    values = tf.transpose(tf.reshape(values, tf.stack([count, channels, height, width])), (0, 2, 3, 1))
    return tf.cast(values, tf.float32)
