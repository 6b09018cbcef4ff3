"""The block of which oscillator networks are made."""

import keras

from keras_kuramoto.layers.kuramoto_layer import KuramotoLayer
from keras_kuramoto.layers.layer import StateLayer
from keras_kuramoto.layers.transition import Transition


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class KuramotoBlock(StateLayer):
    """A Kuramoto layer, a readout, a network g and a transition: one block of AKOrN, Fig. 3 of the paper.

    The oscillators take their steps under the stimuli; m = readout(x) is what is read of them, g(m) the features
    (Eq. 6), and the transition makes the next block's oscillators and stimuli of them.

    Args:
        kuramoto: A `KuramotoLayer`.
        readout: Layer that maps oscillators to what is read of them, such as `OscillatorReadout`.
        network: g, any Keras layer, such as a `keras.Sequential`; `None` for the identity.
        transition: A `Transition`, such as `StimuliTransition` or `SharedTransition`; `None` if the features are the
            next stimuli and the oscillators go on as they are.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, oscillators * N)`.
        c: Conditional stimuli, same shape.
        num_steps: Another number of steps, as for `KuramotoLayer`.
        return_energy: Whether to return the energies too.
        max_steps: Bound of a tensor `num_steps`, as for `KuramotoLayer`.
        training: Whether dropout and the like are active, in the network and the transition.

    Returns:
        `(x, c)`: oscillators and stimuli for the next block; those of the last block are a network's result, with c the
        features. With `return_energy=True` also the energies `(batch, steps)`, and with an `UntilRest` the steps
        taken, as of `KuramotoLayer`. Float32 under a
        mixed precision policy.

    Raises:
        ValueError: If an argument is of the wrong kind.

    Example:

    >>> from keras import ops
    >>> from keras_kuramoto.layers import ConvConnectivity, OscillatorReadout, SharedTransition
    >>> block = KuramotoBlock(
    ...     KuramotoLayer(ConvConnectivity(3), oscillator_dim=2, num_steps=3),
    ...     OscillatorReadout(8, oscillator_dim=2),
    ...     keras.Sequential([keras.layers.BatchNormalization(), keras.layers.ReLU()]),
    ...     SharedTransition(keras.layers.Conv2D(16, 3, strides=2, padding="same")),
    ... )
    >>> x, c, energies = block(ops.ones((2, 6, 6, 8)), ops.ones((2, 6, 6, 8)), return_energy=True, training=True)
    >>> x.shape, c.shape, energies.shape
    ((2, 3, 3, 16), (2, 3, 3, 16), (2, 3))

    Reference: Miyato et al., ICLR 2025, Sec. 5, Eq. 4 to 6.
    """

    def __init__(self, kuramoto, readout, network=None, transition=None, **kwargs):
        super().__init__(**kwargs)
        for name, layer, kind, optional in (
            ("kuramoto", kuramoto, KuramotoLayer, False),
            ("readout", readout, keras.layers.Layer, False),
            ("network", network, keras.layers.Layer, True),
            ("transition", transition, Transition, True),
        ):
            if not isinstance(layer, kind) and not (optional and layer is None):
                raise ValueError(
                    f"`{name}` must be a `{kind.__name__}`{' or `None`' if optional else ''}. Received {layer!r}."
                )
        self.kuramoto = kuramoto
        self.readout = readout
        self.network = network
        self.transition = transition

    def build(self, x_shape, c_shape):
        shape = tuple(x_shape)
        if not self.kuramoto.built:
            self.kuramoto.build(shape, c_shape)
        for layer in (self.readout, self.network):
            if layer is not None:
                if not layer.built:
                    layer.build(shape)
                shape = tuple(layer.compute_output_shape(shape))
        if self.transition is not None and not self.transition.built:
            self.transition.build(x_shape, shape)

    # The layers inside take `training` from the call's context.
    def call(self, x, c, num_steps=None, return_energy=False, max_steps=None, training=None):
        x = self.kuramoto(x, c, num_steps=num_steps, return_energy=return_energy, max_steps=max_steps)
        x, *more = x if isinstance(x, tuple) else (x,)
        features = self.readout(x)
        if self.network is not None:
            features = self.network(features)
        # In full precision, as the Kuramoto layer takes stimuli.
        features = keras.ops.cast(features, self.variable_dtype)
        x, c = (x, features) if self.transition is None else self.transition(x, features)
        return (x, c, *more)

    def compute_output_spec(self, x, c, num_steps=None, return_energy=False, max_steps=None, training=None):
        x = self.kuramoto.compute_output_spec(x, c, num_steps, return_energy, max_steps)
        x, *more = x if isinstance(x, tuple) else (x,)
        shape = tuple(self.readout.compute_output_shape(tuple(x.shape)))
        if self.network is not None:
            shape = tuple(self.network.compute_output_shape(shape))
        features = keras.KerasTensor(shape, dtype=self.variable_dtype)
        x, c = (x, features) if self.transition is None else self.transition.compute_output_spec(x, features)
        return (x, c, *more)
