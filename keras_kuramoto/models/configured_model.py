"""The base of all models."""

import contextlib
import contextvars
import inspect
import pathlib
import types

import keras

from keras_kuramoto._checks import unknown

# The models whose `__call__` runs now, in this thread.
_inside = contextvars.ContextVar("inside", default=())
_WEIGHTS = pathlib.Path(__file__).parent / "weights"


class _Presets:
    """The presets of a class and of those that derive from it, by name: the class, and a function of the arguments."""

    def __get__(self, model, cls):
        known = dict(cls.__dict__.get("_own_presets", {}))
        for derived in cls.__subclasses__():
            known.update(derived.presets)
        return known


class ConfiguredModel(keras.Model):
    """Base class of the library's models: functional, rebuilt from their arguments, with presets, and with options.

    A subclass calls this `__init__` with the arguments of its own, and has

    - `make_layers(**arguments)`, a static method: the layers by name. They become attributes of these names;
    - `make_inputs(**arguments)`, a static method: the model's `keras.Input`s by name, in their order;
    - `compute_outputs(…)`: from tensors by these names, and whatever other options, to the outputs.

    The configuration has the arguments, and each layer as it is now: what was changed after the model was made, such as
    a dtype policy by `quantize`, `trainable`, or a solver, is saved and comes back.

    Args:
        arguments: The arguments of the subclass's `__init__` by name. Objects among them are Keras objects.
        layers: What `get_config` says of the layers.
        name: Name of the model.
        trainable: Whether the weights are trained.
        dtype: Dtype policy of the layers that the model makes, Keras' global one by default.

    Attributes:
        arguments: As above, with objects as Keras serialises them.
        presets: Of a class: its presets and those of classes that derive from it, by name.

    Raises:
        TypeError: If an argument is unknown.

    Example:

    >>> from keras import ops
    >>> class Linear(ConfiguredModel):
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__({"units": units}, **kwargs)
    ...
    ...     @staticmethod
    ...     def make_layers(units):
    ...         return {"dense": keras.layers.Dense(units)}
    ...
    ...     @staticmethod
    ...     def make_inputs(units):
    ...         return {"x": keras.Input((3,), name="x")}
    ...
    ...     def compute_outputs(self, x, scale=1.0):
    ...         return scale * self.dense(x)
    >>> Linear(4).run(ops.ones((2, 3)), scale=2.0).shape
    (2, 4)
    """

    presets = _Presets()

    def __init__(self, arguments, layers=None, name=None, trainable=True, dtype=None):
        with dtype_policy(dtype) as policy:
            deserialize = keras.saving.deserialize_keras_object
            made = self.make_layers(**arguments) if layers is None else {n: deserialize(v) for n, v in layers.items()}
            self._layer_names = tuple(made)
            for attribute, layer in made.items():
                # PyTorch takes no modules before the `__init__` of the model, whose functional graph tracks them.
                object.__setattr__(self, attribute, layer)
            inputs = self.make_inputs(**arguments)
            outputs = self.compute_outputs(**inputs)
        # A model of one input takes it alone, one of several takes a dictionary too.
        single = next(iter(inputs.values())) if len(inputs) == 1 else inputs
        super().__init__(inputs=single, outputs=outputs, name=name)
        self.dtype_policy = policy
        # As they are written down: Keras would take an object among them for a layer of the model.
        self.arguments = {name: keras.saving.serialize_keras_object(value) for name, value in arguments.items()}
        self._input_names = tuple(inputs)
        if not trainable:
            self.trainable = False

    @staticmethod
    def make_layers(**arguments):
        """The layers of a model with these arguments, by name."""
        raise NotImplementedError

    @staticmethod
    def make_inputs(**arguments):
        """The `keras.Input`s of a model with these arguments, by name. Those after the first may be optional."""
        raise NotImplementedError

    def compute_outputs(self, **inputs):
        """The outputs for inputs by name; further arguments are the options of `run`."""
        raise NotImplementedError

    def __call__(self, inputs, *args, **kwargs):
        token = _inside.set((*_inside.get(), id(self)))
        try:
            return super().__call__(self._structured(inputs), *args, **kwargs)
        finally:
            _inside.reset(token)

    def call(self, inputs, training=None, mask=None, options=None):
        # The layers take `training` from the call's context, which `__call__` makes: on JAX, `fit` and `predict` come
        # here without it.
        if id(self) not in _inside.get():
            return self(inputs, training=training, mask=mask, options=options)
        inputs = self._structured(inputs)
        inputs = inputs if isinstance(inputs, dict) else {self._input_names[0]: inputs}
        return self.compute_outputs(**inputs, **({} if options is None else vars(options)))

    def compute_output_spec(self, inputs, training=None, mask=None, options=None):
        return keras.Operation.compute_output_spec(self, self._structured(inputs), training=training, options=options)

    def run(self, *inputs, training=False, **options):
        """The outputs, with options of `compute_outputs`.

        Args:
            *inputs: The inputs in their order; those that are left out at the end are `None`. They may be given by name
                too.
            training: Whether dropout and the like are active and statistics are updated.
            **options: Further arguments of `compute_outputs`.

        Returns:
            What `compute_outputs` returns.
        """
        given = dict(zip(self._input_names, inputs))
        given |= {name: options.pop(name) for name in self._input_names if name in options}
        if len(self._input_names) == 1:
            (given,) = given.values()
        # In one object: Keras takes no dictionary of tensors and other things.
        return self(given, training=training, options=types.SimpleNamespace(**options))

    def _structured(self, inputs):
        """The inputs as the functional model has them, from what a user gives: a dictionary, or the first one alone."""
        names = self._input_names
        given = inputs if isinstance(inputs, dict) else {names[0]: inputs}
        if set(given) - set(names) or names[0] not in given:
            raise ValueError(f"The inputs of '{self.name}' are {list(names)}. Received {sorted(given)}.")
        # All of them tensors: Keras takes no dictionary of tensors and arrays.
        tensors = {name: _to_tensor(given.get(name)) for name in names}
        return tensors if len(names) > 1 else tensors[names[0]]

    def get_config(self):
        # Not that of a functional model: the arguments and the layers rebuild the graph.
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            **self.arguments,
            "layers": {name: _as_it_is(serialize(getattr(self, name))) for name in self._layer_names},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = {
            name: value if name == "layers" else keras.saving.deserialize_keras_object(value, custom_objects)
            for name, value in config.items()
        }
        return cls(**config)

    @classmethod
    def from_preset(cls, name, load_weights=True, **changes):
        """The model of a preset.

        Args:
            name: One of `presets`.
            load_weights: Whether to load the trained weights that come with the library.
            **changes: Arguments of the model in place of the preset's. A dictionary for an argument that is an object
                changes the object's configuration.

        Returns:
            A model of this class or of one that derives from it.

        Raises:
            ValueError: If the name or an argument is unknown, or no weights come with the preset.

        Example:

        >>> from keras_kuramoto.models import SudokuModel
        >>> model = SudokuModel.from_preset("sudoku4_quick", load_weights=False, connectivity={"heads": 2})
        >>> model.network.blocks[0].kuramoto.connectivity.heads
        2
        """
        presets = cls.presets
        if name not in presets:
            raise ValueError(unknown("preset", name, presets))
        weights = _WEIGHTS / f"{name}.weights.h5"
        if load_weights and not weights.exists():
            known = sorted(path.name.removesuffix(".weights.h5") for path in _WEIGHTS.glob("*.weights.h5"))
            raise ValueError(
                f"No trained weights come with the preset '{name}': ask for it with `load_weights=False`. There are "
                f"some for: {', '.join(known)}."
            )
        model_class, arguments = presets[name]
        with dtype_policy(changes.get("dtype")):
            arguments = arguments()
            # Those of the class, whose `**kwargs` are three of Keras.
            known = [*list(inspect.signature(model_class).parameters)[:-1], "name", "trainable", "dtype"]
            for key, value in changes.items():
                if key not in known:
                    raise ValueError(unknown(f"argument of the preset '{name}',", key, known))
                if isinstance(value, dict) and hasattr(arguments.get(key), "from_config"):
                    value = _changed(arguments[key], value)
                arguments[key] = value
            model = model_class(**{"name": name, **arguments})
        if load_weights:
            model.load_weights(weights)
        return model


def add_presets(cls, presets):
    """Gives a model class presets: functions without arguments that return the model's arguments, by name."""
    cls._own_presets = {name: (cls, arguments) for name, arguments in presets.items()}


def copied(layer, **changes):
    """A layer of the same configuration but for changes; what is no layer as it is, for others to judge."""
    if not isinstance(layer, keras.layers.Layer):
        return layer
    return type(layer).from_config({**layer.get_config(), **changes})


@contextlib.contextmanager
def dtype_policy(policy):
    """Makes a dtype policy Keras' global one for a while, and gives it; `None` for the one that there is."""
    before = keras.config.dtype_policy()
    if isinstance(policy, dict):
        policy = keras.dtype_policies.deserialize(policy)
    policy = before if policy is None else keras.dtype_policies.get(policy)
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy(before)


def _to_tensor(value):
    return value if value is None or isinstance(value, keras.KerasTensor) else keras.ops.convert_to_tensor(value)


def _changed(layer, changes):
    config = layer.get_config()
    for key in changes:
        if key not in config:
            raise ValueError(unknown(f"argument of {type(layer).__name__},", key, config))
    return type(layer).from_config({**config, **changes})


def _as_it_is(config):
    """A configuration without the shapes that Keras notes for layers that are built: the model builds them anew."""
    if isinstance(config, dict):
        return {name: _as_it_is(value) for name, value in config.items() if name != "build_config"}
    return [_as_it_is(value) for value in config] if isinstance(config, list) else config
