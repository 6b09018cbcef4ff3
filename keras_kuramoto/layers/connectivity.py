"""What the library's couplings between units have in common."""

from keras_kuramoto.layers.layer import Layer


class Connectivity(Layer):
    """Base class of the connectivities: layers that map a state to what each unit gets of the others, J x.

    Where a layer or a memory takes a connectivity, any Keras layer that keeps the shape of its input will do. One that
    derives from this class can say more about itself: that J is symmetric, that it is affine and not linear, what can
    be made of its weights once for many calls, and J as a matrix.

    Attributes:
        symmetric: Whether J is symmetric whatever the weights are, so that nothing has to be tried.
        use_bias: Whether a trained vector is added to J x.
        on_tokens: Whether it works on `(batch, positions, channels)`, whatever the grid of the positions: a layer that
            calls it in a loop then keeps its state so.

    Example:

    >>> from keras import ops
    >>> class Ring(Connectivity):
    ...     symmetric = True
    ...
    ...     def call(self, x):
    ...         return ops.roll(x, 1, axis=-1) + ops.roll(x, -1, axis=-1)
    >>> [float(value) for value in Ring()(ops.convert_to_tensor([[1.0, 0.0, 0.0, 0.0]]))[0]]
    [0.0, 1.0, 0.0, 1.0]

    Reference: Miyato et al., ICLR 2025, Eq. 2; Binding threshold units with artificial oscillatory neurons, 2025,
    Eq. 6.
    """

    symmetric = False
    use_bias = False
    on_tokens = False

    def loop_constants(self):
        """What a loop that calls the layer in each step can make of the weights before it.

        Returns:
            Tuple of tensors: the arguments of a call after the state. Empty unless a subclass has some.
        """
        return ()

    def matrix(self):
        """J as it multiplies a row of units from the right, a dense matrix `(units, units)`.

        Returns:
            Tensor.

        Raises:
            NotImplementedError: If the connectivity is none of a fixed number of units, or depends on the state.
        """
        raise NotImplementedError(f"{type(self).__name__} has no matrix.")

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


def loop_constants(connectivity):
    """`loop_constants` of a connectivity; none of another Keras layer or of `None`."""
    return tuple(connectivity.loop_constants()) if isinstance(connectivity, Connectivity) else ()
