"""Learning without labels: views of images are to be told apart (SimCLR)."""

import dataclasses

import tensorflow as tf
from keras import ops

from keras_kuramoto.models import ImageModel
from training.datasets.augmentations import SimCLRViews
from training.options import AdamOptions, option
from training.preset_experiment import PresetExperiment


def contrastive_loss(first, second, temperature):
    """NT-Xent, the loss of SimCLR: each view is to be told, by its cosine, which of all others is of the same image.

    Args:
        first: Projections of a view of each image of the batch, `(batch, channels)`.
        second: Projections of another view of the same images.
        temperature: τ, by which the cosines are divided.

    Returns:
        `(loss, metrics)`: the mean cross-entropy over the 2 · batch views, and a dictionary with `accuracy`, the share
        of views that are most alike to that of the same image.

    Example:

    >>> loss, metrics = contrastive_loss(tf.eye(4), tf.eye(4), 0.1)
    >>> round(float(loss), 6), float(metrics["accuracy"])
    (0.000272, 1.0)

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, Eq. 1.
    """
    views = ops.cast(ops.concatenate([first, second], axis=0), "float32")
    # The bound keeps the gradient of a zero vector finite.
    views *= ops.rsqrt(ops.maximum(ops.sum(ops.square(views), axis=-1, keepdims=True), 1e-12))
    count = len(first)
    scores = ops.matmul(views, ops.transpose(views)) / temperature
    # None is its own partner.
    scores = ops.where(ops.eye(2 * count, dtype="bool"), -1e9, scores)
    partner = (ops.arange(2 * count, dtype="int32") + count) % (2 * count)
    losses = ops.sparse_categorical_crossentropy(partner, scores, from_logits=True)
    found = ops.equal(ops.cast(ops.argmax(scores, axis=-1), "int32"), partner)
    return ops.mean(losses), {"accuracy": ops.mean(ops.cast(found, "float32"))}


@dataclasses.dataclass(frozen=True)
class ContrastiveOptions(AdamOptions):
    """Options of learning without labels, besides those of the loop and of Adam.

    Attributes:
        data: Name of the data set to train on.
        model: Name of the model's preset.
        arguments: Arguments of the model in place of the preset's, set as `arguments.name=value`.
        start: Run directory, `.keras` file or preset whose trained weights are the first ones; none if empty.
        temperature: τ of the contrastive loss.
        strength: How strongly views change the colours, see `SimCLRViews`.
        crop: The least share of the image's area that a view has.
        flip: Whether views are mirrored.
    """

    batch_size: int = option(256, least=2)
    average_momentum: float = option(0.998, least=0, below=1)
    clip_norm: float = option(0.0, least=0)
    data: str = option("tetrominoes")
    model: str = option("objects_tetrominoes_small")
    arguments: dict = option({})
    start: str = option("")
    temperature: float = option(0.1, above=0)
    strength: float = option(0.5, least=0, most=1)
    crop: float = option(0.08, above=0, most=1)
    flip: bool = option(False)


class ContrastiveExperiment(PresetExperiment):
    """Trains a model of images to tell views of one image from those of others. A subclass has images and `evaluate`.

    Args:
        options: A `ContrastiveOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Attributes:
        size: Height and width of the model's images.

    Raises:
        ValueError: If the preset or an argument of the model is unknown, or its images are not square.
    """

    whole_batch_loss = True
    models = ImageModel

    def __init__(self, options, data_dir=None):
        self.options, self.data_dir = options, data_dir
        model = self.new_model()
        self._has_energy, self._noise_shape = model.has_energy, model.noise_shape()
        height, width = model.image_size
        if height != width:
            raise ValueError(f"Views are square. The model is for images of {height} x {width}.")
        self.size = height
        self._views = SimCLRViews(height, options.strength, (options.crop, 1.0), options.flip)

    def batch(self, examples, seed):
        views = {}
        for index, name in enumerate(("first", "second")):
            apart = tf.random.experimental.stateless_fold_in(seed, index)
            views[name] = self._views(examples["image"], apart)
            if self._has_energy:
                shape = (self.options.batch_size, *self._noise_shape)
                views[f"{name}_noise"] = tf.random.stateless_normal(shape, apart + 1)
        return views, {}

    def outputs(self, model, examples, shared, training):
        def both(*suffixes):
            return [ops.concatenate([examples[f"{view}{s}"] for view in ("first", "second")]) for s in suffixes]

        projection = model.run(*both("", "_noise") if self._has_energy else both(""), training=training)
        first, second = ops.split(projection, 2)
        return {"first": first, "second": second}

    def loss(self, outputs, examples, shared):
        return contrastive_loss(outputs["first"], outputs["second"], self.options.temperature)
