"""What a served finite automaton answers: its signatures as TensorFlow functions, and the golden cases."""

import numpy as np
import tensorflow as tf

from export.golden import Case
from export.server import Server, asserted, finite, not_empty, one_for_each


class AutomatonServer(Server):
    """The functions behind the signatures of an exported `FiniteAutomaton`.

    | signature         | inputs                                                                          |
    | ----------------- | ------------------------------------------------------------------------------- |
    | `serving_default` | `state` `(batch, neurons)` float32, `label` `(batch,)` int32, indices of labels |
    | `start`           | `index` `(batch,)` int32, indices of states                                     |

    The first one takes a step, the second one gives the vectors of states to start from. Both answer with

    - `state`, `(batch, neurons)` float32: the state vector, which the next request takes;
    - `name`, `(batch,)` string: the name of the state that it is most like.

    The names of the states and of the labels are in `export.json`, in the order of their indices. Names that are
    integers are written in digits.

    An answer does not depend on what else is in the batch, but an error does: one index out of range fails all of it.

    Args:
        model: A `FiniteAutomaton` on the TensorFlow backend.

    Raises:
        ValueError: If Keras runs on another backend, or the automaton is in float64.
        tf.errors.InvalidArgumentError: From a signature, if there is no state, the inputs are of different numbers, an
            index is out of range, or a value is infinite or NaN.

    Example:

    >>> from keras_kuramoto.layers import FiniteAutomaton
    >>> server = AutomatonServer(FiniteAutomaton([("Bart", "sister", "Lisa"), ("Lisa", "father", "Homer")]))
    >>> bart = server.functions["start"](tf.constant([0]))["state"]
    >>> server.functions["serving_default"](bart, tf.constant([0]))["name"].numpy()
    array([b'Lisa'], dtype=object)
    """

    kind = "automaton"

    def __init__(self, model):
        super().__init__(model)
        self._step, self._index = model.__call__, model.decode_index
        self._codes = model.recall.patterns.value
        self._names = [str(name) for name in model.states]
        self._num_labels = len(model.labels)
        state = tf.TensorSpec((None, model.num_neurons), tf.float32, name="state")
        numbers = {name: tf.TensorSpec((None,), tf.int32, name=name) for name in ("label", "index")}
        self.functions = {
            "serving_default": tf.function(self._default, input_signature=[state, numbers["label"]], autograph=False),
            "start": tf.function(self._start, input_signature=[numbers["index"]], autograph=False),
        }

    def description(self):
        return {
            "states": self._names,
            "labels": [str(label) for label in self.model.labels],
            "neurons": self.model.num_neurons,
        }

    def sample_cases(self):
        automaton, rng = self.model, np.random.default_rng(0)
        count = len(automaton.states)
        index = np.arange(5, dtype=np.int32) % count
        label = np.arange(5, dtype=np.int32)[::-1] % self._num_labels
        state = np.asarray(automaton.encode([automaton.states[place] for place in index]))
        state = (state + 0.1 * state.std() * rng.standard_normal(state.shape)).astype(np.float32)
        wrong_state = state[:1].copy()
        wrong_state[0, -1] = np.nan
        cases = [Case("serving_default", {"state": state, "label": label}), Case("start", {"index": index})]
        step = {"state": state[:1], "label": label[:1]}
        for signature, inputs, name, value, error in (
            ("serving_default", {**step, "state": wrong_state}, "state", "NaN", "`state` must be finite"),
            ("serving_default", {**step, "label": np.int32([-1])}, "label", -1, "`label` must be an index from 0"),
            ("serving_default", {**step, "label": np.int32([self._num_labels])}, "label", "too large", "`label` must"),
            ("start", {"index": np.int32([count])}, "index", "too large", "`index` must be an index from 0"),
        ):
            cases.append(Case(signature, inputs, fault=f"{name} that is {value}", error=error))
        return cases

    def keras_answers(self, case):
        # Eagerly, one state after the other, by names.
        automaton, answers = self.model, []
        for place in range(case.size):
            if case.signature == "start":
                state = automaton.encode([automaton.states[case.inputs["index"][place]]])
            else:
                label = automaton.labels[case.inputs["label"][place]]
                state = automaton.step(tf.constant(case.inputs["state"][place : place + 1]), label)
            answers.append((np.asarray(state)[0], str(automaton.decode(state)[0]).encode()))
        return {"state": np.stack([state for state, _ in answers]), "name": np.array([name for _, name in answers])}

    def _default(self, state, label):
        state = finite("state", not_empty(state, "`state` must hold at least one example. Its shape:"))
        label = _checked_index("label", one_for_each("label", label, state), self._num_labels)
        return self._named(self._step(state, label))

    def _start(self, index):
        index = not_empty(index, "`index` must hold at least one example. Its shape:")
        return self._named(tf.gather(self._codes, _checked_index("index", index, len(self._names))))

    def _named(self, state):
        return {"state": state, "name": tf.gather(tf.constant(self._names), self._index(state))}


def _checked_index(name, value, count):
    text = f"`{name}` must be an index from 0 to {count - 1}. It is, lowest and highest:"
    return asserted(value, 0, count - 1, text)
