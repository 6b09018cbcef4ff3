"""The Hopfield memory of threshold units."""

import keras
from keras import ops

from keras_kuramoto import lagrangians
from keras_kuramoto.layers.connectivity import loop_constants
from keras_kuramoto.layers.memory import Memory, check_connectivity


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class HopfieldMemory(Memory):
    """Threshold units that recall what their weights hold: Eq. 6 of the paper.

    The states x of N units follow, from the given ones,

        dx/dt = W g(x) - x + b,    g = ∂L/∂x,

    with symmetric weights W and the gradient g of a Lagrangian L as activation. With a convex L the energy

        E(x) = (x - b)ᵀ g(x) - L(x) - ½ g(x)ᵀ W g(x)    (Eq. 7)

    never rises: dE/dt = -ẋᵀ ∂²L/∂x² ẋ (Eq. 8). The memory is dense, hierarchical or convolutional by its connectivity:

    - `SymmetricDenseConnectivity()`: every unit with every other, W = ½ (K + Kᵀ) of a trained K;
    - `HierarchicalConnectivity(sizes)`: layers of units, each joined with the next one (Example 1);
    - `HierarchicalConvConnectivity(shapes)`: layers of images, joined by convolutions and their transposes.

    A layered state has its layers side by side on the last axis; the connectivity's `split` gives them back. The
    products with W are as precise as the connectivity's dtype policy says: under a policy of your own, such as
    `dtype="float64"`, give it to the connectivity and to this layer. The state and the energies are float32 under a
    mixed precision policy.

    Args:
        connectivity: The weights W: any Keras layer that is a symmetric linear map of the last axis.
        lagrangian: L: a name such as `"relu"`, `"tanh"`, `"sigmoid"` or `"softmax"`, an object or a function, as for
            `keras_kuramoto.lagrangians.get`.
        use_bias: Whether there is a trained b.
        bias_initializer: Initialiser of b.
        t1: The time, > 0, up to which a call follows the equation from 0, if the call does not say.
        solver: How: an `AdaptiveSolver` or a `FixedStepSolver` of `keras_kuramoto.solvers`; if `None`, the first with
            its defaults.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        state: Initial states x(0), `(batch, N)`.
        return_energy: Whether to return the energies too.
        t1: Another time to stop at: a number.

    Returns:
        x(t1), `(batch, N)`. With `return_energy=True` a pair with the energies `(batch, 17)` at 17 times with equal
        distances, the first 0 and the last `t1`. The state and the energies of an example that did not reach `t1` in
        the solver's `max_steps` are NaN.

    Raises:
        ValueError: If an argument is of the wrong kind, if `t1` is not positive, if the connectivity is not symmetric,
            if a state has not two axes or another number of units than the layer was built for, or if it has NaN in it
            (where its values are known: not inside compiled functions).

    Example:

    >>> from keras_kuramoto.layers import SymmetricDenseConnectivity
    >>> memory = HopfieldMemory(SymmetricDenseConnectivity(), lagrangian="tanh", t1=2.0)
    >>> x = keras.random.normal((3, 8))
    >>> memory(x).shape
    (3, 8)
    >>> x, energies = memory(x, return_energy=True)
    >>> energies.shape
    (3, 17)
    >>> memory.energy_rate(x).shape
    (3,)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Eq. 6, 7, 8 and Example 1; Krotov and
    Hopfield, Large associative memory problem in neurobiology and machine learning, ICLR 2021.
    """

    def __init__(
        self,
        connectivity,
        lagrangian="relu",
        use_bias=True,
        bias_initializer="zeros",
        t1=1.0,
        solver=None,
        **kwargs,
    ):
        super().__init__(t1=t1, solver=solver, **kwargs)
        if not isinstance(connectivity, keras.layers.Layer):
            raise ValueError(f"`connectivity` must be a Keras layer. Received {connectivity!r}.")
        self.connectivity = connectivity
        self.lagrangian = lagrangians.get(lagrangian)
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, state_shape):
        state_shape = tuple(state_shape)
        if len(state_shape) != 2 or state_shape[1] is None:
            raise ValueError(f"The state must be `(batch, N)` with a known N. Received the shape {state_shape}.")
        self.num_units = state_shape[1]
        # For symbolic calls, which have no `check_state`.
        self.input_spec = keras.InputSpec(ndim=2, axes={-1: self.num_units})
        check_connectivity(self.connectivity, (None, self.num_units))
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.num_units,), initializer=self.bias_initializer)

    def check_state(self, state):
        if tuple(state.shape)[1:] != (self.num_units,):
            raise ValueError(
                f"The state must be `(batch, {self.num_units})`, as the memory was built. Received the shape "
                f"{tuple(state.shape)}."
            )

    def loop_constants(self):
        return loop_constants(self.connectivity)

    def _product(self, g, *constants):
        """W g in the state's dtype."""
        return ops.cast(self.connectivity(g, *constants), self.variable_dtype)

    def compute_vector_field(self, x, *constants):
        change = self._product(self.lagrangian.activation(x), *constants) - x
        return change if self.bias is None else change + self.bias

    def compute_energy(self, x):
        g = self.lagrangian.activation(x)
        shifted = x if self.bias is None else x - self.bias
        return ops.sum(g * (shifted - 0.5 * self._product(g)), axis=-1) - self.lagrangian(x)

    def compute_energy_rate(self, x):
        change = self.compute_vector_field(x)
        return -ops.sum(change * self.lagrangian.hessian_product(x, change), axis=-1)
