"""What a served finite automaton answers: its signatures as TensorFlow functions, and the golden cases."""

import numpy as np
import tensorflow as tf

from export.families import AUTOMATON
from export.golden import Case
from export.server import Server


class AutomatonServer(Server):
    """The functions behind the signatures of an exported `FiniteAutomaton`, which `export.families.AUTOMATON` declares.

    `serving_default` takes a step, `start` gives the vectors of states to start from. The names of the states and of
    the labels are in `export.json`, in the order of their indices. Names that are integers are written in digits.

    An answer does not depend on what else is in the batch, but an error does: one index out of range fails all of it.

    Args:
        model: A `FiniteAutomaton` on the TensorFlow backend.
        **settings: `max_batch`, and `max_value`, the largest absolute value in a state.

    Raises:
        ValueError: If Keras runs on another backend, or the automaton is in float64.
        tf.errors.InvalidArgumentError: From a signature, if there is no state, there are too many, the inputs are of
            different numbers, an index is out of range, or a value is too large, infinite or NaN.

    Example:

    >>> from keras_kuramoto.layers import FiniteAutomaton
    >>> server = AutomatonServer(FiniteAutomaton([("Bart", "sister", "Lisa"), ("Lisa", "father", "Homer")]))
    >>> bart = server.functions["start"](tf.constant([0]))["state"]
    >>> server.functions["serving_default"](bart, tf.constant([0]))["name"].numpy()
    array([b'Lisa'], dtype=object)
    """

    family = AUTOMATON

    def sizes(self):
        automaton = self.model
        return {
            "neurons": automaton.num_neurons,
            "last_state": len(automaton.states) - 1,
            "last_label": len(automaton.labels) - 1,
        }

    def facts(self):
        return {
            "states": [str(name) for name in self.model.states],
            "labels": [str(name) for name in self.model.labels],
        }

    def answers(self):
        names = [str(name) for name in self.model.states]
        automaton = self.model

        def named(state):
            return {"state": state, "name": tf.gather(tf.constant(names), automaton.decode_index(state))}

        return {
            "serving_default": lambda state, label: named(automaton(state, label)),
            "start": lambda index: named(tf.gather(automaton.recall.patterns.value, index)),
        }

    def good_cases(self):
        automaton, rng = self.model, np.random.default_rng(0)
        index = np.arange(5, dtype=np.int32) % len(automaton.states)
        label = np.arange(5, dtype=np.int32)[::-1] % len(automaton.labels)
        state = np.asarray(automaton.encode([automaton.states[place] for place in index]))
        state = (state + 0.1 * state.std() * rng.standard_normal(state.shape)).astype(np.float32)
        return [Case("serving_default", {"state": state, "label": label}), Case("start", {"index": index})]

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
