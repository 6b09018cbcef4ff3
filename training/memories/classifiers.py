"""What the experiments with classifiers of images share: data, batches, loss, accuracy."""

import dataclasses
import inspect

import numpy as np
import tensorflow as tf
from keras import ops

from keras_kuramoto.solvers import AdaptiveSolver, FixedStepSolver
from training.batch_runner import BatchRunner
from training.datasets.images import load
from training.experiment import Experiment
from training.optimizers import decaying_lion
from training.options import LionOptions, option, unknown

SOLVERS = {"adaptive": AdaptiveSolver, "fixed_step": FixedStepSolver}
# Images that figures show.
_DRAWN = 20


@dataclasses.dataclass(frozen=True)
class ClassifierOptions(LionOptions):
    """Options of the experiments with classifiers of images, besides those of the loop and of Lion.

    Attributes:
        data: Data set of grey images: `"digits8"`, `"mnist"`, or one made by `python -m training prepare-idx`.
        solver: The solver: its `name`, `"adaptive"` or `"fixed_step"`, and arguments in place of its own.
        test_images: How many images of a split an evaluation takes, at most.
        test_batch: Images that are evaluated at once.
    """

    data: str = option("digits8")
    solver: dict = option({"name": "adaptive"})
    test_images: int = option(10_000, least=1, evaluation=True)
    test_batch: int = option(500, least=1, evaluation=True)

    def __post_init__(self):
        super().__post_init__()
        if self.solver.get("name") not in SOLVERS:
            raise ValueError(unknown("solver", self.solver.get("name"), SOLVERS))

    @classmethod
    def from_saved(cls, saved):
        solver = saved.get("solver", {})
        if "name" not in solver:
            # Until 0.2 the arguments told which one it was.
            solver = {"name": "fixed_step" if "num_steps" in solver else "adaptive", **solver}
        return super().from_saved({**saved, "solver": solver})


class ClassifierExperiment(Experiment):
    """Trains a `MemoryClassifier` by the squared distance of its scores to 1 for the class and -1 for the others.

    The loss is the sum of the squares over the classes, in the mean over the examples. The optimizer is Lion.

    Args:
        options: A `ClassifierOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: If the data set or an argument of the solver is unknown.
    """

    def __init__(self, options, data_dir=None):
        self.options = options
        self.train = load(options.data, "train", data_dir)
        self.test = load(options.data, "test", data_dir)
        self._runners = {}

    def build_optimizer(self):
        return decaying_lion(self.options)

    def solver(self):
        """A new solver, as the options have it."""
        arguments = dict(self.options.solver)
        name = arguments.pop("name")
        kind = SOLVERS[name]
        known = list(inspect.signature(kind).parameters)
        for argument in arguments:
            if argument not in known:
                raise ValueError(unknown(f"argument of the solver '{name}',", argument, known))
        return kind(**arguments)

    def examples(self):
        return {"image": self.train.image, "label": self.train.label}

    def scores(self, model, examples, shared, training):
        """The model's scores for examples of `batch`."""
        del shared
        return model.run(*[examples[name] for name in model.input_shapes], training=training)

    def outputs(self, model, examples, shared, training):
        return self.scores(model, examples, shared, training)

    def loss(self, outputs, examples, shared):
        label, scores = examples["label"], outputs
        wanted = 2.0 * ops.one_hot(label, scores.shape[-1]) - 1.0
        right = ops.equal(ops.cast(ops.argmax(scores, axis=-1), "int32"), label)
        losses = ops.sum(ops.square(scores - wanted), axis=-1)
        return ops.mean(losses), {"accuracy": ops.mean(ops.cast(right, "float32"))}

    def check_model(self, model):
        wanted = self.build_model()
        if type(model) is not type(wanted):
            raise ValueError(
                f"This experiment's model is a {type(wanted).__name__}. Received a {type(model).__name__}."
            )
        if (model.input_shapes, model.num_classes) != (wanted.input_shapes, wanted.num_classes):
            raise ValueError(
                f"The model takes {model.input_shapes} and knows {model.num_classes} classes; the data set "
                f"'{self.options.data}' and the task have {wanted.input_shapes} and {wanted.num_classes}."
            )

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

    def drawn(self, model, *more):
        """Of the images that figures show: the states at both ends, and the energies in between.

        Args:
            model: The model.
            *more: What it takes besides the test images, such as a cue for each.

        Returns:
            `(first, last, energies)`: what `model.memory` takes and gives, and an array `(examples, times)`.
        """
        first = model.initial_state(*[values[:_DRAWN] for values in (self.test.image, *more)])
        last, energies = model.memory(first, return_energy=True)
        return first, last, np.asarray(energies)


def share(right):
    """The share of true entries, as a Python float."""
    return float(np.mean(right))
