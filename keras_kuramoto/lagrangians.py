"""Lagrangians of threshold units: convex functions L(x) whose gradient g = ∂L/∂x is the activation function.

An energy of Hopfield's kind needs L, its gradient, and for its rate of change the Hessian of L times a vector. The
classes here have all three in closed form. One of your own needs only L: by `FunctionLagrangian`, or as a subclass of
`Lagrangian` with `__call__`; the derivatives then follow by automatic differentiation.
"""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend import autodiff, precise
from keras_kuramoto._checks import check_positive


class Lagrangian:
    """A function of the states of threshold units, and its derivatives.

    A subclass implements `__call__`, and `get_config` if its constructor has arguments. The derivatives are automatic
    unless it gives closed forms. The memories' energies fall if the Hessian is positive semidefinite everywhere. Keras
    saves a Lagrangian with the layer that has it, if its class is registered with
    `keras.saving.register_keras_serializable`.

    Call arguments:
        x: States of the threshold units, `(batch, N)`, or with more axes before the last.

    Returns:
        `(batch,)`: L of each example, without the last axis of `x`.

    Example:

    >>> class Quartic(Lagrangian):
    ...     def __call__(self, x):
    ...         return ops.sum(x**4, axis=-1) / 4
    >>> [float(value) for value in Quartic().activation(ops.convert_to_tensor([[1.0, 2.0]]))[0]]
    [1.0, 8.0]

    Reference: Krotov and Hopfield, Large associative memory problem in neurobiology and machine learning, ICLR 2021;
    Binding threshold units with artificial oscillatory neurons, 2025, Theorem 3.1.
    """

    def __call__(self, x):
        raise NotImplementedError(f"{type(self).__name__} has no `__call__`.")

    def activation(self, x):
        """g(x) = ∂L/∂x.

        Args:
            x: As for a call.

        Returns:
            Tensor of the same shape.
        """
        return autodiff.gradient(self, x)

    def hessian_product(self, x, direction):
        """The Hessian ∂²L/∂x² at `x` times a vector: the derivative of the activation along it.

        Args:
            x: As for a call.
            direction: Tensor of the same shape.

        Returns:
            Tensor of the same shape.
        """
        return autodiff.hessian_product(self, x, direction)

    def get_config(self):
        """The arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config):
        """The Lagrangian with these arguments."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class LinearLagrangian(Lagrangian):
    """L = ½ Σ x², with the identity as activation.

    Example:

    >>> float(LinearLagrangian()(ops.array([[3.0, 4.0]]))[0])
    12.5
    """

    def __call__(self, x):
        return 0.5 * ops.sum(ops.square(x), axis=-1)

    def activation(self, x):
        return x

    def hessian_product(self, x, direction):
        return direction


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class ReLULagrangian(Lagrangian):
    """L = ½ Σ max(x, 0)², with the activation max(x, 0): Example 1 of the paper.

    Example:

    >>> [float(value) for value in ReLULagrangian().activation(ops.array([[-1.0, 2.0]]))[0]]
    [0.0, 2.0]
    """

    def __call__(self, x):
        return 0.5 * ops.sum(ops.square(ops.relu(x)), axis=-1)

    def activation(self, x):
        return ops.relu(x)

    def hessian_product(self, x, direction):
        return ops.where(x > 0, direction, ops.zeros_like(direction))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class TanhLagrangian(Lagrangian):
    """L = Σ log cosh x, with the activation tanh x.

    Example:

    >>> round(float(TanhLagrangian()(ops.array([[0.0, 1e4]]))[0]), 1)
    9999.3
    """

    def __call__(self, x):
        return ops.sum(precise.log_cosh(x), axis=-1)

    def activation(self, x):
        return precise.tanh(x)

    def hessian_product(self, x, direction):
        g = precise.tanh(x)
        return (1.0 - g) * (1.0 + g) * direction


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SigmoidLagrangian(Lagrangian):
    """L = Σ log(1 + exp x), with the activation 1 / (1 + exp(-x)).

    Example:

    >>> [float(value) for value in SigmoidLagrangian().activation(ops.array([[0.0, 1e4]]))[0]]
    [0.5, 1.0]
    """

    def __call__(self, x):
        return ops.sum(precise.softplus(x), axis=-1)

    def activation(self, x):
        return ops.sigmoid(x)

    def hessian_product(self, x, direction):
        return ops.sigmoid(x) * ops.sigmoid(-x) * direction


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SoftmaxLagrangian(Lagrangian):
    """L = log Σ exp(β x) / β, with the activation softmax(β x): E.1.3 of the paper, where β = 1.

    Args:
        beta: β > 0, the inverse temperature.

    Raises:
        ValueError: If β is not positive.

    Example:

    >>> [float(value) for value in SoftmaxLagrangian(beta=2.0).activation(ops.array([[1.0, 1.0]]))[0]]
    [0.5, 0.5]
    """

    def __init__(self, beta=1.0):
        self.beta = check_positive("beta", beta)

    def __call__(self, x):
        return ops.logsumexp(self.beta * x, axis=-1) / self.beta

    def activation(self, x):
        return ops.softmax(self.beta * x, axis=-1)

    def hessian_product(self, x, direction):
        g = self.activation(x)
        return self.beta * g * (direction - ops.sum(g * direction, axis=-1, keepdims=True))

    def get_config(self):
        return {"beta": self.beta}


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class LayerNormLagrangian(Lagrangian):
    """L = γ N √(var x + ε) + Σ δ x, with layer normalisation as activation: γ (x − mean x) / √(var x + ε) + δ.

    Mean and variance are those of the N units. γ and δ are not trained: in a memory, training the weights and biases
    does the same.

    Args:
        gamma: γ > 0, one number for all units (with one for each there is no such L).
        delta: δ, a number, or a list with one for each unit.
        epsilon: ε > 0.

    Raises:
        ValueError: If γ or ε is not positive, or δ has another number of entries than there are units.

    Example:

    >>> [round(float(value), 3) for value in LayerNormLagrangian().activation(ops.array([[1.0, 3.0]]))[0]]
    [-1.0, 1.0]

    Reference: Tang and Kopp, A remark on a paper of Krotov and Hopfield, 2021.
    """

    def __init__(self, gamma=1.0, delta=0.0, epsilon=1e-5):
        self.gamma = check_positive("gamma", gamma)
        self.delta = np.asarray(delta, "float64").tolist()
        self.epsilon = check_positive("epsilon", epsilon)
        if np.ndim(self.delta) > 1:
            raise ValueError(f"`delta` must be a number or a list of numbers. Received {delta!r}.")

    def _parts(self, x):
        """The normalised x without γ and δ, and √(var x + ε)."""
        centred = x - _mean(x)
        deviation = ops.sqrt(_mean(ops.square(centred)) + self.epsilon)
        return centred / deviation, deviation

    def _delta(self, x):
        if np.ndim(self.delta) and len(self.delta) != x.shape[-1]:
            raise ValueError(f"`delta` has {len(self.delta)} entries, but there are {x.shape[-1]} threshold units.")
        return ops.convert_to_tensor(self.delta, dtype=x.dtype)

    def __call__(self, x):
        _, deviation = self._parts(x)
        return self.gamma * x.shape[-1] * deviation[..., 0] + ops.sum(self._delta(x) * x, axis=-1)

    def activation(self, x):
        return self.gamma * self._parts(x)[0] + self._delta(x)

    def hessian_product(self, x, direction):
        normal, deviation = self._parts(x)
        return self.gamma * (direction - _mean(direction) - normal * _mean(normal * direction)) / deviation

    def get_config(self):
        return {"gamma": self.gamma, "delta": self.delta, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class BlockLagrangian(Lagrangian):
    """The sum of a Lagrangian for each layer of a layered state, so that each has its own activation.

    For activations that act on each unit by itself, one Lagrangian for the whole state is the same. Softmax and layer
    normalisation, which are made of a whole layer, need this (E.1.3).

    Args:
        lagrangians: One for each layer: objects, or names as for `get`.
        sizes: The number of units of each layer.

    Raises:
        ValueError: If there is not one size for each Lagrangian, or the state has another number of units.

    Example:

    >>> lagrangian = BlockLagrangian(["relu", "softmax"], sizes=[2, 2])
    >>> [float(value) for value in lagrangian.activation(ops.array([[-1.0, 3.0, 0.0, 0.0]]))[0]]
    [0.0, 3.0, 0.5, 0.5]
    """

    def __init__(self, lagrangians, sizes):
        self.lagrangians = [get(lagrangian) for lagrangian in lagrangians]
        self.sizes = [int(size) for size in sizes]
        if len(self.sizes) != len(self.lagrangians) or not self.sizes or min(self.sizes) < 1:
            raise ValueError(
                f"`sizes` must have one positive integer for each of the {len(self.lagrangians)} Lagrangians. "
                f"Received {sizes!r}."
            )

    def _split(self, x):
        if x.shape[-1] != sum(self.sizes):
            raise ValueError(
                f"The layers have {self.sizes} units, {sum(self.sizes)} together. Received a state with {x.shape[-1]}."
            )
        return ops.split(x, np.cumsum(self.sizes)[:-1].tolist(), axis=-1)

    def __call__(self, x):
        return sum(lagrangian(part) for lagrangian, part in zip(self.lagrangians, self._split(x)))

    def activation(self, x):
        parts = zip(self.lagrangians, self._split(x))
        return ops.concatenate([lagrangian.activation(part) for lagrangian, part in parts], axis=-1)

    def hessian_product(self, x, direction):
        parts = zip(self.lagrangians, self._split(x), self._split(direction))
        return ops.concatenate([lagrangian.hessian_product(*pair) for lagrangian, *pair in parts], axis=-1)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {"lagrangians": [serialize(lagrangian) for lagrangian in self.lagrangians], "sizes": self.sizes}


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class FunctionLagrangian(Lagrangian):
    """A function of your own as Lagrangian, with derivatives by automatic differentiation.

    Args:
        function: Function of the states `(batch, N)`, made of differentiable operations, that gives `(batch,)`, each
            example's value from its own states. For the energies to fall it must be convex. To be saved, it must be
            registered with `keras.saving.register_keras_serializable`.

    Raises:
        ValueError: If `function` is not callable.

    Example:

    >>> lagrangian = FunctionLagrangian(lambda x: ops.sum(x**4, axis=-1) / 4)
    >>> x = ops.convert_to_tensor([[1.0, 2.0]])
    >>> [float(value) for value in lagrangian.hessian_product(x, x)[0]]
    [3.0, 24.0]
    """

    def __init__(self, function):
        if not callable(function):
            raise ValueError(f"`function` must be a function of the states. Received {function!r}.")
        self.function = function

    def __call__(self, x):
        return self.function(x)

    def get_config(self):
        return {"function": keras.saving.serialize_keras_object(self.function)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["function"]))


_NAMES = {
    "layer_norm": LayerNormLagrangian,
    "linear": LinearLagrangian,
    "relu": ReLULagrangian,
    "sigmoid": SigmoidLagrangian,
    "softmax": SoftmaxLagrangian,
    "tanh": TanhLagrangian,
}


def get(identifier):
    """The Lagrangian that a name, a configuration or a function stands for.

    Args:
        identifier: `"relu"`, `"tanh"`, `"sigmoid"`, `"softmax"`, `"layer_norm"` or `"linear"`; a `Lagrangian`, which
            is returned as it is; the configuration that Keras made of one; or a function, for `FunctionLagrangian`.

    Returns:
        A `Lagrangian`.

    Raises:
        ValueError: If it is none of these.

    Example:

    >>> type(get("relu")).__name__
    'ReLULagrangian'
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Lagrangian):
        return identifier
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]()
    if callable(identifier) and not isinstance(identifier, type):
        return FunctionLagrangian(identifier)
    raise ValueError(f"A Lagrangian must be one of {sorted(_NAMES)}, an object or a function. Received {identifier!r}.")


def _mean(x):
    """The mean over the last axis. `keras.ops.mean` computes in float32 on JAX and PyTorch, also for float64."""
    return ops.sum(x, axis=-1, keepdims=True) / x.shape[-1]
