"""What a served associative memory answers: its signatures as TensorFlow functions, and the golden cases."""

import numpy as np
import tensorflow as tf

from export.golden import Case
from export.server import Server, finite, not_empty, one_for_each


class RecallServer(Server):
    """The functions behind the signatures of an exported `CDAMRecall`.

    | signature         | inputs                                                        |
    | ----------------- | ------------------------------------------------------------- |
    | `serving_default` | `state` `(batch, n)` float32                                  |
    | `recall`          | `state`, `a` and `h`, `(batch,)` float32, one for each example |

    The first one recalls with the layer's own a and h. Both take as many steps as the layer does by itself, and answer
    with

    - `state`, `(batch, n)` float32: the state after the last step;
    - `pattern`, `(batch,)` int32: the row of the pattern that it is most like (see `CDAMRecall.closest`);
    - `correlation`, `(batch,)` float32: Pearson's correlation with this pattern.

    A memory without a graph has no hetero-association: its `recall` takes no `h`.

    An answer does not depend on what else is in the batch, but an error does: one value that is not finite fails all of
    it.

    Args:
        model: A `CDAMRecall` on the TensorFlow backend.

    Raises:
        ValueError: If Keras runs on another backend, or the memory is in float64.
        tf.errors.InvalidArgumentError: From a signature, if there is no state, the inputs are of different numbers, or
            a value is infinite or NaN.

    Example:

    >>> from keras_kuramoto.layers import CDAMRecall
    >>> server = RecallServer(CDAMRecall(np.eye(3), beta=20.0))
    >>> server.functions["serving_default"](tf.constant([[0.1, 0.9, 0.0]]))["pattern"].numpy()
    array([1], dtype=int32)
    """

    kind = "recall"

    def __init__(self, model):
        super().__init__(model)
        self._recall, self._closest = model.__call__, model.closest
        self._strengths = ["a"] if model.graph is None else ["a", "h"]
        state = tf.TensorSpec((None, model.num_neurons), tf.float32, name="state")
        strengths = [tf.TensorSpec((None,), tf.float32, name=name) for name in self._strengths]
        self.functions = {
            name: tf.function(self._answer, input_signature=specs, autograph=False)
            for name, specs in {"serving_default": [state], "recall": [state, *strengths]}.items()
        }

    def description(self):
        layer = self.model
        return {
            "patterns": layer.num_patterns,
            "neurons": layer.num_neurons,
            "strengths": self._strengths,
            "num_steps": layer.num_steps,
        }

    def sample_cases(self):
        layer, rng = self.model, np.random.default_rng(0)
        rows = np.linspace(0, layer.num_patterns - 1, 5).astype(int)
        # Patterns with noise of a quarter of how much they vary.
        state = tf.gather(layer.patterns.value, rows).numpy()
        state = (state + 0.25 * state.std() * rng.standard_normal(state.shape)).astype(np.float32)
        # From auto- to hetero-association, all with the sum 1.
        share = np.linspace(0, 1, 5, dtype=np.float32)
        strengths = {name: value for name, value in (("a", 1 - share), ("h", share)) if name in self._strengths}
        # Steps of recall amplify rounding.
        cases = [
            Case("serving_default", {"state": state}, tolerance=1e-3),
            Case("recall", {"state": state, **strengths}, tolerance=1e-3),
        ]
        for name in cases[1].inputs:
            for value in (np.nan, np.inf):
                wrong = {key: array[:1].copy() for key, array in cases[1].inputs.items()}
                wrong[name].flat[-1] = value
                error = f"`{name}` must be finite"
                cases.append(Case("recall", wrong, fault=f"{name} that is {value}", error=error))
        return cases

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

    def _answer(self, state, *strengths):
        state = finite("state", not_empty(state, "`state` must hold at least one example. Its shape:"))
        checked = {
            name: finite(name, one_for_each(name, value, state)) for name, value in zip(self._strengths, strengths)
        }
        state = self._recall(state, **checked)
        pattern, correlation = self._closest(state)
        return {"state": state, "pattern": pattern, "correlation": correlation}
