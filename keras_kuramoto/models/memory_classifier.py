"""Classifiers of images by associative memories: the image is in the first state, the answer in the last."""

import math

import keras
from keras import ops

from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.initial_state import InitialState
from keras_kuramoto.models.configured_model import ConfiguredModel, copied


class MemoryClassifier(ConfiguredModel):
    """Base class of the classifiers by recall: a functional model from images to scores, and `run` with more options.

    The units of the memory are the image's pixels, hidden ones, and one for each class. They start at the pixels'
    values and at 0; the scores are the last ones' values at `t1`, trained to be 1 for the class and -1 for the others.
    `run(image, …)` takes tensors in [0, 1] with a batch axis, one for each of `input_shapes`, and the further arguments
    of `initial_state`. It gives NaN for an example that did not reach `t1` in the solver's `max_steps`.

    A subclass has `initial_state`, the state that the memory starts from, and what `ConfiguredModel` asks for.

    Args:
        arguments: As for `ConfiguredModel`, with `image_shape`, `num_hidden` and `num_classes`.
        **kwargs: As for `ConfiguredModel`.

    Attributes:
        memory: The memory, a layer.
        input_shapes: The inputs by name, in their order: their shapes without the batch. The first is `image`.
        image_shape: `(height, width)`.
        num_hidden: Number of hidden units.
        num_classes: Number of classes.
        num_units: Number of all units.

    Raises:
        ValueError: If a size is no such number.
    """

    def __init__(self, arguments, **kwargs):
        shape = tuple(arguments["image_shape"])
        if len(shape) != 2 or any(not isinstance(size, int) or size < 1 for size in shape):
            raise ValueError(f"`image_shape` must be (height, width). Received {arguments['image_shape']!r}.")
        self.image_shape = shape
        self.num_hidden = check_whole("num_hidden", arguments["num_hidden"], 0)
        self.num_classes = check_whole("num_classes", arguments["num_classes"], 2)
        self.num_units = math.prod(shape) + self.num_hidden + self.num_classes
        super().__init__(arguments, **kwargs)
        self.input_shapes = {x.name: tuple(x.shape[1:]) for x in self.make_inputs(**arguments).values()}

    def initial_state(self, *inputs, **options):
        """The state that the memory starts from, arguments as for `run`."""
        raise NotImplementedError


def _units(image, num_units):
    """The pixels and zeros: `(batch, num_units)`."""
    pixels = ops.reshape(image, (-1, math.prod(image.shape[1:])))
    return ops.pad(pixels, [[0, 0], [0, num_units - pixels.shape[1]]])


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class HopfieldClassifier(MemoryClassifier):
    """A Hopfield memory that recalls the class of an image, Sec. 6 and F.3 of the paper.

    Args:
        memory: A `HopfieldMemory`; the model has a copy of it (same configuration, other weights).
        image_shape: `(height, width)`.
        num_hidden: Number of units that are neither pixels nor classes.
        num_classes: Number of classes.
        **kwargs: As for `keras.Model`.

    Call arguments:
        image: `(batch, height, width)` in [0, 1].

    Returns:
        Scores `(batch, num_classes)`.

    Raises:
        ValueError: If an argument is of the wrong kind.

    Example:

    >>> from keras_kuramoto.layers import SymmetricDenseConnectivity
    >>> model = HopfieldClassifier(HopfieldMemory(SymmetricDenseConnectivity()), (8, 8), num_hidden=30)
    >>> model(ops.zeros((2, 8, 8))).shape
    (2, 10)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Sec. 6, F.3.
    """

    def __init__(self, memory, image_shape=(28, 28), num_hidden=300, num_classes=10, **kwargs):
        if not isinstance(memory, HopfieldMemory):
            raise ValueError(f"`memory` must be a `HopfieldMemory`. Received {memory!r}.")
        arguments = {
            "memory": memory,
            "image_shape": image_shape,
            "num_hidden": num_hidden,
            "num_classes": num_classes,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(memory, **sizes):
        return {"memory": copied(memory)}

    @staticmethod
    def make_inputs(image_shape, **others):
        return {"image": keras.Input(image_shape, name="image")}

    def initial_state(self, image):
        return _units(image, self.num_units)

    def compute_outputs(self, image):
        return self.memory(self.initial_state(image))[:, -self.num_classes :]


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class CoupledClassifier(MemoryClassifier):
    """A Hopfield memory with oscillators beside it, which change what it recalls: Sec. 6 of the paper.

    Args:
        memory: A `HopfieldKuramotoMemory`; the model has a copy of it (same configuration, other weights).
        oscillators: Layer that makes μ(0): `TrainedOscillators`; `CuedOscillators` for a model that takes a second
            image, the cue; or `GroupedOscillators` for one that takes a number. The model has a copy of it.
        image_shape: `(height, width)`, of the cue too.
        num_hidden: Number of units that are neither pixels nor classes.
        num_classes: Number of classes.
        **kwargs: As for `keras.Model`.

    Call arguments:
        image: `(batch, height, width)` in [0, 1]; for a model with another input a dictionary, such as
            `{"image": …, "cue": …}`.

    Returns:
        Scores `(batch, num_classes)`. `run` and `initial_state` take a `rotation` too, an orthogonal matrix `(D, D)` by
        which the whole μ(0) is turned.

    Raises:
        ValueError: If an argument is of the wrong kind.

    Example:

    >>> from keras_kuramoto.layers.couplings import LowRankCoupling
    >>> from keras_kuramoto.layers.dense_connectivity import SymmetricDenseConnectivity
    >>> from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
    >>> from keras_kuramoto.layers.trained_oscillators import TrainedOscillators
    >>> memory = HopfieldKuramotoMemory(
    ...     HopfieldMemory(SymmetricDenseConnectivity()), KuramotoMemory("relu"), LowRankCoupling(0.01)
    ... )
    >>> model = CoupledClassifier(memory, TrainedOscillators(4), (3, 3), num_hidden=2)
    >>> model(ops.zeros((2, 3, 3))).shape
    (2, 10)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 18, F.4.
    """

    def __init__(self, memory, oscillators, image_shape=(28, 28), num_hidden=300, num_classes=10, **kwargs):
        if not isinstance(memory, HopfieldKuramotoMemory):
            raise ValueError(f"`memory` must be a `HopfieldKuramotoMemory`. Received {memory!r}.")
        if not isinstance(oscillators, InitialState):
            raise ValueError(
                "`oscillators` must be a `TrainedOscillators`, a `CuedOscillators` or a `GroupedOscillators`. "
                f"Received {oscillators!r}."
            )
        arguments = {
            "memory": memory,
            "oscillators": oscillators,
            "image_shape": image_shape,
            "num_hidden": num_hidden,
            "num_classes": num_classes,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(memory, oscillators, **sizes):
        return {"memory": copied(memory), "oscillators": copied(oscillators)}

    @staticmethod
    def make_inputs(image_shape, oscillators, **others):
        shapes = {"image": image_shape, **oscillators.inputs(image_shape)}
        return {name: keras.Input(shape, name=name) for name, shape in shapes.items()}

    def initial_state(self, image, *inputs, rotation=None):
        x = _units(image, self.num_units)
        mu = self.oscillators(x, *inputs)
        if rotation is not None:
            mu = ops.einsum("bnd,de->bne", mu, rotation)
        return x, mu

    def compute_outputs(self, image, rotation=None, **inputs):
        x, _ = self.memory(self.initial_state(image, *inputs.values(), rotation=rotation))
        return x[:, -self.num_classes :]
