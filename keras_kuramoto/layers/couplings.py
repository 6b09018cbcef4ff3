"""Couplings of threshold units and oscillators for the Hopfield-Kuramoto memory: G and χ of Eq. 13."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend import autodiff
from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto.layers.connectivity import Connectivity, loop_constants
from keras_kuramoto.layers.layer import StateLayer, exactly
from keras_kuramoto.layers.memory import check_connectivity
from keras_kuramoto.ops._edges import Edges
from keras_kuramoto.ops.pairs import EdgePairs


class Coupling(StateLayer):
    """Base class of the couplings of a `HopfieldKuramotoMemory`.

    A coupling is an energy that depends on the activations g(x) and the scalar products of the oscillators,

        ΔE = -½ Σᵢⱼ Gᵢⱼ(gᵢ gⱼ) χᵢⱼ(μᵢ·μⱼ),    Gᵢⱼ = Gⱼᵢ, χᵢⱼ = χⱼᵢ    (Eq. 12),

    and the forces of Eq. 13, Δxᵢ = -∂ΔE/∂gᵢ and δμᵢ = -∂ΔE/∂μᵢ. A subclass implements `forces` and `energy`. Its
    `build` is given the shape `(batch, N)`.

    Args:
        **kwargs: As for `keras.layers.Layer`.

    Example:

    >>> class Uncoupled(Coupling):
    ...     def forces(self, activations, mu):
    ...         return ops.zeros_like(activations), ops.zeros_like(mu)
    ...
    ...     def energy(self, activations, mu):
    ...         return ops.zeros_like(activations[:, 0])
    >>> Uncoupled().energy(ops.ones((2, 4)), ops.ones((2, 4, 3))).shape
    (2,)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Theorem 4.1.
    """

    def loop_constants(self, connectivity):
        """Tensors that do not depend on the state, made once for many evaluations.

        Args:
            connectivity: The connectivity of the Hopfield memory.

        Returns:
            Tuple of tensors.
        """
        return ()

    def forces(self, activations, mu, *constants):
        """Δx and δμ of Eq. 13.

        Args:
            activations: g(x), `(batch, N)`.
            mu: Unit vectors, `(batch, N, D)`.
            *constants: What `loop_constants` gives.

        Returns:
            `(Δx, δμ)`, of the shapes of `activations` and `mu`. What of δμᵢ is along μᵢ has no effect.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `forces`.")

    def energy(self, activations, mu, *constants):
        """ΔE of Eq. 12.

        Args:
            activations: As for `forces`.
            mu: As for `forces`.
            *constants: As for `forces`.

        Returns:
            `(batch,)`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `energy`.")


class BilinearCoupling(Coupling):
    """Base class of the couplings with G_ij(a) = Sᵢⱼ a and χ(s) = s, for a symmetric matrix S.

    Both forces come from one product with S: with yᵢ = Σⱼ Sᵢⱼ gⱼ μⱼ they are Δxᵢ = μᵢ·yᵢ and δμᵢ = gᵢ yᵢ. A subclass
    implements `product`.

    Example:

    >>> class Neighbours(BilinearCoupling):
    ...     def product(self, v):
    ...         return ops.roll(v, 1, axis=1) + ops.roll(v, -1, axis=1)
    >>> dx, dmu = Neighbours().forces(ops.ones((2, 4)), ops.ones((2, 4, 3)))
    >>> float(dx[0, 0])
    6.0
    """

    def product(self, v, *constants):
        """S v along the axis of the neurons.

        Args:
            v: Tensor `(batch, N, D)`.
            *constants: What `loop_constants` gives.

        Returns:
            Tensor `(batch, N, D)`, or `(batch, 1, D)` if it is the same for all neurons.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `product`.")

    def forces(self, activations, mu, *constants):
        g = activations[:, :, None]
        y = self.product(g * mu, *constants)
        return ops.sum(mu * y, axis=-1), g * y

    def energy(self, activations, mu, *constants):
        weighted = activations[:, :, None] * mu
        return -0.5 * ops.sum(weighted * self.product(weighted, *constants), axis=(1, 2))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class GatingCoupling(BilinearCoupling):
    """Weights between threshold units that the oscillators open and close: Eq. 15 and Appendix E of the paper.

        Δxᵢ = Σⱼ Sᵢⱼ (μᵢ·μⱼ) gⱼ,    δμᵢ = Σⱼ Sᵢⱼ gᵢ gⱼ μⱼ.

    Args:
        connectivity: S: any Keras layer that is a symmetric linear map of `(batch, N)` to the same shape, such as
            `SymmetricDenseConnectivity`, `HierarchicalConnectivity` or `LateralConnectivity`. It is applied to each
            component of the oscillators.
        **kwargs: As for `keras.layers.Layer`.

    Raises:
        ValueError: If `connectivity` is not a Keras layer, or not linear and symmetric.

    Example:

    >>> from keras_kuramoto.layers import SymmetricDenseConnectivity
    >>> coupling = GatingCoupling(SymmetricDenseConnectivity())
    >>> coupling.build((None, 6))
    >>> dx, dmu = coupling.forces(ops.ones((2, 6)), ops.ones((2, 6, 3)))
    >>> dx.shape, dmu.shape
    ((2, 6), (2, 6, 3))

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 15.
    """

    def __init__(self, connectivity, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(connectivity, keras.layers.Layer):
            raise ValueError(f"`connectivity` must be a Keras layer. Received {connectivity!r}.")
        self.connectivity = connectivity

    def build(self, input_shape):
        check_connectivity(self.connectivity, (None, input_shape[-1]))

    def loop_constants(self, connectivity):
        return loop_constants(self.connectivity)

    def product(self, v, *constants):
        size, dim = v.shape[1:]
        rows = ops.reshape(ops.swapaxes(v, 1, 2), (-1, size))
        rows = ops.cast(self.connectivity(rows, *constants), self.variable_dtype)
        return ops.swapaxes(ops.reshape(rows, (-1, dim, size)), 1, 2)


class _StrengthCoupling(BilinearCoupling):
    """A bilinear coupling with a scalar factor, α."""

    def __init__(self, strength=1.0, train_strength=True, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(strength, (int, float)) or isinstance(strength, bool) or not np.isfinite(strength):
            raise ValueError(f"`strength` must be a number. Received {strength!r}.")
        self.strength = float(strength)
        self.train_strength = train_strength

    def build(self, input_shape):
        self.alpha = self.add_weight(
            name="strength", shape=(), initializer=exactly(self.strength), trainable=self.train_strength
        )


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class LowRankCoupling(_StrengthCoupling):
    """Every neuron with every other at the same strength κ, itself included: Eq. 16, 17 and 18 of the paper.

        Δxᵢ = κ Σⱼ (μᵢ·μⱼ) gⱼ,    δμᵢ = κ Σⱼ gᵢ gⱼ μⱼ.

    The oscillators add κ A(μ) A(μ)ᵀ, of rank D, to the weights of the threshold units, and those add κ g gᵀ, of rank 1,
    to the weights of the oscillators. The sum over j is the same for all neurons, so that it takes N · D operations.

    Args:
        strength: κ, or its start if it is trained.
        train_strength: Whether κ is trained.
        **kwargs: As for `keras.layers.Layer`.

    Attributes:
        alpha: κ, a variable, once the layer is built.

    Raises:
        ValueError: If `strength` is not a finite number.

    Example:

    >>> coupling = LowRankCoupling(strength=0.5)
    >>> coupling.build((None, 4))
    >>> mu = ops.concatenate([ops.ones((1, 4, 1)), ops.zeros((1, 4, 1))], axis=-1)
    >>> dx, dmu = coupling.forces(ops.ones((1, 4)), mu)
    >>> [float(value) for value in dx[0]]
    [2.0, 2.0, 2.0, 2.0]

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 16, 17, 18.
    """

    def product(self, v, *constants):
        return self.alpha * ops.sum(v, axis=1, keepdims=True)


class _GraphCoupling(BilinearCoupling):
    """A bilinear coupling on the edges of a graph. A subclass makes `_edge_weights(connectivity)`."""

    # Whether training changes the weights of the edges.
    _trained = True

    def _set_graph(self, graph):
        if graph is None:
            raise ValueError("`graph` must be a graph or a list of edges. Received None.")
        self.graph = Edges(graph)

    @property
    def edges(self):
        """The pairs of neurons, NumPy integers `(edges, 2)`."""
        return self.graph.pairs

    def build(self, input_shape):
        super().build(input_shape)
        self.graph.check(input_shape[-1])
        self.pairs = EdgePairs(self.graph.pairs, input_shape[-1])

    def loop_constants(self, connectivity):
        return (self.pairs.loop_weights(self._edge_weights(connectivity)),)

    def product(self, v, matrix):
        return self.pairs.weighted_sum(matrix if self._trained else ops.stop_gradient(matrix), v)

    def argument(self, name):
        return self.graph.config() if name == "graph" else super().argument(name)

    @classmethod
    def from_config(cls, config):
        # Keras would look at each number of a long list of edges.
        return super().from_config({**config, "graph": Edges(config["graph"])})


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AdditiveCoupling(_GraphCoupling, _StrengthCoupling):
    """The low-rank coupling on the edges of a graph alone: Sᵢⱼ = α where there is an edge, as in the authors' code.

        Δxᵢ = α Σⱼ (μᵢ·μⱼ) gⱼ,    δμᵢ = α Σⱼ gᵢ gⱼ μⱼ,    j over the neighbours of i.

    Args:
        graph: A `networkx.Graph` with a node for each neuron, the integers from 0 to N - 1, or other nodes in the order
            in which they were added; or integers `(edges, 2)` that count from 0.
        strength: α, or its start if it is trained.
        train_strength: Whether α is trained.
        **kwargs: As for `keras.layers.Layer`.

    Attributes:
        alpha: α, a variable, once the layer is built.

    Raises:
        ValueError: If an argument is of the wrong kind, or the graph has another number of nodes than there are
            neurons.

    Example:

    >>> coupling = AdditiveCoupling([[0, 1], [1, 2]], strength=0.3)
    >>> coupling.edges.tolist()
    [[0, 1], [1, 2]]

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 13, and the authors' code.
    """

    _trained = False

    def __init__(self, graph, strength=1.0, train_strength=True, **kwargs):
        super().__init__(strength=strength, train_strength=train_strength, **kwargs)
        self._set_graph(graph)

    def _edge_weights(self, connectivity):
        return ops.ones(len(self.edges), dtype=self.variable_dtype)

    def product(self, v, matrix):
        return self.alpha * super().product(v, matrix)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class MultiplicativeCoupling(_GraphCoupling, _StrengthCoupling):
    """Gating of the Hopfield memory's own weights on the edges of a graph: Sᵢⱼ = α Wᵢⱼ, as in the authors' code.

        Δxᵢ = α Σⱼ Wᵢⱼ (μᵢ·μⱼ) gⱼ,    δμᵢ = α Σⱼ Wᵢⱼ gᵢ gⱼ μⱼ,    j over the neighbours of i.

    Args:
        graph: A `networkx.Graph` with a node for each neuron, the integers from 0 to N - 1, or other nodes in the order
            in which they were added; or integers `(edges, 2)` that count from 0.
        strength: α, or its start if it is trained.
        train_strength: Whether α is trained.
        **kwargs: As for `keras.layers.Layer`.

    Attributes:
        alpha: α, a variable, once the layer is built.

    Raises:
        ValueError: If an argument is of the wrong kind, or the graph has another number of nodes than there are
            neurons.

    Example:

    >>> MultiplicativeCoupling([[0, 1], [1, 2]], strength=0.3, train_strength=False).strength
    0.3

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 13, and the authors' code.
    """

    def __init__(self, graph, strength=1.0, train_strength=True, **kwargs):
        super().__init__(strength=strength, train_strength=train_strength, **kwargs)
        self._set_graph(graph)

    def _edge_weights(self, connectivity):
        size = self.pairs.num_nodes
        matrix = _matrix(connectivity, size)
        i, j = self.edges.T
        return ops.take(ops.reshape(ops.cast(matrix, self.variable_dtype), (-1,)), i * size + j, axis=0)

    def product(self, v, matrix):
        return self.alpha * super().product(v, matrix)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class NetworkCoupling(_GraphCoupling):
    """Gating with a trained weight for each edge of a graph: Eq. 15 with a sparse S.

    Args:
        graph: A `networkx.Graph` with a node for each neuron, the integers from 0 to N - 1, or other nodes in the order
            in which they were added; or integers `(edges, 2)` that count from 0.
        weights_initializer: Initialiser of the weights, one for each edge, in the order of `edges`.
        **kwargs: As for `keras.layers.Layer`.

    Attributes:
        edge_weights: The weights, a variable `(edges,)`, once the layer is built.

    Raises:
        ValueError: If an argument is of the wrong kind, or the graph has another number of nodes than there are
            neurons.

    Example:

    >>> coupling = NetworkCoupling([[0, 1], [1, 2]])
    >>> coupling.build((None, 3))
    >>> coupling.edge_weights.shape
    (2,)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 15, and the authors' code.
    """

    def __init__(self, graph, weights_initializer="random_normal", **kwargs):
        super().__init__(**kwargs)
        self._set_graph(graph)
        self.weights_initializer = keras.initializers.get(weights_initializer)

    def build(self, input_shape):
        super().build(input_shape)
        self.edge_weights = self.add_weight(
            name="edge_weights", shape=(len(self.edges),), initializer=self.weights_initializer
        )

    def _edge_weights(self, connectivity):
        # A tensor also on TensorFlow, where `ops.convert_to_tensor` leaves a variable as it is.
        return ops.reshape(self.edge_weights, (-1,))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class PairCoupling(Coupling):
    """The general coupling of Eq. 13, by symmetric functions G and χ of your own.

        Δxᵢ = Σⱼ G′ᵢⱼ(gᵢ gⱼ) χᵢⱼ(μᵢ·μⱼ) gⱼ,    δμᵢ = Σⱼ Gᵢⱼ(gᵢ gⱼ) χ′ᵢⱼ(μᵢ·μⱼ) μⱼ.

    It computes with matrices `(batch, N, N)`.

    Args:
        G: Function of the products gᵢ gⱼ, `(batch, N, N)`, that acts on each entry by itself, by the same function for
            (i, j) and (j, i). A Keras layer may have weights of its own; they must keep that symmetry. To be saved, a
            function must be registered with `keras.saving.register_keras_serializable`.
        chi: χ: the same of the scalar products μᵢ·μⱼ.
        G_derivative: G′, in the same way; by automatic differentiation if `None`.
        chi_derivative: χ′, in the same way; by automatic differentiation if `None`.
        **kwargs: As for `keras.layers.Layer`.

    Raises:
        ValueError: If an argument is not callable, or if G or χ is found not to be symmetric (tried with one random
            matrix when the layer is built, where the results have their values then).

    Example:

    >>> coupling = PairCoupling(G=ops.square, chi=lambda s: s**3)
    >>> coupling.build((None, 4))
    >>> dx, dmu = coupling.forces(ops.ones((2, 4)), ops.ones((2, 4, 3)))
    >>> dx.shape, dmu.shape
    ((2, 4), (2, 4, 3))

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Theorem 4.1.
    """

    _functions = ("G", "chi", "G_derivative", "chi_derivative")

    def __init__(self, G, chi, G_derivative=None, chi_derivative=None, **kwargs):
        super().__init__(**kwargs)
        for name, function in zip(self._functions, (G, chi, G_derivative, chi_derivative)):
            if not callable(function) and not (name.endswith("derivative") and function is None):
                raise ValueError(f"`{name}` must be a function of a tensor `(batch, N, N)`. Received {function!r}.")
            setattr(self, name, function)

    def build(self, input_shape):
        size = input_shape[-1]
        probe = np.random.default_rng(0).standard_normal((1, size, size))
        # Scalar products lie between -1 and 1.
        probe = ops.convert_to_tensor(np.tanh(probe + np.swapaxes(probe, 1, 2)), dtype=self.variable_dtype)
        for name in self._functions[:2]:
            function = getattr(self, name)
            if isinstance(function, keras.layers.Layer) and not function.built:
                function.build((None, size, size))
            value = function(probe)
            if tuple(value.shape) != tuple(probe.shape):
                raise ValueError(f"`{name}` must keep the shape. It maps {tuple(probe.shape)} to {tuple(value.shape)}.")
            if not is_concrete(value):
                continue
            value = ops.convert_to_numpy(value)
            if not np.allclose(value, np.swapaxes(value, 1, 2), rtol=1e-4, atol=1e-4 * np.abs(value).max()):
                raise ValueError(f"`{name}` must be symmetric, the same function for (i, j) and (j, i). It is not.")

    def _derivative(self, name, x):
        derivative = getattr(self, f"{name}_derivative")
        return autodiff.gradient(getattr(self, name), x) if derivative is None else derivative(x)

    def _products(self, activations, mu):
        # `@` and not `ops.matmul`, which makes float32 of float64 on PyTorch.
        return activations[:, :, None] * activations[:, None, :], mu @ ops.swapaxes(mu, 1, 2)

    def forces(self, activations, mu, *constants):
        a, s = self._products(activations, mu)
        dx = ops.sum(self._derivative("G", a) * self.chi(s) * activations[:, None, :], axis=-1)
        return dx, (self.G(a) * self._derivative("chi", s)) @ mu

    def energy(self, activations, mu, *constants):
        a, s = self._products(activations, mu)
        return -0.5 * ops.sum(self.G(a) * self.chi(s), axis=(1, 2))


def _matrix(connectivity, size):
    """W of a layer that is a linear map, `(size, size)`."""
    if isinstance(connectivity, Connectivity):
        try:
            return connectivity.matrix()
        except NotImplementedError:
            pass
    return connectivity(ops.eye(size, dtype=connectivity.compute_dtype))
