"""Pre-training of image classifiers without labels, Sec. C.3 of the AKOrN paper."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_kuramoto.models import ImageClassifier
from training.datasets.images import load_images
from training.images.contrast import ContrastiveExperiment, ContrastiveOptions, contrastive_loss
from training.images.running import ImageRunner, trajectories
from training.options import option


@dataclasses.dataclass(frozen=True)
class PretrainingOptions(ContrastiveOptions):
    """Options of the pre-training, besides those of learning without labels.

    The data sets are named as `training.datasets.images.load_images` does. `arguments.num_classes` is the number of
    components that the last layer projects the features to; what is trained from such a run with `start` has a last
    layer of its own.

    Attributes:
        test_images: How many images an evaluation takes, the first ones of the test split.
        test_batch: Images that are computed at once, on all replicas.
    """

    test_images: int = option(1000, least=2, evaluation=True)
    test_batch: int = option(250, least=1, evaluation=True)


_TINY_IMAGENET = PretrainingOptions(
    data="tiny_imagenet",
    arguments={"num_classes": 128},
    flip=True,
    batch_size=512,
    # 50 epochs.
    steps=50 * (100_000 // 512) // 10 * 10,
    warmup_steps=0,
    final_learning_rate=1.0,
    evaluate_every=1000,
    checkpoint_every=500,
)
PRESETS = {
    f"{name}_pretraining": dataclasses.replace(_TINY_IMAGENET, model=name)
    for name in (
        "cifar10_akorn",
        "cifar10_akorn_n4",
        "cifar10_akorn_attention",
        "cifar10_akorn_attention_n4",
        "cifar10_resnet18",
    )
}


class PretrainingExperiment(ContrastiveExperiment):
    """Trains a classifier's blocks by telling views of one image from those of others.

    Args:
        options: A `PretrainingOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: As for `ContrastiveExperiment`, or if the data set is unknown or not of colour images.
    """

    models = ImageClassifier

    def __init__(self, options, data_dir=None):
        super().__init__(options, data_dir)
        self.test = self.images("test")[: options.test_images]

    def images(self, split):
        """The images of a split, uint8 `(count, height, width, 3)`."""
        images = load_images(self.options.data, split, self.data_dir).image
        if images.shape[-1] != 3:
            raise ValueError(f"'{self.options.data}' must have colour images. It has {images.shape[-1]} channels.")
        return images

    def examples(self):
        return {"image": self.images("train")}

    def check_model(self, model):
        if not isinstance(model, ImageClassifier):
            raise ValueError(f"A {type(model).__name__} is no classifier of images, which this experiment trains.")

    def trajectories(self, model):
        return trajectories(model, self.test, self.options.seed)

    def evaluate(self, model, strategy):
        """The contrastive loss of two views of each test image, and the share of views that are told apart."""
        options = self.options
        runner = ImageRunner(model.run, model, strategy, options.test_batch, options.seed)
        first, second = (
            runner(self._views(self.test, tf.constant([options.seed, draw], tf.int64)).numpy(), draw)
            for draw in range(2)
        )
        loss, metrics = contrastive_loss(np.asarray(first), np.asarray(second), options.temperature)
        return {"loss": float(loss), "accuracy": float(metrics["accuracy"])}
