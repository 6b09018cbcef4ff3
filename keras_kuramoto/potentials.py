"""Potentials of pairs of oscillators: what the scalar products s = μᵢ·μⱼ add to the energy of a Kuramoto memory.

The energy of a `KuramotoMemory` is E_K = Σ aₑ sₑ + Φ(s; w), with a linear weight aₑ and a weight wₑ for each pair e,
and the potential Φ is an object of this module, or one of your own: a function φ of each pair by
`FunctionPotential`, or a subclass of `SeparablePotential` or `PairPotential`.
"""

import keras
from keras import ops

from keras_kuramoto._backend import autodiff, precise


class PairPotential:
    """A function Φ of the scalar products of all pairs, with a weight for each, and its derivatives.

    A subclass implements `energy`, and `get_config` if its constructor has arguments. The gradient is automatic unless
    it gives a closed form. A potential that treats each pair by itself is better a `SeparablePotential`: its sums over
    pairs are faster. Keras saves a potential with the layer that has it, if its class is registered with
    `keras.saving.register_keras_serializable`.

    Attributes:
        has_weights: Whether Φ has weights; if not, a memory makes none, and hands `None` on.

    Example:

    >>> class Largest(PairPotential):
    ...     def energy(self, products, weights):
    ...         return ops.max(weights * products, axis=-1)
    >>> weights, products = ops.array([1.0, 2.0]), ops.array([[0.5, 0.5]])
    >>> [float(value) for value in Largest().gradient(products, weights)[0]]
    [0.0, 2.0]

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Sec. 3.2.
    """

    has_weights = True

    def energy(self, products, weights):
        """Φ of each example.

        Args:
            products: s = μᵢ·μⱼ for each pair, `(batch, pairs)`.
            weights: `(pairs,)`.

        Returns:
            `(batch,)`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `energy`.")

    def gradient(self, products, weights):
        """∂Φ/∂s for each pair.

        Args:
            products: As for `energy`.
            weights: As for `energy`.

        Returns:
            Tensor of the shape of `products`.
        """
        return autodiff.gradient(lambda products: self.energy(products, weights), products)

    def get_config(self):
        """The arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config):
        """The potential with these arguments."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class LinearPotential(PairPotential):
    """Φ = 0: the linear weights alone, the generalised Kuramoto model of Eq. 3.

    Example:

    >>> LinearPotential().energy(ops.ones((2, 6)), None).shape
    (2,)
    """

    has_weights = False

    def energy(self, products, weights):
        return ops.sum(ops.zeros_like(products), axis=-1)

    def gradient(self, products, weights):
        return ops.zeros_like(products)


class SeparablePotential(PairPotential):
    """Φ = Σ w φ(s), with the same function φ for each pair.

    A subclass implements `__call__`, φ; the derivatives are automatic unless it gives closed forms.

    Call arguments:
        products: Tensor of any shape.

    Returns:
        φ of each entry, same shape.

    Example:

    >>> class Cubic(SeparablePotential):
    ...     def __call__(self, products):
    ...         return products**3
    >>> float(Cubic().derivative(ops.array([2.0]))[0])
    12.0
    """

    def __call__(self, products):
        raise NotImplementedError(f"{type(self).__name__} has no `__call__`.")

    def derivative(self, products):
        """φ′ of each entry."""
        return autodiff.gradient(self, products)

    def second_derivative(self, products):
        """φ″ of each entry."""
        return autodiff.gradient(self.derivative, products)

    def energy(self, products, weights):
        return ops.sum(weights * self(products), axis=-1)

    def gradient(self, products, weights):
        return weights * self.derivative(products)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class ReLUPotential(SeparablePotential):
    """φ(s) = ½ max(s, 0)², for the coupling w max(s, 0): Example 2 of the paper.

    Example:

    >>> [float(value) for value in ReLUPotential()(ops.array([-1.0, 2.0]))]
    [0.0, 2.0]
    """

    def __call__(self, products):
        return 0.5 * ops.square(ops.relu(products))

    def derivative(self, products):
        return ops.relu(products)

    def second_derivative(self, products):
        return ops.where(products > 0, ops.ones_like(products), ops.zeros_like(products))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SigmoidPotential(SeparablePotential):
    """φ(s) = log(1 + exp s), for the coupling w / (1 + exp(-s)).

    Example:

    >>> float(SigmoidPotential().derivative(ops.array([0.0]))[0])
    0.5
    """

    def __call__(self, products):
        return precise.softplus(products)

    def derivative(self, products):
        return ops.sigmoid(products)

    def second_derivative(self, products):
        return ops.sigmoid(products) * ops.sigmoid(-products)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class TanhPotential(SeparablePotential):
    """φ(s) = log cosh s, for the coupling w tanh s.

    Example:

    >>> float(TanhPotential()(ops.array([0.0]))[0])
    0.0
    """

    def __call__(self, products):
        return precise.log_cosh(products)

    def derivative(self, products):
        return precise.tanh(products)

    def second_derivative(self, products):
        slope = precise.tanh(products)
        return (1.0 - slope) * (1.0 + slope)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class FunctionPotential(SeparablePotential):
    """A function φ of your own, with its derivatives by automatic differentiation.

    Args:
        function: Function of a tensor of scalar products that acts on each entry by itself, and has no weights of its
            own. To be saved, it must be registered with `keras.saving.register_keras_serializable`.

    Raises:
        ValueError: If `function` is not callable.

    Example:

    >>> potential = FunctionPotential(lambda s: s**3)
    >>> float(potential.second_derivative(ops.array([2.0]))[0])
    12.0
    """

    def __init__(self, function):
        if not callable(function):
            raise ValueError(f"`function` must be a function of the scalar products. Received {function!r}.")
        self.function = function

    def __call__(self, products):
        return self.function(products)

    def get_config(self):
        return {"function": keras.saving.serialize_keras_object(self.function)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["function"]))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AttentionPotential(PairPotential):
    """Φ = log Σ exp(w s), for the coupling w softmax(w s) over all pairs: Example 3 of the paper.

    Example:

    >>> coupling = AttentionPotential().gradient(ops.array([[0.5, 0.5]]), ops.array([1.0, 1.0]))
    >>> [float(value) for value in coupling[0]]
    [0.5, 0.5]
    """

    def energy(self, products, weights):
        return ops.logsumexp(weights * products, axis=-1)

    def gradient(self, products, weights):
        return weights * ops.softmax(weights * products, axis=-1)


_NAMES = {
    "attention": AttentionPotential,
    "linear": LinearPotential,
    "relu": ReLUPotential,
    "sigmoid": SigmoidPotential,
    "tanh": TanhPotential,
}


def get(identifier):
    """The potential that a name, a configuration or a function stands for.

    Args:
        identifier: `"linear"`, `"relu"`, `"sigmoid"`, `"tanh"` or `"attention"`; a `PairPotential`, which is returned
            as it is; the configuration that Keras made of one; or a function, for `FunctionPotential`.

    Returns:
        A `PairPotential`.

    Raises:
        ValueError: If it is none of these.

    Example:

    >>> type(get("attention")).__name__
    'AttentionPotential'
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, PairPotential):
        return identifier
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]()
    if callable(identifier) and not isinstance(identifier, type):
        return FunctionPotential(identifier)
    raise ValueError(f"A potential must be one of {sorted(_NAMES)}, an object or a function. Received {identifier!r}.")
