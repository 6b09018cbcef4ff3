"""The base classes of the library's layers: configuration, layers within layers, and state in full precision."""

import inspect
import types

import keras
import numpy as np
from keras import ops


class Layer(keras.layers.Layer):
    """Base class of the library's layers: their configuration is made of the arguments of `__init__`.

    A subclass has an attribute of the same name for each argument, or says in `argument` what is written down for it.
    Objects among them, such as layers, initialisers and solvers, are serialised with their own configurations.

    A layer that makes layers for itself calls `make_layer` for them. What is set on one of these later, such as the
    dtype policy that `quantize` gives it, is then saved with the outer layer.

    Args:
        inner: What `get_config` says of the layers that this one makes, by name.
        **kwargs: As for `keras.layers.Layer`.

    Example:

    >>> class Scale(Layer):
    ...     def __init__(self, factor, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.factor = factor
    >>> Scale.from_config(Scale(2.0).get_config()).factor
    2.0
    """

    def __init__(self, inner=None, **kwargs):
        super().__init__(**kwargs)
        # No dictionaries of the layer itself, which Keras and TensorFlow would track.
        self._inner = types.SimpleNamespace(given=dict(inner or {}), made={})

    def make_layer(self, name, kind, **arguments):
        """A layer for this one's own use, of the same dtype policy.

        Args:
            name: Its name, other than those of the others.
            kind: Its class.
            **arguments: Arguments of the class.

        Returns:
            The layer, as it was when this one's configuration was made, if that says other things of it.
        """
        layer = kind(name=name, dtype=self.dtype_policy, **arguments)
        self._inner.made[name] = layer.get_config()
        return kind.from_config(self._inner.given[name]) if name in self._inner.given else layer

    def argument(self, name):
        """What the configuration has for an argument of `__init__`: the attribute of the same name.

        A subclass overrides this for arguments that can't be written down as they are, such as arrays.

        Args:
            name: Name of the argument.

        Returns:
            A number, a text, a list or dictionary of these, or an object that Keras can serialise.
        """
        return getattr(self, name)

    def get_config(self):
        config = super().get_config()
        for name in argument_names(type(self)):
            config[name] = keras.saving.serialize_keras_object(self.argument(name))
        made = self._inner.made
        inner = {layer.name: layer.get_config() for layer in self._layers if layer.name in made}
        inner = {**self._inner.given, **inner}
        changed = {name: value for name, value in inner.items() if value != made.get(name)}
        return {**config, "inner": changed} if changed else config

    @classmethod
    def from_config(cls, config):
        return super().from_config(deserialized(config))


class StateLayer(Layer):
    """Base class of the layers whose state, norms and energies are float32 under a mixed precision policy.

    What they are given and their weights stay in the variables' dtype. The layers inside cast for themselves.

    Args:
        **kwargs: As for `Layer`.

    Example:

    >>> class Shift(StateLayer):
    ...     def build(self, input_shape):
    ...         self.shift = self.add_weight(name="shift", initializer=exactly(0.1))
    ...
    ...     def call(self, x):
    ...         return x + self.shift
    >>> Shift(dtype="mixed_bfloat16")(ops.ones((1, 2))).dtype == ops.ones(()).dtype
    True
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def add_weight(self, *args, **kwargs):
        # `autocast=False` of the layer does not reach a variable that is read outside of any other layer's call.
        return super().add_weight(*args, **{"autocast": False, **kwargs})


def exactly(value):
    """The initialiser that gives this value, a number or an array, repeated where the weight has more axes.

    `keras.initializers.Constant` rounds to float32 also where a layer computes in float64.

    Example:

    >>> exactly([1.0, 2.0])((3, 2), "float64").shape
    (3, 2)
    """

    def initializer(shape, dtype=None):
        # A copy: JAX and PyTorch may share an array's memory, which is its owner's to change.
        array = np.array(np.broadcast_to(value, shape))
        return ops.convert_to_tensor(array, dtype=dtype)

    return initializer


def argument_names(cls):
    """The arguments of `__init__` by name, those of its base classes too, up to `Layer` and `StateLayer`."""
    names = []
    for base in reversed(cls.__mro__):
        if "__init__" in vars(base) and issubclass(base, Layer) and base not in (Layer, StateLayer):
            kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
            parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
            hands_on = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
            own = [parameter.name for parameter in parameters if parameter.kind in kinds]
            names = ([name for name in names if name not in own] if hands_on else []) + own
    return names


def deserialized(config):
    """A configuration with the objects in it, but for the dtype policy, made of what they were serialised as."""
    return {
        name: keras.saving.deserialize_keras_object(value)
        if isinstance(value, (dict, list)) and name not in ("dtype", "inner")
        else value
        for name, value in config.items()
    }
