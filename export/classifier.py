"""What a served classifier of images answers: its signature as a TensorFlow function, and the golden cases."""

import numpy as np
import tensorflow as tf

from export.families import CLASSIFIER
from export.golden import Case
from export.server import Server


class ClassifierServer(Server):
    """The function behind the signature of an exported classifier, which `export.families.CLASSIFIER` declares.

    `serving_default` takes an `image`. An associative model takes a second image for each, `cue`, which says what to do
    with the first; a model with two computations takes `alignment`, which chooses one.

    An answer does not depend on what else is in the batch, but an error does: one value out of range fails all of it.

    Args:
        model: A `MemoryClassifier` on the TensorFlow backend. Layers with a mixed precision policy are changed to
            float32.
        **settings: `max_batch`.

    Raises:
        ValueError: If Keras runs on another backend.
        tf.errors.InvalidArgumentError: From the signature, if there is no image, there are too many, the inputs are of
            different numbers, or a value is out of range or NaN.

    Example:

    >>> from keras_kuramoto.layers import HopfieldMemory, SymmetricDenseConnectivity
    >>> from keras_kuramoto.models import HopfieldClassifier
    >>> memory = HopfieldMemory(SymmetricDenseConnectivity())
    >>> model = HopfieldClassifier(memory, (8, 8), num_hidden=16)
    >>> ClassifierServer(model).functions["serving_default"](tf.zeros((1, 8, 8)))["scores"].shape
    TensorShape([1, 10])
    """

    family = CLASSIFIER

    def sizes(self):
        height, width = self.model.image_shape
        return {"height": height, "width": width, "classes": self.model.num_classes}

    def features(self):
        return set(self.model.input_shapes) - {"image"}

    def answers(self):
        return {"serving_default": self._answer}

    def good_cases(self):
        rng = np.random.default_rng(0)
        inputs = {name: _sample(rng, 5, shape) for name, shape in self.model.input_shapes.items()}
        # An adaptive solver may choose other steps after another order of summation.
        return [Case("serving_default", inputs, tolerance=1e-3)]

    def keras_answers(self, case):
        # Eagerly, one image after the other.
        scores = [
            np.asarray(self.model.run(*[case.inputs[name][index : index + 1] for name in self.model.input_shapes]))[0]
            for index in range(case.size)
        ]
        scores = np.stack(scores).astype(np.float32)
        return {"scores": scores, "label": scores.argmax(-1).astype(np.int32)}

    def _answer(self, **inputs):
        scores = tf.cast(self.model.run(*[inputs[name] for name in self.model.input_shapes]), tf.float32)
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
