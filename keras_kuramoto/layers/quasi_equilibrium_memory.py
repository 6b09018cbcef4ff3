"""Recall by visible units alone: hidden units that follow at once are eliminated."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto import lagrangians, learning_rules
from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._checks import check_positive
from keras_kuramoto.layers.memory import Memory
from keras_kuramoto.layers.synaptic_memory import count_memories


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class QuasiEquilibriumMemory(Memory):
    """Visible units v, and hidden units that are always in equilibrium with them: Eq. 7, 9 and 20.

    With the activations g = ∂L_v/∂v and f = ∂L_h/∂h of two generating functions,

        τ dv/dt = -v + I + Jᵀ f(h),    h = J g(v) + b,

    where J is the matrix of the memories Ξ, one in each row, or the identity. The energy (Eq. 3)

        E = Σᵢ (vᵢ - Iᵢ) gᵢ - L_v(v) - L_h(h)

    never rises if L_v is convex: its rate is -τ (dv/dt)ᵀ H_v (dv/dt), with the Hessian H_v of L_v (Eq. 6).

    One Euler step of the length τ is v ← I + Jᵀ f(J g(v) + b), the method `update`. With the default generating
    functions, L_v = ½ Σ v² and L_h = log Σ exp(β h) / β, that is the update of the modern Hopfield network, and
    attention with the states as queries and the memories as keys and values. A layer that does this in a call has
    `t1=tau` and `solver=FixedStepSolver("euler", num_steps=1)`.

    Args:
        memories: The matrix J: the number N_h of memories, which are trained; an array `(N_h, N_v)` of memories that
            are trained from there; a layer with a weight `memories`, such as a `SynapticMemory`, to recall what that
            learns; or `None` for J = 1, with N_h = N_v. The configuration has the number N_h in place of an array,
            whose values are saved and loaded with the other weights.
        visible_lagrangian: L_v: a `Lagrangian` of `keras_kuramoto.lagrangians`, or a name or a function for
            `keras_kuramoto.lagrangians.get`.
        hidden_lagrangian: L_h, likewise.
        use_bias: Whether the hidden units have trained biases b, which start at zero.
        use_field: Whether the visible units have a trained constant field I, which starts at zero.
        tau: τ > 0, the time scale of the visible units.
        memories_initializer: Initialiser of the memories where their number was given.
        t1: As for `Memory`: the time that a call takes.
        solver: As for `Memory`.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        state: Visible states v, `(batch, N_v)`.
        return_energy: Whether to return the energies too.
        t1: Another time to stop at: a number.

    Returns:
        The state at `t1`, same shape. With `return_energy=True` a pair with the energies `(batch, 17)` at 17 times with
        equal distances, from 0 to `t1`.

    Raises:
        ValueError: If an argument is of the wrong kind, the state and the memories differ in size, or an entry is NaN.

    Example:

    >>> import numpy as np
    >>> from keras_kuramoto.lagrangians import SoftmaxLagrangian
    >>> layer = QuasiEquilibriumMemory(np.eye(4), hidden_lagrangian=SoftmaxLagrangian(beta=8.0), t1=20.0)
    >>> recalled = layer(ops.convert_to_tensor([[0.7, 0.2, 0.1, 0.0]]))
    >>> [round(float(x), 2) for x in recalled[0]]
    [1.0, 0.0, 0.0, 0.0]

    Reference: Lotito, Neural Learning Rules from Associative Networks Theory, 2025, Sec. 3 and 5.
    """

    def __init__(
        self,
        memories,
        visible_lagrangian="linear",
        hidden_lagrangian="softmax",
        use_bias=False,
        use_field=False,
        tau=1.0,
        memories_initializer="glorot_uniform",
        t1=1.0,
        solver=None,
        **kwargs,
    ):
        super().__init__(t1=t1, solver=solver, **kwargs)
        self.memory_layer = memories if isinstance(memories, keras.layers.Layer) else None
        self.num_memories, self._initial_memories = None, None
        if self.memory_layer is None and memories is not None:
            self.num_memories, self._initial_memories = count_memories(memories)
        self.visible_lagrangian = lagrangians.get(visible_lagrangian)
        self.hidden_lagrangian = lagrangians.get(hidden_lagrangian)
        self.use_bias = use_bias
        self.use_field = use_field
        self.tau = check_positive("tau", tau)
        self.memories_initializer = keras.initializers.get(memories_initializer)

    def build(self, state_shape):
        size = state_shape[-1]
        if len(state_shape) != 2 or size is None:
            raise ValueError(f"The state must be (batch, neurons), of a known size. Received {tuple(state_shape)}.")
        if self.memory_layer is not None:
            self._build_memory_layer(state_shape)
        elif self.num_memories is None:
            self.memories = None
        else:
            initial = self._initial_memories
            if initial is not None and initial.shape[1] != size:
                raise ValueError(f"The memories have {initial.shape[1]} neurons, the state {size}.")
            self.memories = self.add_weight(
                name="memories",
                shape=(self.num_memories, size),
                initializer=self.memories_initializer if initial is None else initial,
            )
            self._initial_memories = None
        self.num_neurons = size
        hidden = size if self._matrix() is None else self.memories.shape[0]
        self.bias = self._add_vector("bias", hidden) if self.use_bias else None
        self.field = self._add_vector("field", size) if self.use_field else None

    def _build_memory_layer(self, state_shape):
        if not self.memory_layer.built:
            self.memory_layer.build(state_shape)
        self.memories = getattr(self.memory_layer, "memories", None)
        shape = tuple(getattr(self.memories, "shape", ()))
        if len(shape) != 2 or shape[1] != state_shape[-1]:
            raise ValueError(
                f"`memories` must be a layer with a weight `memories` of the shape (memories, {state_shape[-1]}). "
                f"Received {self.memory_layer.name!r}, which has {shape or 'none'}."
            )

    def _add_vector(self, name, size):
        return self.add_weight(name=name, shape=(size,), initializer="zeros")

    def update(self, state):
        """One Euler step of the length τ, from v to I + Jᵀ f(J g(v) + b).

        Args:
            state: Visible states, `(batch, N_v)`.

        Returns:
            `(batch, N_v)`.
        """
        return self._drive(self.checked_state(state))

    def jacobian(self, state):
        """The Jacobian of τ dv/dt, for each example: -1 + Jᵀ H_h J H_v with the Hessians of L_v at v and of L_h at h.

        Eq. 28 in general. (Eq. 30 prints the two Hessians side by side, which the sizes do not allow.)

        Args:
            state: Visible states, `(batch, N_v)`.

        Returns:
            `(batch, N_v, N_v)`: row i, column j is the derivative of component i with respect to vⱼ.
        """
        v = self.checked_state(state)
        size = self.num_neurons
        # One example for each of the directions.
        repeated = ops.repeat(v, size, axis=0)
        directions = ops.tile(ops.eye(size, dtype=v.dtype), (ops.shape(v)[0], 1))
        along = self._to_hidden(self.visible_lagrangian.hessian_product(repeated, directions))
        columns = self._to_visible(self.hidden_lagrangian.hessian_product(self._hidden(repeated), along))
        columns = ops.reshape(columns - directions, (-1, size, size))
        return ops.swapaxes(columns, 1, 2)

    def is_hyperbolic(self, state, tolerance=1e-5):
        """Whether fixed points are hyperbolic: no eigenvalue of the Jacobian has the real part 0.

        If so, the dynamics near them is that of its linear part (Hartman–Grobman). For random memories
        `keras_kuramoto.learning_rules.marchenko_pastur_edges` tells where the eigenvalues lie.

        Args:
            state: Fixed points, `(batch, N_v)`, with their values now: not inside a compiled function.
            tolerance: Real parts up to this count as 0.

        Returns:
            NumPy array of booleans, `(batch,)`.

        Raises:
            ValueError: If the states are no fixed points: if a component of τ dv/dt exceeds 1e-3 of the largest of v,
                or of 1 if that is larger.
        """
        state = self.checked_state(state)
        if not is_concrete(state):
            raise ValueError("`is_hyperbolic` needs states that have their values now, outside of compiled functions.")
        rest, scale = (np.abs(ops.convert_to_numpy(x)).max(initial=0.0) for x in (self._drive(state) - state, state))
        if not rest <= 1e-3 * max(1.0, scale):
            raise ValueError(
                f"The states must be fixed points. They still move: τ dv/dt has components up to {rest:.2g}. "
                "Follow the dynamics for a longer time first."
            )
        return learning_rules.is_hyperbolic(self.jacobian(state), tolerance)

    # --- the equations ----------------------------------------------------------------------------------------------

    def _matrix(self):
        """J, `(N_h, N_v)`, or `None` for the identity."""
        return self.memories

    def _to_hidden(self, g):
        """J g."""
        return g if self._matrix() is None else ops.einsum("bi,hi->bh", g, ops.convert_to_tensor(self._matrix()))

    def _to_visible(self, f):
        """Jᵀ f."""
        return f if self._matrix() is None else ops.einsum("bh,hi->bi", f, ops.convert_to_tensor(self._matrix()))

    def _hidden(self, v):
        h = self._to_hidden(self.visible_lagrangian.activation(v))
        return h if self.bias is None else h + self.bias

    def _drive(self, v):
        """What v is drawn to."""
        drive = self._to_visible(self.hidden_lagrangian.activation(self._hidden(v)))
        return drive if self.field is None else drive + self.field

    def compute_vector_field(self, v):
        return (self._drive(v) - v) / self.tau

    def compute_energy(self, v):
        shifted = v if self.field is None else v - self.field
        product = ops.sum(shifted * self.visible_lagrangian.activation(v), axis=-1)
        return product - self.visible_lagrangian(v) - self.hidden_lagrangian(self._hidden(v))

    def compute_energy_rate(self, v):
        velocity = self.compute_vector_field(v)
        return -self.tau * ops.sum(velocity * self.visible_lagrangian.hessian_product(v, velocity), axis=-1)

    def check_state(self, state):
        if len(state.shape) != 2 or state.shape[-1] != self.num_neurons:
            raise ValueError(f"The state must be (batch, {self.num_neurons}). Received {tuple(state.shape)}.")

    def argument(self, name):
        if name == "memories":
            return self.num_memories if self.memory_layer is None else self.memory_layer
        return super().argument(name)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class HebbianMemory(QuasiEquilibriumMemory):
    """The quasi-equilibrium memory whose couplings are Hebb's, J = ΞᵀΞ / N_h: Eq. 21.

        τ dv/dt = -v + I + tanh(β J v + b)

    The generating function of the visible units depends on the memories, L_v = β / (2 N_h) ‖Ξ v‖², and the hidden units
    are joined to them by the identity. In contrast to a graded-response Hopfield network the coupling is inside the
    nonlinearity.

    Args:
        memories: Ξ: a number, an array or a layer, as for `QuasiEquilibriumMemory`, but not `None`.
        beta: β > 0, the steepness of the neurons.
        use_bias: As for `QuasiEquilibriumMemory`, and so are the other arguments. b is β u in terms of an external
            field u on the neurons.

    Example:

    >>> import numpy as np
    >>> layer = HebbianMemory(np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]), beta=4.0, t1=20.0)
    >>> [round(float(x), 1) for x in layer(ops.convert_to_tensor([[0.9, 0.3, -0.3, -0.9]]))[0]]
    [1.0, 1.0, -1.0, -1.0]

    Reference: Lotito, 2025, Sec. 5.2.
    """

    def __init__(
        self,
        memories,
        beta=1.0,
        use_bias=False,
        use_field=False,
        tau=1.0,
        memories_initializer="glorot_uniform",
        t1=1.0,
        solver=None,
        **kwargs,
    ):
        if memories is None:
            raise ValueError("`memories` must be a number, an array, or a layer that has memories. Received None.")
        super().__init__(
            memories,
            hidden_lagrangian="tanh",
            use_bias=use_bias,
            use_field=use_field,
            tau=tau,
            memories_initializer=memories_initializer,
            t1=t1,
            solver=solver,
            **kwargs,
        )
        self.beta = check_positive("beta", beta)

    def build(self, state_shape):
        super().build(state_shape)
        self.visible_lagrangian = _HebbianLagrangian(self.memories, self.beta / self.memories.shape[0])

    def _matrix(self):
        return None

    def get_config(self):
        # The generating functions follow from the memories and β.
        fixed = ("visible_lagrangian", "hidden_lagrangian")
        return {name: value for name, value in super().get_config().items() if name not in fixed}


class _HebbianLagrangian(lagrangians.Lagrangian):
    """L = ½ β̃ ‖Ξ v‖², with the activation β̃ ΞᵀΞ v: a generating function that depends on the memories.

    Args:
        memories: The variable Ξ, `(N_h, N_v)`.
        scale: β̃.
    """

    def __init__(self, memories, scale):
        self.memories, self.scale = memories, scale

    def _overlaps(self, x):
        return ops.einsum("...i,hi->...h", x, ops.convert_to_tensor(self.memories))

    def __call__(self, x):
        return 0.5 * self.scale * ops.sum(ops.square(self._overlaps(x)), axis=-1)

    def activation(self, x):
        return self.scale * ops.einsum("...h,hi->...i", self._overlaps(x), ops.convert_to_tensor(self.memories))

    def hessian_product(self, x, direction):
        return self.activation(direction)
