"""A number of steps that ends where an example comes to rest."""

from keras_kuramoto._checks import check_positive


class UntilRest:
    """A number of steps for a `KuramotoLayer`: as many as it takes until nothing moves any more, but no more than said.

    An example comes to rest with a step in which no component of its oscillators moves by as much as the tolerance. It
    stays as it is after that step, whatever else is in the batch, and its energy too; the loop ends with the last
    example. For inference: gradients reach the steps that were taken, and memory is not saved by `remat`.

    The layer, and all that passes the number of steps on to one, returns the steps that were taken too: see
    `KuramotoLayer`.

    Args:
        tolerance: Positive number: the smallest movement in a step that counts as one, of oscillators of length 1.
        num_steps: The most steps, as for `KuramotoLayer`; by default the layer's own number.

    Raises:
        ValueError: If the tolerance is not positive.

    Example:

    >>> from keras import ops
    >>> from keras_kuramoto.layers import AttentionConnectivity, KuramotoLayer
    >>> layer = KuramotoLayer(AttentionConnectivity(2), oscillator_dim=2, num_steps=500, step_size=0.1)
    >>> x, steps = layer(ops.ones((3, 5, 8)), 5 * ops.ones((3, 5, 8)), num_steps=UntilRest(1e-4))
    >>> x.shape, steps.shape, int(ops.max(steps)) < 500
    ((3, 5, 8), (3,), True)
    """

    def __init__(self, tolerance, num_steps=None):
        self.tolerance = check_positive("tolerance", tolerance)
        self.num_steps = num_steps
