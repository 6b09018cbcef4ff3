"""Finite automata in an associative memory."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._backend.precise import largest
from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers.cdam_recall import CDAMRecall
from keras_kuramoto.layers.layer import StateLayer, exactly


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class FiniteAutomaton(StateLayer):
    """A finite automaton whose states and transitions are memories of a `CDAMRecall`: Appendix A.12.

    A memory has state neurons and label neurons, which have three quarters and one quarter of a transition's squared
    norm. The memory of a state s holds the code of s and a neutral content, that of a transition from s by the label l
    the codes of s and of l. In the memory graph a state leads to itself, and a transition to the state in which it
    ends. A step sets the label neurons to the code of a label and relaxes, with a = 0 and h = 1. If there is such a
    transition the state is now most like its memory, which recalls the end. If there is none it is most like the memory
    of s, and stays where it is.

    This holds for every state and label, whatever the codes are made from: the codes of states are orthonormal up to
    their norm, so are those of labels, and the neutral content has half the overlap with each label that this label has
    with itself. Unlike in the paper, where unknown labels are left to chance, similar states or labels can't be
    confused; and no mean pattern is subtracted, so that the state comes to rest at a memory itself.

    Args:
        graph: NetworkX `DiGraph` or `MultiDiGraph`, whose nodes are the states and whose edges have the label as an
            attribute; or a list of triples `(state, label, next state)`. Names are strings or integers.
        states: The names of the states where the graph is a list, in their order, also of those without transitions.
            By default those that occur.
        label_attribute: The name of the edges' attribute.
        state_patterns: Patterns of the states, `(states, neurons)`, from which their codes are made: the closest
            orthonormal ones. An integer is the number of neurons for random codes; by default 3 for each label neuron.
        label_patterns: Likewise for the labels, in the order of `labels`, with at least one neuron more than labels.
        num_steps: Number of steps of the memory in one step of the automaton.
        beta: β > 0. The right memory leads by 1/2 or more, the others count with less than exp(-β / 2).
        eta: η of the memory. With 1 the state goes to the next one at once. With smaller ones it may follow the
            transitions of a state that it passes through on its way.
        seed: Seed of the random codes.
        **kwargs: As for `keras.layers.Layer`.

    Attributes:
        states: Names of the states.
        labels: Names of the labels, in the order in which they first occur.
        transitions: List of triples of indices, (state, label, next state).
        recall: The `CDAMRecall`.

    Call arguments:
        state: State vectors, `(batch, neurons)`, as from `encode` or from a step.
        label: Indices in `labels`, integers `(batch,)`.

    Returns:
        The state vectors after the step, `(batch, neurons)`.

    Raises:
        ValueError: If the graph has no state or no transition, an edge has no label, a state has two transitions with
            one label, a name is unknown or neither string nor integer, a label's index does not exist, or patterns have
            the wrong shape or are linearly dependent.

    Example:

    >>> automaton = FiniteAutomaton([("Bart", "sister", "Lisa"), ("Lisa", "father", "Homer")])
    >>> state = automaton.step(automaton.encode(["Bart", "Lisa"]), "sister")
    >>> automaton.decode(state)
    ['Lisa', 'Lisa']

    Reference: Burns, Semantically-correlated memories in a dense associative model, ICML 2024, Sec. 3.4, Appendix A.12.
    """

    def __init__(
        self,
        graph,
        states=None,
        label_attribute="label",
        state_patterns=None,
        label_patterns=None,
        num_steps=3,
        beta=64.0,
        eta=1.0,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.label_attribute = label_attribute
        self.num_steps, self.beta, self.eta, self.seed = num_steps, beta, eta, check_whole("seed", seed, 0)
        self.states, self.labels, self.transitions = _read(graph, states, label_attribute)
        rng = np.random.default_rng(self.seed)
        num_states, num_labels = len(self.states), len(self.labels)
        size = max(num_labels + 1, -(-num_states // 3))
        label_patterns = size if label_patterns is None else label_patterns
        if state_patterns is None:
            width = label_patterns if isinstance(label_patterns, int) else np.shape(label_patterns)[-1]
            state_patterns = max(3 * width, num_states)
        state_codes = _codes("state_patterns", state_patterns, num_states, num_states, rng)
        label_codes = _codes("label_patterns", label_patterns, num_labels, num_labels + 1, rng)
        self.state_patterns, self.label_patterns = state_codes.shape[1], label_codes.shape[1]
        state_codes = np.sqrt(3.0) * state_codes
        # Half an overlap with each label, and besides it enough to be more like itself than like any of them.
        label_codes, own = label_codes[:-1], label_codes[-1]
        neutral = 0.5 * label_codes.sum(axis=0) + own

        starts = [state for state, _, _ in self.transitions]
        contents = [label_codes[label] for _, label, _ in self.transitions]
        memories = np.concatenate(
            [
                np.concatenate([state_codes, state_codes[starts]]),
                np.concatenate([np.tile(neutral, (num_states, 1)), np.stack(contents)]),
            ],
            axis=1,
        )
        ends = [*range(num_states), *(end for _, _, end in self.transitions)]
        self.recall = CDAMRecall(
            memories,
            (np.arange(len(memories)), np.array(ends), np.ones(len(memories))),
            a=0.0,
            h=1.0,
            beta=beta,
            eta=eta,
            num_steps=num_steps,
            mean_scale=0.0,
            dtype=self.dtype_policy,
            name="recall",
        )
        self.label_codes = self.add_weight(
            name="label_codes", shape=label_codes.shape, initializer=exactly(label_codes), trainable=False
        )
        self.build((None, memories.shape[1]), (None,))

    @property
    def num_neurons(self):
        """The size of a state vector."""
        return self.state_patterns + self.label_patterns

    def build(self, state_shape, label_shape):
        self._check_shapes(state_shape, label_shape)

    def _check_shapes(self, state, label):
        fit = len(state) == 2 and state[1] in (None, self.num_neurons) and len(label) == 1
        if not fit or (None not in (state[0], label[0]) and state[0] != label[0]):
            raise ValueError(
                f"The state must be (batch, {self.num_neurons}) and the label (batch,). "
                f"Received the shapes {tuple(state)} and {tuple(label)}."
            )

    def encode(self, names):
        """State vectors of states.

        Args:
            names: A list of names of states.

        Returns:
            `(batch, neurons)`.

        Raises:
            ValueError: If there is no such state.
        """
        index = _indices("state", names, self.states)
        return ops.take(ops.convert_to_tensor(self.recall.patterns), ops.convert_to_tensor(index), axis=0)

    def decode_index(self, state):
        """The states that state vectors are most like, as indices in `states`.

        Args:
            state: `(batch, neurons)`.

        Returns:
            Integers `(batch,)`.
        """
        overlaps = self.recall.overlaps(state)[:, : len(self.states)]
        highest = overlaps >= largest(overlaps, axis=1, keepdims=True)
        # The first of the highest ones, by integers: of floats Keras looks at the bits, which not all runtimes can.
        return ops.argmax(ops.cast(highest, "int32"), axis=-1)

    def decode(self, state):
        """The names of the states that state vectors are most like.

        Args:
            state: `(batch, neurons)`, with values: not in a compiled function.

        Returns:
            A list of names.
        """
        return [self.states[int(index)] for index in ops.convert_to_numpy(self.decode_index(state))]

    def step(self, state, label):
        """One step, with labels by their names.

        Args:
            state: `(batch, neurons)`.
            label: The name of a label, for all; or a list of names, one for each.

        Returns:
            The state vectors after the step, `(batch, neurons)`.

        Raises:
            ValueError: If there is no such label.
        """
        names = label if isinstance(label, (list, tuple)) else [label] * state.shape[0]
        return self(state, ops.convert_to_tensor(_indices("label", names, self.labels)))

    def call(self, state, label):
        self._check_shapes(state.shape, label.shape)
        if is_concrete(label) and bool(ops.any((label < 0) | (label >= len(self.labels)))):
            raise ValueError(f"A label must be an index from 0 to {len(self.labels) - 1}. Received others.")
        state = ops.cast(state, self.variable_dtype)
        content = ops.take(ops.convert_to_tensor(self.label_codes), ops.cast(label, "int32"), axis=0)
        return self.recall(ops.concatenate([state[:, : self.state_patterns], content], axis=1))

    def compute_output_spec(self, state, label):
        self._check_shapes(state.shape, label.shape)
        return keras.KerasTensor((state.shape[0], self.num_neurons), dtype=self.variable_dtype)

    def compute_output_shape(self, state_shape, label_shape):
        return tuple(state_shape)

    def argument(self, name):
        if name == "graph":
            names = self.states, self.labels, self.states
            return [[kind[index] for kind, index in zip(names, triple)] for triple in self.transitions]
        if name == "states":
            return list(self.states)
        return super().argument(name)


def _read(graph, states, label_attribute):
    """Names of the states and of the labels, and the transitions as triples of indices."""
    if hasattr(graph, "is_directed"):
        if not graph.is_directed():
            raise ValueError(f"`graph` must be directed. Received {graph!r}.")
        if states is not None:
            raise ValueError("`states` names the states of a list of transitions. Received it with a NetworkX graph.")
        states = list(graph.nodes)
        triples = [(start, label, end) for start, end, label in graph.edges(data=label_attribute)]
    else:
        triples = [tuple(triple) for triple in graph]
        if any(len(triple) != 3 for triple in triples):
            raise ValueError("Transitions must be triples (state, label, next state). Received others.")
        found = dict.fromkeys(name for start, _, end in triples for name in (start, end))
        states = list(found if states is None else states)
    labels = list(dict.fromkeys(label for _, label, _ in triples))
    for name in (*states, *labels):
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            raise ValueError(
                f"States and labels must be strings or integers, and each edge must have the attribute "
                f"{label_attribute!r} as its label. Received {name!r}."
            )
    if not triples or len(set(states)) != len(states):
        raise ValueError(
            f"There must be at least one transition, and states with different names. Received {states!r}."
        )
    transitions = [
        (*_indices("state", (start,), states), *_indices("label", (label,), labels), *_indices("state", (end,), states))
        for start, label, end in triples
    ]
    if len({(start, label) for start, label, _ in transitions}) != len(transitions):
        raise ValueError("A state must not have two transitions with the same label. Received such ones.")
    return states, labels, transitions


def _indices(kind, names, known):
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"There is no {kind} {unknown[0]!r}. The {kind}s are {', '.join(map(str, known))}.")
    return [known.index(name) for name in names]


def _codes(name, patterns, count, rows, rng):
    """Orthonormal rows: the closest to `count` patterns, and others to make `rows` of them."""
    if isinstance(patterns, int) and not isinstance(patterns, bool):
        patterns = rng.standard_normal((count, check_whole(name, patterns, rows)))
    patterns = np.asarray(patterns, "float64")
    if patterns.ndim != 2 or len(patterns) != count or patterns.shape[1] < rows or not np.isfinite(patterns).all():
        raise ValueError(
            f"`{name}` must be a finite array ({count}, neurons) with at least {rows} neurons, or a number of neurons. "
            f"Received an array of the shape {patterns.shape}."
        )
    left, singular, right = np.linalg.svd(patterns, full_matrices=False)
    if singular[-1] < 1e-6 * singular[0]:
        raise ValueError(f"The rows of `{name}` must be linearly independent. Received dependent ones.")
    codes = left @ right
    while len(codes) < rows:
        another = rng.standard_normal(codes.shape[1])
        another -= codes.T @ (codes @ another)
        codes = np.concatenate([codes, another[None] / np.linalg.norm(another)])
    return codes
