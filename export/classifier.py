"""What a served classifier of images answers: its signature as a TensorFlow function, and the golden cases."""

import numpy as np
import tensorflow as tf

from export.golden import Case
from export.server import Server, asserted, not_empty


class ClassifierServer(Server):
    """The function behind the signature of an exported classifier.

    `serving_default` takes `image`, `(batch, height, width)` float32 in [0, 1]. An associative model takes a second
    image for each, `cue`, which says what to do with the first; a model with two computations takes `alignment`,
    `(batch,)` in [0, 1], which chooses one. It answers with

    - `scores`, `(batch, classes)` float32: about 1 for the class, and -1 for the others;
    - `label`, `(batch,)` int32: the class with the highest score.

    An answer does not depend on what else is in the batch, but an error does: one value out of range fails all of it.

    Args:
        model: A `MemoryClassifier` on the TensorFlow backend. Layers with a mixed precision policy are changed to
            float32.

    Raises:
        ValueError: If Keras runs on another backend.
        tf.errors.InvalidArgumentError: From the signature, if there is no image, the inputs are of different numbers,
            or a value is out of range or NaN.

    Example:

    >>> from keras_kuramoto.layers import HopfieldMemory, SymmetricDenseConnectivity
    >>> from keras_kuramoto.models import HopfieldClassifier
    >>> memory = HopfieldMemory(SymmetricDenseConnectivity())
    >>> model = HopfieldClassifier(memory, (8, 8), num_hidden=16)
    >>> ClassifierServer(model).functions["serving_default"](tf.zeros((1, 8, 8)))["scores"].shape
    TensorShape([1, 10])
    """

    kind = "classifier"

    def __init__(self, model):
        super().__init__(model)
        self._shapes = {name: list(shape) for name, shape in model.input_shapes.items()}
        self._run = model.run
        specs = [tf.TensorSpec((None, *shape), tf.float32, name=name) for name, shape in self._shapes.items()]
        self.functions = {
            "serving_default": tf.function(self._default, input_signature=specs, autograph=False),
        }

    def description(self):
        return {"inputs": dict(self._shapes), "classes": self.model.num_classes}

    def sample_cases(self):
        rng = np.random.default_rng(0)
        inputs = {name: _sample(rng, 5, shape) for name, shape in self._shapes.items()}
        # An adaptive solver may choose other steps after another order of summation.
        cases = [Case("serving_default", inputs, tolerance=1e-3)]
        for name in self._shapes:
            for fault, value in (("out of range", 1.5), ("that is NaN", np.nan)):
                wrong = {name: array[:1].copy() for name, array in inputs.items()}
                wrong[name].flat[-1] = value
                error = f"`{name}` must be from 0 to 1"
                cases.append(Case("serving_default", wrong, fault=f"{name} {fault}", error=error))
        return cases

    def keras_answers(self, case):
        # Eagerly, one image after the other.
        scores = [
            np.asarray(self.model.run(*[case.inputs[name][index : index + 1] for name in self._shapes]))[0]
            for index in range(case.size)
        ]
        scores = np.stack(scores).astype(np.float32)
        return {"scores": scores, "label": scores.argmax(-1).astype(np.int32)}

    def _default(self, *inputs):
        checked = []
        for name, value in zip(self._shapes, inputs):
            value = not_empty(value, f"`{name}` must hold at least one example. Its shape:")
            text = f"The values of `{name}` must be from 0 to 1. They are, lowest and highest:"
            checked.append(asserted(value, 0.0, 1.0, text))
        scores = tf.cast(self._run(*checked), tf.float32)
        return {"scores": scores, "label": tf.argmax(scores, axis=-1, output_type=tf.int32)}


def _sample(rng, number, shape):
    """Numbers from 0 to 1, or images of strokes that are about as dark as digits."""
    if not shape:
        return np.linspace(0.05, 0.95, number, dtype=np.float32)
    height, width = shape
    row, column = np.mgrid[:height, :width]
    images = []
    for _ in range(number):
        (r0, r1), (c0, c1) = rng.uniform(0.2, 0.8, 2) * height, rng.uniform(0.2, 0.8, 2) * width
        along = np.linspace(0, 1, 50)[:, None, None]
        distance = np.hypot(row - r0 - along * (r1 - r0), column - c0 - along * (c1 - c0)).min(0)
        images.append(np.clip(height / 8 - distance + 0.5, 0, 1))
    return np.stack(images).astype(np.float32)
