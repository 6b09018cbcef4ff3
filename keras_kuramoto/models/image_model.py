"""What the models of images have in common."""

import keras
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers.kuramoto_layer import KuramotoLayer
from keras_kuramoto.models.configured_model import ConfiguredModel, copied


class ImageModel(ConfiguredModel):
    """Base class of the models of images: the inputs, and what is asked of them.

    The functional model takes `{"image": (batch, height, width, 3), "noise": (batch, *noise_shape())}`, the image in
    [0, 1]. `noise` may be `None` or left out, and the image be given alone: the initial oscillators are then drawn by
    the model. A model without oscillators takes `noise` too, and does not use it.

    Args:
        arguments: As for `ConfiguredModel`, with `image_size` (an integer, or height and width) and `channels`.
        **kwargs: As for `ConfiguredModel`.

    Attributes:
        has_energy: Whether it has oscillators, and with them initial noise and an energy.
        image_size: `(height, width)` of the images that it was made for.
        patch_size: Height and width in pixels of what becomes one position of the first block.
        channels: Number of channels of the first block.
        num_steps: The number of steps of each block where a call does not say: an integer, or a list with one for each.

    Raises:
        ValueError: If a size is no such number; from a call, for images whose size is no multiple of the patches',
            whose values are integers, or lie far outside [0, 1] (where they are known: not inside compiled functions).
    """

    has_energy = False
    patch_size = 1

    def __init__(self, arguments, **kwargs):
        self.image_size = height_and_width(arguments["image_size"])
        if "patch_size" in arguments:
            self.patch_size = check_whole("patch_size", arguments["patch_size"], 1)
        self.channels = check_whole("channels", arguments["channels"], 1)
        self.num_steps = arguments.get("num_steps", 1)
        self._check_size(self.image_size)
        super().__init__(arguments, **kwargs)
        # Not that of a functional model, which takes images of one size.
        self.input_spec = [
            keras.layers.InputSpec(shape=(None, None, None, 3), name="image"),
            keras.layers.InputSpec(ndim=4, name="noise", optional=True),
        ]

    def noise_shape(self, height=None, width=None):
        """The shape of the initial oscillators of one image.

        Args:
            height: Height of the image, by default of those that the model was made for.
            width: Its width.

        Returns:
            `(rows, columns, channels)`.

        Raises:
            ValueError: If a size is no multiple of the patches'.
        """
        height, width = (given or own for given, own in zip((height, width), self.image_size))
        self._check_size((height, width))
        return height // self.patch_size, width // self.patch_size, self.channels

    def stimuli(self, image):
        """The conditional stimuli of the first block: linear features of the image.

        Args:
            image: As for a call.

        Returns:
            `(batch, *noise_shape())`.
        """
        raise NotImplementedError

    @staticmethod
    def make_inputs(image_size, channels, patch_size=1, **arguments):
        height, width = height_and_width(image_size)
        return {
            "image": keras.Input((height, width, 3), name="image"),
            "noise": keras.Input((height // patch_size, width // patch_size, channels), optional=True, name="noise"),
        }

    def _check_size(self, sizes):
        if any(size is not None and size % self.patch_size for size in sizes):
            raise ValueError(
                f"Height and width of the images must be multiples of `patch_size` = {self.patch_size}. "
                f"Received {tuple(sizes)}."
            )

    def call(self, inputs, training=None, mask=None, options=None):
        inputs = self._structured(inputs)
        image = inputs["image"]
        self._check_size(image.shape[1:3])
        if not keras.backend.is_float_dtype(image.dtype):
            raise ValueError(
                f"An image must be floating-point numbers in [0, 1]. Received the dtype {image.dtype}: divide by 255."
            )
        if is_concrete(image) and 0 not in image.shape:
            lowest, highest = (float(ops.stop_gradient(extreme(image))) for extreme in (ops.min, ops.max))
            # Noise and augmentations may lead somewhat outside; values up to 255 or down to -1 are another convention.
            # Written so that NaN fails too.
            if not (lowest > -0.75 and highest < 1.75):
                raise ValueError(
                    f"The values of an image must lie in [0, 1]. Received some from {lowest:.4g} to {highest:.4g}."
                )
        if image.shape[0] == 0:
            # Keras' convolutions of no image would have wrong shapes on some CPUs.
            one = {name: None if value is None else ops.zeros((1, *value.shape[1:])) for name, value in inputs.items()}
            outputs = super().call(one, False, mask, options)
            return keras.tree.map_structure(lambda value: value[:0], outputs)
        return super().call(inputs, training, mask, options)


def height_and_width(image_size):
    """`(height, width)` of an integer or a pair."""
    sizes = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sizes) != 2 or any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in sizes):
        raise ValueError(f"`image_size` must be an integer or (height, width). Received {image_size!r}.")
    return sizes


def of_each_block(name, value, blocks):
    """A list with a value for each block, of one for all or of such a list; layers are copied."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * blocks
    if len(values) != blocks:
        raise ValueError(
            f"`{name}` must be one for all blocks or a list with one for each of the {blocks}. Received {len(values)}."
        )
    return [copied(value) for value in values]


def kuramoto_layers(blocks, **arguments):
    """A Kuramoto layer for each block, of arguments that are one for all blocks or a list with one for each."""
    arguments = {name: of_each_block(name, value, blocks) for name, value in arguments.items()}
    return [
        KuramotoLayer(name="kuramoto", **{name: values[index] for name, values in arguments.items()})
        for index in range(blocks)
    ]


def last_features(network, c, return_energy, **options):
    """The features of the last block of a `KuramotoNetwork`, and what `of_blocks` gives."""
    features, _, *more = network(c, return_energy=return_energy, **options)
    return features, of_blocks(more, return_energy)


def of_blocks(more, return_energy):
    """What a `KuramotoNetwork` returns besides its state, of all blocks: energies of the last one, steps taken in all.

    Args:
        more: List of up to two lists, with a tensor for each block: energies, if they were asked for, and steps taken,
            if the number of steps is an `UntilRest`.
        return_energy: Whether energies were asked for.

    Returns:
        List of up to two tensors.
    """
    energies, steps = (more[:1], more[1:]) if return_energy else ([], more)
    return [*(of_each[-1] for of_each in energies), *(sum(of_each) for of_each in steps)]


def no_energy(return_energy):
    """Raises a `ValueError` if energies are asked for, of a model that has none."""
    if return_energy:
        raise ValueError("This model has no oscillators and so no energy; `return_energy` must be False.")


def centred(image):
    """An image with values in [-1, 1] in place of [0, 1]: less the mean 0.5, over the standard deviation 0.5."""
    return 2.0 * image - 1.0


def fan_in_uniform():
    """How the weights of the authors' linear maps start: uniform on ±1 / √(number of inputs), PyTorch's default.

    For patches of few pixels and many channels Keras' own would make the stimuli several times weaker, and with them
    what drives the oscillators.
    """
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
