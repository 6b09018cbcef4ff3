"""What a served associative memory answers: its signatures as TensorFlow functions, and the golden cases."""

import numpy as np
import tensorflow as tf

from export.families import RECALL
from export.golden import Case
from export.server import Server


class RecallServer(Server):
    """The functions behind the signatures of an exported `CDAMRecall`, which `export.families.RECALL` declares.

    `serving_default` recalls with the layer's own a and h, `recall` with those given. Both take as many steps as the
    layer does by itself, and with its tolerance. The pattern is that of `CDAMRecall.closest`. A memory without a graph
    has no hetero-association: its `recall` takes no `h`.

    An answer does not depend on what else is in the batch, but an error does: one value that is not finite fails all of
    it.

    Args:
        model: A `CDAMRecall` on the TensorFlow backend.
        **settings: `max_batch`, and `max_value`, the largest absolute value in a state and of a strength.

    Raises:
        ValueError: If Keras runs on another backend, or the memory is in float64.
        tf.errors.InvalidArgumentError: From a signature, if there is no state, there are too many, the inputs are of
            different numbers, or a value is too large, infinite or NaN.

    Example:

    >>> from keras_kuramoto.layers import CDAMRecall
    >>> server = RecallServer(CDAMRecall(np.eye(3), beta=20.0))
    >>> server.functions["serving_default"](tf.constant([[0.1, 0.9, 0.0]]))["pattern"].numpy()
    array([1], dtype=int32)
    """

    family = RECALL

    def sizes(self):
        return {"neurons": self.model.num_neurons}

    def features(self):
        return set() if self.model.graph is None else {"graph"}

    def facts(self):
        return {"patterns": self.model.num_patterns, "num_steps": self.model.num_steps}

    def answers(self):
        return {"serving_default": self._answer, "recall": self._answer}

    def good_cases(self):
        layer, rng = self.model, np.random.default_rng(0)
        rows = np.linspace(0, layer.num_patterns - 1, 5).astype(int)
        # Patterns with noise of a quarter of how much they vary.
        state = tf.gather(layer.patterns.value, rows).numpy()
        state = (state + 0.25 * state.std() * rng.standard_normal(state.shape)).astype(np.float32)
        # From auto- to hetero-association, all with the sum 1.
        share = np.linspace(0, 1, 5, dtype=np.float32)
        strengths = {"a": 1 - share} if layer.graph is None else {"a": 1 - share, "h": share}
        # Steps of recall amplify rounding.
        return [
            Case("serving_default", {"state": state}, tolerance=1e-3),
            Case("recall", {"state": state, **strengths}, tolerance=1e-3),
        ]

    def keras_answers(self, case):
        # Eagerly, one state after the other, with strengths that are numbers.
        states, others = case.inputs["state"], {name: case.inputs[name] for name in case.inputs if name != "state"}
        answers = []
        for index in range(case.size):
            numbers = {name: float(values[index]) for name, values in others.items()}
            state = self.model(states[index : index + 1], **numbers)
            answers.append([np.asarray(value)[0] for value in (state, *self.model.closest(state))])
        state, pattern, correlation = (np.stack(values) for values in zip(*answers))
        return {"state": state, "pattern": pattern.astype(np.int32), "correlation": correlation}

    def _answer(self, state, **strengths):
        state = self.model(state, **strengths)
        pattern, correlation = self.model.closest(state)
        return {"state": state, "pattern": pattern, "correlation": correlation}
