"""The coupled memory of threshold units and oscillators."""

import math

import keras
from keras import ops

from keras_kuramoto.layers.couplings import Coupling, LowRankCoupling
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.layers.layer import exactly
from keras_kuramoto.layers.memory import Memory
from keras_kuramoto.ops import sphere


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class HopfieldKuramotoMemory(Memory):
    """Neurons that are threshold units and oscillators at once: Eq. 11 of the paper.

    The states xᵢ and the unit vectors μᵢ in R^D of N neurons follow

        dxᵢ/dt = Σⱼ Wᵢⱼ gⱼ - xᵢ + bᵢ + Δxᵢ / κ_H,
        dμᵢ/dt = Ω μᵢ + (I - μᵢ μᵢᵀ) (-∂E_K/∂μᵢ + δμᵢ / κ_K),

    those of a `HopfieldMemory` and a `KuramotoMemory`, with a coupling that adds Δx and δμ (Eq. 13). The energy

        E = κ_H E_H(x) + κ_K E_K(μ) - ½ Σᵢⱼ Gᵢⱼ(gᵢ gⱼ) χᵢⱼ(μᵢ·μⱼ)    (Eq. 12)

    never rises, if those of the two memories do not alone, and

        dE/dt = -κ_H ẋᵀ ∂²L/∂x² ẋ - Σᵢ |(I - μᵢ μᵢᵀ) ∂E/∂μᵢ|² / κ_K    (Eq. 14).

    Model (18) of the paper is a dense ReLU `HopfieldMemory`, a `KuramotoMemory("relu", graph)` with the weights
    a = -R and w = -S, and a `LowRankCoupling`, whose strength is κ. To edit what a trained Hopfield memory remembers,
    freeze it by `hopfield.trainable = False` and train the rest.

    The memories' own `t1` and `solver` are not used. Under a dtype policy of your own, such as `dtype="float64"`, give
    it to all the parts. The state is float32 under a mixed precision policy, and so are the energies.

    Args:
        hopfield: The threshold units: a `HopfieldMemory`.
        kuramoto: The oscillators: a `KuramotoMemory`. With its `renormalize`, they are normalised after each step.
        coupling: `GatingCoupling`, `LowRankCoupling`, `AdditiveCoupling`, `MultiplicativeCoupling`, `NetworkCoupling`,
            `PairCoupling`, or one of your own.
        kappa_h: κ_H > 0, or its start if it is trained.
        kappa_k: κ_K > 0, or its start if it is trained.
        train_kappas: Whether κ_H and κ_K are trained; their logarithms are the weights, so that they stay positive.
        t1: The time, > 0, up to which a call follows the equation from 0, if the call does not say.
        solver: How: an `AdaptiveSolver` or a `FixedStepSolver` of `keras_kuramoto.solvers`; if `None`, the first with
            its defaults.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        state: Pair of the initial states x(0), `(batch, N)`, and the initial oscillators μ(0), `(batch, N, D)`.
        return_energy: Whether to return the energies too.
        t1: Another time to stop at: a number.

    Returns:
        The pair of x(t1) and μ(t1). With `return_energy=True` a pair of that and the energies `(batch, 17)` at 17 times
        with equal distances, the first 0 and the last `t1`. The state and the energies of an example that did not reach
        `t1` in the solver's `max_steps` are NaN.

    Attributes:
        has_energy: Whether the paper promises that the energy never rises: not with natural frequencies of each
            oscillator's own.

    Raises:
        ValueError: If an argument is of the wrong kind, if κ_H or κ_K is not positive, if a graph has another number of
            nodes than there are neurons, if a state is not such a pair, or (where its values are known: not inside
            compiled functions) if it has NaN in it or oscillators that are not of unit length.

    Example:

    >>> import networkx
    >>> from keras_kuramoto.layers import SymmetricDenseConnectivity
    >>> from keras_kuramoto.ops import random_on_sphere
    >>> memory = HopfieldKuramotoMemory(
    ...     HopfieldMemory(SymmetricDenseConnectivity(), "relu"),
    ...     KuramotoMemory("relu", networkx.watts_strogatz_graph(12, 4, 0.1, seed=0)),
    ...     LowRankCoupling(strength=0.1),
    ... )
    >>> x, mu = keras.random.normal((3, 12)), random_on_sphere((3, 12, 4), seed=0)
    >>> (x, mu), energies = memory((x, mu), return_energy=True)
    >>> x.shape, mu.shape, energies.shape
    ((3, 12), (3, 12, 4), (3, 17))
    >>> strength, factor = memory.effective_weights(mu)
    >>> factor.shape
    (3, 12, 4)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Theorem 4.1 and Sec. 5 and 6.
    """

    def __init__(
        self,
        hopfield,
        kuramoto,
        coupling,
        kappa_h=1.0,
        kappa_k=1.0,
        train_kappas=False,
        t1=1.0,
        solver=None,
        **kwargs,
    ):
        super().__init__(t1=t1, solver=solver, **kwargs)
        for name, part, kind in (
            ("hopfield", hopfield, HopfieldMemory),
            ("kuramoto", kuramoto, KuramotoMemory),
            ("coupling", coupling, Coupling),
        ):
            if not isinstance(part, kind):
                raise ValueError(f"`{name}` must be a `{kind.__name__}`. Received {part!r}.")
        for name, kappa in (("kappa_h", kappa_h), ("kappa_k", kappa_k)):
            # Written so that NaN fails too.
            if not isinstance(kappa, (int, float)) or isinstance(kappa, bool) or not 0 < kappa < float("inf"):
                raise ValueError(f"`{name}` must be a positive number. Received {kappa!r}.")
        self.hopfield = hopfield
        self.kuramoto = kuramoto
        self.coupling = coupling
        self.kappa_h = float(kappa_h)
        self.kappa_k = float(kappa_k)
        self.train_kappas = train_kappas
        self.project = _normalize_oscillators if kuramoto.renormalize else None

    @property
    def has_energy(self):
        return self.kuramoto.has_energy

    def build(self, state_shape):
        if len(state_shape) != 2 or not all(isinstance(shape, (tuple, list)) for shape in state_shape):
            raise ValueError(f"The state must be a pair (x, μ). Received the shape {state_shape}.")
        x_shape, mu_shape = (tuple(shape) for shape in state_shape)
        if len(x_shape) != 2 or len(mu_shape) != 3 or x_shape[1] != mu_shape[1]:
            raise ValueError(
                "The state must be a pair of x, `(batch, N)`, and μ, `(batch, N, D)`. Received the shapes "
                f"{x_shape} and {mu_shape}."
            )
        for part, shape in ((self.hopfield, x_shape), (self.kuramoto, mu_shape), (self.coupling, x_shape)):
            if not part.built:
                part.build(shape)
        self.log_kappa_h, self.log_kappa_k = (
            self.add_weight(name=name, shape=(), initializer=exactly(math.log(kappa)), trainable=self.train_kappas)
            for name, kappa in (("log_kappa_h", self.kappa_h), ("log_kappa_k", self.kappa_k))
        )

        self._counts = [len(part) for part in self._parts()[:2]]

    def effective_weights(self, mu):
        """What the oscillators add to the weights of the threshold units, as a low-rank factor: Eq. 17.

        With a `LowRankCoupling` the threshold units behave as if their weights were W + κ A Aᵀ, where κ is the
        coupling's strength over κ_H and A(μ) has the oscillators as rows. W is that of `hopfield.connectivity`.

        Args:
            mu: Oscillators, `(batch, N, D)`.

        Returns:
            `(κ, A)`: a scalar tensor and a tensor `(batch, N, D)`.

        Raises:
            ValueError: If the coupling is another one, or the memory is not built.
        """
        if not isinstance(self.coupling, LowRankCoupling):
            raise ValueError(
                "Only a `LowRankCoupling` changes the weights by a low-rank matrix. The coupling is a "
                f"{type(self.coupling).__name__}."
            )
        if not self.built:
            raise ValueError("The memory must be built, or called once, before it has weights.")
        mu = ops.cast(ops.convert_to_tensor(mu), self.variable_dtype)
        self.kuramoto.check_state(mu)
        return self.coupling.alpha / ops.exp(self.log_kappa_h), sphere.normalize(mu)

    def check_state(self, state):
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise ValueError(f"The state must be a pair (x, μ). Received {type(state).__name__}.")
        x, mu = state
        self.hopfield.check_state(x)
        self.kuramoto.check_state(mu)

    def _parts(self):
        """The loop's constants of the threshold units, the oscillators and the coupling."""
        return (
            self.hopfield.loop_constants(),
            self.kuramoto.loop_constants(),
            tuple(self.coupling.loop_constants(self.hopfield.connectivity)),
        )

    def loop_constants(self):
        return sum(self._parts(), ())

    def compute_vector_field(self, state, *constants):
        x, mu = state
        first, second = self._counts
        hopfield, kuramoto, coupling = constants[:first], constants[first : first + second], constants[first + second :]
        mu = sphere.normalize(mu)
        dx, force = self.coupling.forces(self.hopfield.lagrangian.activation(x), mu, *coupling)
        x_change = self.hopfield.compute_vector_field(x, *hopfield) + dx / ops.exp(self.log_kappa_h)
        force = force / ops.exp(self.log_kappa_k) - self.kuramoto.energy_gradient(mu, *kuramoto)
        mu_change = self.kuramoto.rotation(mu) + sphere.project_to_tangent(mu, force)
        return keras.tree.pack_sequence_as(state, [x_change, mu_change])

    def compute_energy(self, state):
        x, mu = state
        mu = sphere.normalize(mu)
        constants = self.coupling.loop_constants(self.hopfield.connectivity)
        kappa_h, kappa_k = ops.exp(self.log_kappa_h), ops.exp(self.log_kappa_k)
        alone = kappa_h * self.hopfield.compute_energy(x) + kappa_k * self.kuramoto.compute_energy(mu)
        return alone + self.coupling.energy(self.hopfield.lagrangian.activation(x), mu, *constants)

    def compute_energy_rate(self, state):
        self.kuramoto.check_has_energy()
        x, mu = state
        mu = sphere.normalize(mu)
        hopfield, kuramoto, coupling = self._parts()
        x_change, _ = self.compute_vector_field((x, mu), *hopfield, *kuramoto, *coupling)
        _, force = self.coupling.forces(self.hopfield.lagrangian.activation(x), mu, *coupling)
        kappa_h, kappa_k = ops.exp(self.log_kappa_h), ops.exp(self.log_kappa_k)
        slope = sphere.project_to_tangent(mu, kappa_k * self.kuramoto.energy_gradient(mu, *kuramoto) - force)
        curvature = ops.sum(x_change * self.hopfield.lagrangian.hessian_product(x, x_change), axis=-1)
        return -kappa_h * curvature - ops.sum(ops.square(slope), axis=(1, 2)) / kappa_k

    def integrate(self, state, t1, times=None):
        solution = super().integrate(state, t1, times)
        states = None if solution.states is None else _normalize_oscillators(solution.states)
        return solution._replace(state=_normalize_oscillators(solution.state), states=states)


def _normalize_oscillators(state):
    x, mu = state
    return keras.tree.pack_sequence_as(state, [x, sphere.normalize(mu)])
