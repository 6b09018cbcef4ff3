"""What makes stimuli of what is read of the oscillators."""

import keras

from keras_kuramoto.layers.residual import Residual
from keras_kuramoto.models.configured_model import copied


def readout_network(linear, normalization=None):
    """g: a residual unit of two linear maps, and the map to the next stimuli, each after a ReLU.

    Args:
        linear: Function from a name to a layer that is linear.
        normalization: Layer of which a copy comes before each ReLU, or `None`.
    """

    def pre_activated(name):
        norm = [] if normalization is None else [copied(normalization, name=f"{name}_norm")]
        return [*norm, keras.layers.ReLU(name=f"{name}_relu"), linear(name)]

    unit = keras.Sequential([*pre_activated("hidden"), *pre_activated("output")], name="unit")
    return keras.Sequential([Residual(unit, name="residual"), *pre_activated("stimuli")], name="network")
