"""Memories that learn from what the network sees."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._backend.loop import bounded_loop
from keras_kuramoto._checks import check_positive
from keras_kuramoto.layers.layer import StateLayer, exactly


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SynapticMemory(StateLayer):
    """Memories that follow the states they resemble, by softmax-selected synapses: Eq. 12 to 14.

    The visible state v selects memories by their overlap with it, and those follow it, and the bias Λ, in time τ:

        τ dΞ_μ/dt = w_μ (-Ξ_μ + Λ_μ + v),    w = softmax(β Ξ v).

    The memories are a weight that no gradient trains: a call with `training=True`, as inside `fit`, changes it, as
    `keras.layers.BatchNormalization` changes its statistics; where `trainable` is `False` nothing does. They are saved
    with the other weights.

    A call is one step. All the states of a batch act on the memories as they were before the call, and the mean of the
    changes is made. So the order of the batch does not matter, and replicas of a `tf.distribute` strategy with equal
    shares of a batch learn what one device learns from the whole batch: the weight has the aggregation "mean". With one
    state in each call this is the dynamics that the author released; `learn` makes such steps with many states, one
    after another. A state that is not finite spoils the memories for good. It raises where values can be seen, which
    excludes compiled functions.

    The memories and all that is computed are float32 under a mixed precision policy.

    Args:
        memories: The number of memories N_h, or the memories to start from, `(N_h, N_v)`, as an array. Arrays are not
            part of the configuration, which holds N_h; like other weights, they are saved and loaded with the model.
        tau: τ > 0, the time scale of the memories, in units of time: a step takes `t1` of them.
        beta: β > 0: how exclusively the most similar memory is selected.
        bias: Λ: `None` for none, a number, or an array `(N_h, N_v)`. A weight that is not trained.
        memories_initializer: Initialiser of the memories where their number was given. By default normal entries with
            variance 1, which make nearly orthogonal rows of norm √N_v.
        t1: > 0, how long a state is shown.
        solver: Solver of `keras_kuramoto.solvers` that integrates Eq. 14 over this time, such as `AdaptiveSolver()`,
            for each state of a batch by itself; `None` for one Euler step, Ξ + t1 dΞ/dt, as the author does with
            t1 = 1. The memories become NaN if its `max_steps` are not enough.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        v: Visible states, `(batch, *others, N_v)`.
        training: Whether the memories learn from these states.

    Returns:
        What the memories make of each state, Ξᵀ softmax(β Ξ v), same shape as `v`: one update of the modern Hopfield
        network, or attention with the memories as keys and values. It is that of the memories before they learn.

    Raises:
        ValueError: If an argument is of the wrong kind, τ, β or t1 is not positive, the memories and the states differ
            in size, or an entry is not finite.

    Example:

    >>> layer = SynapticMemory(np.eye(4), tau=250, beta=20.0)
    >>> state = ops.convert_to_tensor([[1.0, 0.2, 0.0, 0.0]])
    >>> recalled = layer(state, training=True)
    >>> [round(float(x), 3) for x in recalled[0]]
    [1.0, 0.0, 0.0, 0.0]
    >>> [round(float(x), 4) for x in layer.memories[0]]
    [1.0, 0.0008, 0.0, 0.0]

    Reference: Lotito, Neural Learning Rules from Associative Networks Theory, 2025, Sec. 4 and Appendix B.
    """

    def __init__(
        self,
        memories,
        tau=250.0,
        beta=2.0,
        bias=None,
        memories_initializer=None,
        t1=1.0,
        solver=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.tau = check_positive("tau", tau)
        self.beta = check_positive("beta", beta)
        self.t1 = check_positive("t1", t1)
        if solver is not None and not callable(getattr(solver, "integrate", None)):
            raise ValueError(
                f"`solver` must be an `AdaptiveSolver`, a `FixedStepSolver` or `None`. Received {solver!r}."
            )
        self.solver = solver
        if memories_initializer is None:
            memories_initializer = keras.initializers.RandomNormal(stddev=1.0)
        self.memories_initializer = keras.initializers.get(memories_initializer)
        self._bias_values = None if bias is None else _finite_array("bias", bias)
        self.num_memories, self._initial_memories = count_memories(memories)
        if self._initial_memories is not None:
            # The size is known: the memories can be used before the first call.
            self.build((None, self._initial_memories.shape[1]))

    def build(self, v_shape):
        size = v_shape[-1]
        if len(v_shape) < 2 or size is None:
            raise ValueError(
                f"The states must be (batch, ..., neurons), of a known size. Received the shape {tuple(v_shape)}."
            )
        shape = (self.num_memories, size)
        self.memories = self.add_weight(
            name="memories",
            shape=shape,
            initializer=self.memories_initializer
            if self._initial_memories is None
            else exactly(self._initial_memories),
            trainable=False,
            aggregation="mean",
        )
        self._initial_memories = None
        self.synaptic_bias = None
        if self._bias_values is not None:
            if self._bias_values.shape not in ((), shape):
                raise ValueError(
                    f"`bias` must be a number or of the memories' shape {shape}. Received {self._bias_values.shape}."
                )
            self.synaptic_bias = self.add_weight(
                name="bias",
                shape=shape,
                initializer=exactly(self._bias_values),
                trainable=False,
            )

    def selection(self, v):
        """w of Eq. 13: how much each memory is selected by each state.

        Args:
            v: Visible states, `(batch, *others, N_v)`.

        Returns:
            softmax(β Ξ v), `(batch, *others, N_h)`.
        """
        return self._selection(self.memories.value, self._checked(v))

    def change(self, v):
        """dΞ/dt of Eq. 14, for the mean of the states.

        Args:
            v: Visible states, `(batch, *others, N_v)`.

        Returns:
            `(N_h, N_v)`.
        """
        return self._change(self.memories.value, self._rows(self._checked(v)))

    def learn(self, states, return_trajectory=False):
        """Shows states one after another, each for the time `t1`, to memories that learn.

        These are as many steps as there are states, on this device: not for the replicas of a strategy, which would
        each show its own states. Inside a compiled function it is one loop.

        Args:
            states: Visible states in the order in which they are shown, `(steps, N_v)`.
            return_trajectory: Whether to return the memories after each step, not only after the last one.

        Returns:
            The memories `(N_h, N_v)`, or `(steps, N_h, N_v)` with `return_trajectory=True`.

        Raises:
            ValueError: If the states are not a matrix of that size, or an entry is not finite.

        Example:

        >>> layer = SynapticMemory(np.eye(2), tau=100, beta=20.0)
        >>> layer.learn(np.tile([[2.0, 0.0]], (300, 1)), return_trajectory=True).shape
        (300, 2, 2)
        >>> [round(float(x), 2) for x in layer.memories[0]]
        [1.95, 0.0]
        """
        states = self._checked(states)
        if len(states.shape) != 2:
            raise ValueError(f"`states` must be (steps, neurons). Received the shape {tuple(states.shape)}.")

        def step(memories, index):
            memories = self._learned(memories, ops.take(states, ops.reshape(index, (1,)), axis=0))
            return memories, memories if return_trajectory else None

        memories = ops.convert_to_tensor(self.memories)
        output_like = memories if return_trajectory else None
        last, trajectory = bounded_loop(step, memories, ops.shape(states)[0], output_like=output_like)
        self.memories.assign(last)
        return trajectory if return_trajectory else last

    def call(self, v, training=None):
        v = self._checked(v)
        memories = ops.convert_to_tensor(self.memories)
        recalled = ops.einsum("...h,hi->...i", self._selection(memories, v), memories)
        if training and self.trainable:
            self.memories.assign(self._learned(memories, ops.stop_gradient(self._rows(v))))
        return recalled

    def _checked(self, v):
        v = ops.cast(ops.convert_to_tensor(v), self.variable_dtype)
        if not self.built:
            self.build(tuple(v.shape))
        if tuple(v.shape)[-1] != self.memories.shape[1]:
            raise ValueError(
                f"The memories have {self.memories.shape[1]} neurons. Received states of the shape {tuple(v.shape)}."
            )
        if is_concrete(v) and not bool(ops.all(ops.isfinite(v))):
            raise ValueError("The states have entries that are NaN or infinite.")
        return v

    def _rows(self, v):
        return v if len(v.shape) == 2 else ops.reshape(v, (-1, v.shape[-1]))

    def _selection(self, memories, v):
        return ops.softmax(self.beta * ops.einsum("...i,hi->...h", v, memories), axis=-1)

    def _change(self, memories, v):
        selection = self._selection(memories, v)
        # The sum over the examples of w ⊙ (v - Ξ + Λ), without an array of all of them.
        change = ops.einsum("bh,bi->hi", selection, v) + ops.sum(selection, axis=0)[:, None] * (self._bias() - memories)
        return change / (self.tau * _count(v))

    def _bias(self):
        return 0.0 if self.synaptic_bias is None else ops.convert_to_tensor(self.synaptic_bias)

    def _learned(self, memories, v):
        """The memories after the states `(batch, N_v)` were shown to them, all at once."""
        if self.solver is None:
            return memories + self.t1 * self._change(memories, v)

        bias = self._bias()

        def vector_field(t, memories, v):
            selection = ops.softmax(self.beta * ops.einsum("bi,bhi->bh", v, memories), axis=-1)
            return selection[..., None] * (v[:, None] + bias - memories) / self.tau

        # Each state has memories of its own, of whose changes the mean is taken: so it is over all replicas too.
        copies = ops.broadcast_to(memories, (ops.shape(v)[0], *memories.shape))
        solution = self.solver.integrate(vector_field, copies, t1=self.t1, constants=(v,))
        return memories + ops.sum(solution.state - memories, axis=0) / _count(v)

    def compute_output_spec(self, v, training=None):
        return keras.KerasTensor(v.shape, dtype=self.variable_dtype)

    def compute_output_shape(self, v_shape):
        return tuple(v_shape)

    def argument(self, name):
        if name == "memories":
            return self.num_memories
        if name == "bias":
            bias = self._bias_values
            # The values of an array come with the weights.
            return None if bias is None else float(bias) if bias.ndim == 0 else 0.0
        return super().argument(name)


def count_memories(memories):
    """What the argument `memories` of a layer stands for: `(number, None)`, or `(number, NumPy array)` for an array."""
    if isinstance(memories, int) and not isinstance(memories, bool):
        if memories < 1:
            raise ValueError(f"`memories` must be at least 1. Received {memories}.")
        return memories, None
    values = _finite_array("memories", memories)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(
            "`memories` must be the number of memories, or an array (memories, neurons). "
            f"Received an array of the shape {values.shape}."
        )
    return values.shape[0], values


def _count(v):
    """The number of examples, but 1 if there are none: a replica may get none of a data set's last batch."""
    return ops.cast(ops.maximum(ops.shape(v)[0], 1), v.dtype)


def _finite_array(name, value):
    value = np.asarray(ops.convert_to_numpy(value))
    if value.dtype.kind not in "fiu" or not np.all(np.isfinite(value)):
        raise ValueError(f"`{name}` must be finite numbers. Received an array of {value.dtype}, or with NaN in it.")
    return value
