"""What every served model has: signatures as its family declares them, golden cases, and the Keras model's answers."""

import inspect

import keras
import tensorflow as tf

from export.guards import faulty_cases, guarded
from export.weights import StoredWeights


class Server(tf.Module):
    """The functions behind the signatures of an exported model.

    What the signatures are called, take and answer, and the limits of it, is declared by the family. Requests are
    checked by it before a subclass computes the answers, see `export.guards`.

    A subclass has `family`, and overrides `answers`, `sizes`, `good_cases`, `keras_answers`, and where it must
    `features`, `defaults` and `facts`.

    Attributes:
        family: The `export.declaration.Family`.
        settings: Dictionary from the names of limits and other settings to numbers.
        declaration: The family's `Declaration` for this model.
        functions: Dictionary from names of signatures to `tf.function`s with an `input_signature`.

    Args:
        model: A Keras model, or a built layer, on the TensorFlow backend. Layers with a mixed precision policy are
            changed to float32: that is what CPUs are good at.
        weights: What the weights are stored as, `"float32"` or `"float16"`: see `export.weights`.
        **settings: Limits of requests and what is served where they don't say, as the family has them.

    Raises:
        ValueError: If Keras runs on another backend, weights are in float64 or too large for what they are stored as,
            or a setting is unknown or no such number.
    """

    family = None

    def __init__(self, model, weights="float32", **settings):
        super().__init__(name=f"{self.family.kind}_server")
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"Only Keras on TensorFlow can write a SavedModel. It runs on {keras.backend.backend()} here: set the "
                "environment variable KERAS_BACKEND to tensorflow. A model trained on another backend can be loaded "
                "there."
            )
        wide = [weight.path for weight in model.weights if weight.dtype == "float64"]
        if wide:
            raise ValueError(f"What is served computes in float32. Received weights in float64, such as '{wide[0]}'.")
        _change_to_float32(model)
        # Behind a function, so that the module's variables are saved and not Keras's objects.
        self._model = lambda: model
        self._weights = StoredWeights(model, weights)
        features = self.features()
        settings = self.family.settle(settings, self.defaults(), features)
        self.declaration = self.family.declare(self.sizes(), settings, features)
        self.check_settings()
        answers = self.answers()
        self.functions = {
            name: self._function(signature, answers[name]) for name, signature in self.declaration.signatures.items()
        }

    def _function(self, signature, answer):
        names = [tensor.name for tensor in signature.inputs]
        specs = [
            tf.TensorSpec(None if tensor.scalar else (None, *tensor.shape), tensor.dtype, name=tensor.name)
            for tensor in signature.inputs
        ]

        def respond(*inputs):
            checked = guarded(signature, self.declaration.max_batch, dict(zip(names, inputs)))
            with self._weights.used():
                outputs = answer(**checked)
            wanted = {tensor.name: tensor.dtype for tensor in signature.outputs}
            found = {name: value.dtype.name for name, value in outputs.items()}
            if wanted != found:
                raise TypeError(f"{signature.name} answers with {found}, and declares {wanted}.")
            # Fails while the graph is made where the shape can't be the declared one.
            return {t.name: tf.ensure_shape(outputs[t.name], (None, *t.shape)) for t in signature.outputs}

        # So that it can be called with the inputs by their names, too.
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        respond.__signature__ = inspect.Signature(parameters)
        return tf.function(respond, input_signature=specs, autograph=False)

    @property
    def model(self):
        """The Keras model."""
        return self._model()

    @property
    def settings(self):
        """The limits and other settings, a dictionary from names to numbers."""
        return self.declaration.settings

    def signatures(self):
        """The signatures as `tf.saved_model.save` takes them, a dictionary from names to concrete functions."""
        return {name: function.get_concrete_function() for name, function in self.functions.items()}

    def answers(self):
        """How signatures are answered.

        Returns:
            Dictionary from names of signatures to functions of the declared inputs, by name, that give a dictionary of
            the declared outputs. Inputs are checked, and numbers have one entry for each example.
        """
        raise NotImplementedError

    def sizes(self):
        """The sizes that the family's declaration has names for, a dictionary of integers."""
        raise NotImplementedError

    def features(self):
        """The names of the features that this model has of those which not all have, a set."""
        return set()

    def defaults(self):
        """The settings that the model decides where the export doesn't, a dictionary."""
        return {}

    def check_settings(self):
        """Raises a `ValueError` if settings don't go together or with the model."""

    def facts(self):
        """What a client may want to know of the model besides the declaration, a dictionary."""
        return {}

    def description(self):
        """What a client needs to know of the model, a dictionary for `export.json`."""
        return {**self.declaration.to_json(), **self.facts(), "weights": self._weights.dtype}

    def good_cases(self):
        """Inputs that are right, for each signature: a list of `golden.Case` without outputs, of five examples each."""
        raise NotImplementedError

    def sample_cases(self):
        """Inputs for each signature, a list of `golden.Case` without outputs; some are to be rejected."""
        good, most = self.good_cases(), self.declaration.max_batch
        faulty, seen = [], set()
        for case in good:
            if case.signature not in seen and not case.has_scalars:
                seen.add(case.signature)
                faulty += faulty_cases(case, self.declaration.signatures[case.signature], most)
        return [case.examples(min(case.size, most)) for case in good] + faulty

    def golden_answers(self, case):
        """What the Keras model answers to the inputs of a case with the weights as they are stored.

        Args:
            case: A `golden.Case` that is not to be rejected.

        Returns:
            Dictionary from names to arrays, as the signature's outputs.
        """
        with self._weights.used():
            return self.keras_answers(case)

    def keras_answers(self, case):
        """What the Keras model answers to the inputs of a case, found in another way than by the signature.

        Args:
            case: A `golden.Case` that is not to be rejected.

        Returns:
            Dictionary from names to arrays, as the signature's outputs.
        """
        raise NotImplementedError


def _change_to_float32(model):
    layers = list(model._flatten_layers())
    for layer in layers:
        if layer.compute_dtype != "float32":
            layer.dtype_policy = "float32"
    for layer in reversed(layers):
        # A sequential model keeps an input of the dtype that its first layer had, and would round to it.
        inputs = getattr(layer, "inputs", None) if isinstance(layer, keras.Sequential) else None
        if inputs and inputs[0].dtype in ("bfloat16", "float16"):
            shape, inner = inputs[0].shape, layer.layers
            for _ in range(len(inner) + 1):
                layer.pop(rebuild=False)
            for one in inner:
                layer.add(one, rebuild=False)
            layer.build(shape)
