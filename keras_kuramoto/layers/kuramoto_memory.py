"""The Kuramoto memory of oscillators."""

import keras
from keras import ops

from keras_kuramoto import potentials
from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto.layers.memory import Memory
from keras_kuramoto.ops import sphere
from keras_kuramoto.ops._edges import Edges
from keras_kuramoto.ops.pairs import AllPairs, EdgePairs

# As far from 1 as the norm of a unit vector in bfloat16 may be.
NORM_TOLERANCE = 5e-3


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class KuramotoMemory(Memory):
    """Oscillators that recall what their interactions hold: Eq. 9 of the paper.

    The oscillators are unit vectors μᵢ in R^D and follow, from the given ones,

        dμᵢ/dt = Ωᵢ μᵢ - (I - μᵢ μᵢᵀ) ∂E_K/∂μᵢ,    E_K = Σ aₑ sₑ + Φ(s; w),

    where sₑ = μᵢ·μⱼ for each pair e = (i, j) of all pairs or of a graph's edges, and the potential Φ is one of
    `keras_kuramoto.potentials`: `"linear"` (the weights a alone: the generalised Kuramoto model), `"relu"`
    (Example 2), `"sigmoid"`, `"tanh"`, `"attention"` (Example 3), or one of your own.

    Without natural frequencies Ωᵢ, or with the same Ω for all oscillators, the energy E_K never rises, and
    dE/dt = -Σᵢ |(I - μᵢ μᵢᵀ) ∂E_K/∂μᵢ|² (Eq. 10). With a frequency for each oscillator no energy is promised:
    `has_energy` is `False`, `energy` still gives E_K, which may rise then, and `energy_rate` is refused.

    The equation is integrated in the ambient space, with the state normalised where the right-hand side is evaluated,
    as in the authors' code; the results are normalised. The state is float32 under a mixed precision policy, and so
    are the energies. All sums over pairs are computed in that dtype.

    Args:
        potential: Φ: a name, an object or a function φ of s, as for `keras_kuramoto.potentials.get`.
        graph: The pairs: a `networkx.Graph` with a node for each neuron, the integers from 0 to N - 1, as in
            `networkx.watts_strogatz_graph(N, k, 0.1)`, or other nodes in the order in which they were added; or
            integers `(edges, 2)` that count from 0; or `None` for all pairs.
        natural_frequency: Layer that maps `(batch, N * D)`, the components of an oscillator side by side, to Ω μ, such
            as `NaturalFrequency(D, shared=True)` for the same Ω for all, with `shared=False` for one each; or `None`.
        use_linear: Whether there are linear weights a.
        linear_initializer: Initialiser of a, one number for each pair, in the order of `edges`.
        pair_initializer: Initialiser of w, one number for each pair, for potentials that have weights.
        renormalize: Whether to normalise the oscillators after each accepted step of the solver too.
        t1: The time, > 0, up to which a call follows the equation from 0, if the call does not say.
        solver: How: an `AdaptiveSolver` or a `FixedStepSolver` of `keras_kuramoto.solvers`; if `None`, the first with
            its defaults.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        state: Initial oscillators μ(0), `(batch, N, D)`, of unit length.
        return_energy: Whether to return the energies too.
        t1: Another time to stop at: a number.

    Returns:
        μ(t1), `(batch, N, D)`. With `return_energy=True` a pair with the energies `(batch, 17)` at 17 times with equal
        distances, the first 0 and the last `t1`. The state and the energies of an example that did not reach `t1` in
        the solver's `max_steps` are NaN.

    Attributes:
        has_energy: Whether the paper promises that the energy never rises.
        edges: The pairs, NumPy integers `(edges, 2)`, once the layer is built.
        linear_weights: a, `(edges,)`, or `None`.
        pair_weights: w, `(edges,)`, or `None`.

    Raises:
        ValueError: If an argument is of the wrong kind, if `t1` is not positive, if the graph is directed or has
            another number of nodes than there are oscillators, if a state has not three axes or another shape than the
            layer was built for, or (where its values are known: not inside compiled functions) if it has NaN in it or
            vectors whose length differs from 1 by more than 0.005.

    Example:

    >>> import networkx
    >>> from keras_kuramoto.ops import random_on_sphere
    >>> memory = KuramotoMemory("relu", graph=networkx.watts_strogatz_graph(20, 4, 0.1, seed=0))
    >>> mu = random_on_sphere((3, 20, 4), seed=0)
    >>> mu, energies = memory(mu, return_energy=True)
    >>> mu.shape, energies.shape
    ((3, 20, 4), (3, 17))
    >>> len(memory.edges)
    40

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 9, 10, Examples 2 and 3.
    """

    def __init__(
        self,
        potential="relu",
        graph=None,
        natural_frequency=None,
        use_linear=True,
        linear_initializer="random_normal",
        pair_initializer="random_normal",
        renormalize=False,
        t1=1.0,
        solver=None,
        **kwargs,
    ):
        super().__init__(t1=t1, solver=solver, **kwargs)
        self.potential = potentials.get(potential)
        self.graph = None if graph is None else Edges(graph)
        if natural_frequency is not None and not isinstance(natural_frequency, keras.layers.Layer):
            raise ValueError(f"`natural_frequency` must be a Keras layer or `None`. Received {natural_frequency!r}.")
        if not use_linear and not self.potential.has_weights:
            raise ValueError("`use_linear=False` leaves nothing of the linear potential.")
        self.natural_frequency = natural_frequency
        self.use_linear = use_linear
        self.linear_initializer = keras.initializers.get(linear_initializer)
        self.pair_initializer = keras.initializers.get(pair_initializer)
        self.renormalize = renormalize
        self.project = sphere.normalize if renormalize else None

    @property
    def has_energy(self):
        return self.natural_frequency is None or getattr(self.natural_frequency, "shared", False)

    @property
    def edges(self):
        return self.pairs.edges

    def build(self, state_shape):
        state_shape = tuple(state_shape)
        if len(state_shape) != 3 or None in state_shape[1:]:
            raise ValueError(f"The state must be `(batch, N, D)` with known N and D. Received the shape {state_shape}.")
        self.num_oscillators, self.oscillator_dim = state_shape[1:]
        sphere.check_oscillator_dim(self.oscillator_dim, "D")
        if self.graph is None:
            self.pairs = AllPairs(self.num_oscillators)
        else:
            self.graph.check(self.num_oscillators)
            self.pairs = EdgePairs(self.graph.pairs, self.num_oscillators)
        shape = (self.pairs.num_pairs,)
        self.linear_weights = self.pair_weights = None
        if self.use_linear:
            self.linear_weights = self.add_weight(
                name="linear_weights", shape=shape, initializer=self.linear_initializer
            )
        if self.potential.has_weights:
            self.pair_weights = self.add_weight(name="pair_weights", shape=shape, initializer=self.pair_initializer)
        if self.natural_frequency is not None:
            dim = getattr(self.natural_frequency, "oscillator_dim", self.oscillator_dim)
            if dim != self.oscillator_dim:
                raise ValueError(
                    f"`natural_frequency` is for oscillators of {dim} components, but those of the state have "
                    f"{self.oscillator_dim}."
                )
            if not self.natural_frequency.built:
                self.natural_frequency.build((None, self.num_oscillators * self.oscillator_dim))

    def _add_pairs(self, name, initializer):
        return self.add_weight(name=name, shape=(self.pairs.num_pairs,), initializer=initializer)

    def check_state(self, state):
        if tuple(state.shape)[1:] != (self.num_oscillators, self.oscillator_dim):
            raise ValueError(
                f"The state must be `(batch, {self.num_oscillators}, {self.oscillator_dim})`, as the memory was built. "
                f"Received the shape {tuple(state.shape)}."
            )
        if is_concrete(state):
            # NaN is no distance: it has an error of its own.
            distance = ops.abs(ops.sqrt(ops.sum(ops.square(state), axis=-1)) - 1)
            if bool(ops.any(distance > NORM_TOLERANCE)):
                raise ValueError(
                    "The oscillators must be unit vectors. Received some whose length differs from 1 by up to "
                    f"{float(ops.max(distance)):.3g}. See `keras_kuramoto.ops.normalize`."
                )

    def loop_constants(self):
        linear, weights = self.linear_weights, self.pair_weights
        if linear is None:
            linear = ops.zeros(self.pairs.num_pairs, dtype=self.variable_dtype)
        # A tensor also on TensorFlow, where `ops.convert_to_tensor` leaves a variable as it is.
        linear = ops.reshape(linear, (-1,))
        if weights is None:
            return (self.pairs.loop_weights(linear),)
        weights = ops.reshape(weights, (-1,))
        if isinstance(self.potential, potentials.SeparablePotential):
            return self.pairs.loop_weights(linear), self.pairs.loop_weights(weights)
        return linear, weights

    def energy_gradient(self, mu, linear, weights=None):
        """∂E_K/∂μ.

        Args:
            mu: Unit vectors, `(batch, N, D)`.
            linear: The first of `loop_constants`.
            weights: The second of them, where there are two.

        Returns:
            `(batch, N, D)`.
        """
        if weights is None:
            return self.pairs.weighted_sum(linear, mu)
        if isinstance(self.potential, potentials.SeparablePotential):
            return self.pairs.interaction(mu, linear, weights, self.potential)
        return self.pairs.neighbour_sum(linear + self.potential.gradient(self.pairs.products(mu), weights), mu)

    def rotation(self, mu):
        """What the natural frequencies add to the vector field.

        Args:
            mu: Unit vectors, `(batch, N, D)`.

        Returns:
            Ω μ, `(batch, N, D)`, or the number 0 if there are none.
        """
        if self.natural_frequency is None:
            return 0.0
        turn = self.natural_frequency(ops.reshape(mu, (-1, self.num_oscillators * self.oscillator_dim)))
        return ops.cast(ops.reshape(turn, ops.shape(mu)), self.variable_dtype)

    def compute_vector_field(self, mu, *constants):
        mu = sphere.normalize(mu)
        return self.rotation(mu) - sphere.project_to_tangent(mu, self.energy_gradient(mu, *constants))

    def compute_energy(self, mu):
        s = self.pairs.products(sphere.normalize(mu))
        energy = self.potential.energy(s, self.pair_weights)
        return energy if self.linear_weights is None else energy + ops.sum(self.linear_weights * s, axis=-1)

    def compute_energy_rate(self, mu):
        self.check_has_energy()
        mu = sphere.normalize(mu)
        force = sphere.project_to_tangent(mu, self.energy_gradient(mu, *self.loop_constants()))
        return -ops.sum(ops.square(force), axis=(1, 2))

    def check_has_energy(self):
        """Refuses natural frequencies of each oscillator's own, with which there is no formula for the energy's rate.

        Raises:
            ValueError: If not `has_energy`.
        """
        if not self.has_energy:
            raise ValueError(
                "With natural frequencies of each oscillator's own there is no formula for the energy's rate, and the "
                "energy may rise. Use `NaturalFrequency(..., shared=True)`, or none."
            )

    def integrate(self, state, t1, times=None):
        solution = super().integrate(state, t1, times)
        states = None if solution.states is None else sphere.normalize(solution.states)
        return solution._replace(state=sphere.normalize(solution.state), states=states)

    def argument(self, name):
        return self.graph and self.graph.config() if name == "graph" else super().argument(name)

    @classmethod
    def from_config(cls, config):
        # Keras would look at each number of a long list of edges.
        return super().from_config({**config, "graph": config["graph"] and Edges(config["graph"])})
