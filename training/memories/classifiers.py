"""What the experiments with classifiers of images share: data, batches, loss, accuracy."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_kuramoto.solvers import AdaptiveSolver, FixedStepSolver
from training.datasets.images import load
from training.loop import BatchRunner, Experiment, shuffled_rows
from training.optimizers import decaying_lion
from training.options import LionOptions


@dataclasses.dataclass(frozen=True)
class ClassifierOptions(LionOptions):
    """Options of the experiments with classifiers of images, besides those of the loop and of Lion.

    Attributes:
        data: Data set of grey images: `"digits8"`, `"mnist"`, or one made by `python -m training prepare-idx`.
        solver: Arguments of the `AdaptiveSolver` in place of its own, set as `solver.name=value`; with `num_steps` they
            are those of a `FixedStepSolver`.
        test_images: How many images of a split an evaluation takes, at most.
        test_batch: Images that are evaluated at once.
    """

    data: str = "digits8"
    solver: dict = dataclasses.field(default_factory=dict)
    test_images: int = 10_000
    test_batch: int = 500

    def __post_init__(self):
        super().__post_init__()
        for name in ("test_images", "test_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received {getattr(self, name)}.")


class ClassifierExperiment(Experiment):
    """Trains a `MemoryClassifier` by the squared distance of its scores to 1 for the class and -1 for the others.

    The loss is the sum of the squares over the classes, in the mean over the examples. The optimizer is Lion.

    Args:
        options: A `ClassifierOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: If the data set or an argument of the solver is unknown, or a batch is larger than the data set.
    """

    def __init__(self, options, data_dir=None):
        self.options = options
        self.train = load(options.data, "train", data_dir)
        self.test = load(options.data, "test", data_dir)
        if options.batch_size > len(self.train.label):
            raise ValueError(
                f"`batch_size` must be at most the {len(self.train.label)} training images. "
                f"Received {options.batch_size}."
            )
        self._runners = {}

    def build_optimizer(self):
        return decaying_lion(self.options)

    def solver(self):
        """A new solver, as the options have it."""
        kind = FixedStepSolver if "num_steps" in self.options.solver else AdaptiveSolver
        try:
            return kind(**self.options.solver)
        except TypeError as error:
            raise ValueError(f"The solver does not take these arguments: {error}.") from None

    def example(self, image, label, seed):
        """`(inputs, labels, shared)` of a batch: what goes into the model by name, what comes out, and other tensors.

        Args:
            image: `(batch, height, width)`.
            label: `(batch,)`, as in the data set.
            seed: Two integers, other ones for each batch.
        """
        del seed
        return {"image": image}, label, {}

    def scores(self, model, inputs, shared):
        """The model's scores for inputs of `example`."""
        del shared
        return model.run(*[inputs[name] for name in model.input_shapes])

    def batches(self, start):
        options = self.options
        images, labels = tf.constant(self.train.image), tf.constant(self.train.label)

        def batch(step):
            rows = shuffled_rows(step, len(self.train.label), options)
            seed = tf.stack([tf.constant(options.seed, tf.int64), step])
            inputs, label, shared = self.example(tf.gather(images, rows), tf.gather(labels, rows), seed)
            return {**inputs, "label": label}, shared

        numbers = tf.data.Dataset.counter(start=start, dtype=tf.int64)
        return numbers.map(batch, num_parallel_calls=1).prefetch(2)

    def loss(self, model, examples, shared):
        label = examples["label"]
        scores = self.scores(model, examples, shared)
        wanted = 2.0 * tf.one_hot(label, scores.shape[-1]) - 1.0
        right = tf.argmax(scores, axis=-1, output_type=tf.int32) == label
        losses = tf.reduce_sum(tf.square(scores - wanted), axis=-1)
        return tf.reduce_mean(losses), {"accuracy": tf.reduce_mean(tf.cast(right, tf.float32))}

    def predict(self, model, strategy, *inputs):
        """The classes that a model finds, -1 where it has no answer: `(count,)`.

        Args:
            model: A `MemoryClassifier`.
            strategy: The `tf.distribute.Strategy`.
            *inputs: Arrays with `count` examples, one for each of the model's `input_shapes`.
        """
        size = min(self.options.test_batch, len(inputs[0]))
        # Kept from one evaluation to the next: compiling takes longer than answering.
        if (id(model), size) not in self._runners:

            def answer(*inputs):
                scores = model.run(*inputs)
                known = tf.reduce_all(tf.math.is_finite(scores), axis=-1)
                return {"label": tf.where(known, tf.argmax(scores, axis=-1, output_type=tf.int32), -1)}

            self._runners[id(model), size] = BatchRunner(strategy, answer, size)
        return self._runners[id(model), size](list(inputs))["label"]


def share(right):
    """The share of true entries, as a Python float."""
    return float(np.mean(right))
