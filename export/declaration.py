"""What a family of served models takes and answers, said once: for the export, its check, clients and documentation.

A `Family` is written with names for what differs from model to model: sizes such as `"height"`, and limits such as
`"max_steps"`. `Family.declare` puts a model's numbers in their place. The result, a `Declaration`, is what a version
keeps in `assets.extra/export.json`. Nothing here imports TensorFlow or Keras.
"""

import dataclasses
import math

#: Name of the signature that XLA compiles.
COMPILED = "compiled"
#: Every family has this limit.
MAX_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Setting:
    """A number that is chosen when a model is exported: a limit of requests, or what is served where they don't say.

    Attributes:
        name: Such as `"max_steps"`; the option of the command is `--max-steps`.
        text: What it is.
        default: Where the export doesn't say; `None` if the model decides.
        whole: Whether it is an integer of at least 1; otherwise it is a number of at least 0.
        needs: The feature of a model without which there is no such setting; empty if all models have it.
    """

    name: str
    text: str
    default: float | None = None
    whole: bool = True
    needs: str = ""

    def checked(self, value):
        """The value, or a `ValueError` if it is no such number."""
        if self.whole:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{self.name}` must be an integer of at least 1. Received {value!r}.")
        elif not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise ValueError(f"`{self.name}` must be a finite number of at least 0. Received {value!r}.")
        return value


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or an output of a signature.

    Attributes:
        name: Its name.
        dtype: `"int32"`, `"float32"`, `"uint8"` or `"string"`.
        shape: Its shape for one example, a tuple of integers and of names of sizes. The batch comes before it.
        text: What it holds.
        lowest: The lowest value of an input: a number or the name of a size or a setting, which may have a minus sign
            before it; of a string the fewest bytes.
        highest: The highest value, likewise.
        limit: Name of the setting that `highest` is from, once the numbers are known; empty if it is from none.
        scalar: Whether an input may be a scalar too, which then counts for all examples.
        needs: The feature of a model without which there is no such tensor; empty if all models have it.
    """

    name: str
    dtype: str
    shape: tuple = ()
    text: str = ""
    lowest: float | str | None = None
    highest: float | str | None = None
    limit: str = ""
    scalar: bool = False
    needs: str = ""

    def shape_text(self):
        """The shape with the batch in words, such as `(B, 9, 9)`."""
        shape = f"({', '.join(['B', *map(str, self.shape)])}{'' if self.shape else ','})"
        return f"{shape} or a scalar" if self.scalar else shape

    def range_text(self):
        """The values that are accepted, in words; empty if any are."""
        if self.highest is None:
            return ""
        unit = " bytes" if self.dtype == "string" else ""
        return f"{self.lowest} to {self.highest}{unit}"


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature: what is asked and what is answered.

    Attributes:
        name: Its name.
        text: What it does.
        inputs: Tuple of `Tensor`. The first one has the examples.
        outputs: Tuple of `Tensor`.
        needs: The feature of a model without which there is no such signature; empty if all models have it.
    """

    name: str
    text: str
    inputs: tuple
    outputs: tuple
    needs: str = ""


@dataclasses.dataclass(frozen=True)
class Family:
    """Models that are served alike.

    Attributes:
        kind: Name of such models for the server, unless another one is given.
        text: What they do.
        signatures: Tuple of `Signature`.
        settings: Tuple of `Setting`, to which `max_batch` is added.
    """

    kind: str
    text: str
    signatures: tuple
    settings: tuple = ()

    def __post_init__(self):
        batch = Setting("max_batch", "largest number of examples in a request", MAX_BATCH)
        object.__setattr__(self, "settings", (batch, *self.settings))

    def settle(self, given, defaults, features):
        """The values of all settings that a model with these features has.

        Args:
            given: Dictionary of those that are chosen.
            defaults: Dictionary of those that the model decides otherwise.
            features: Set of names.

        Returns:
            Dictionary from names to numbers.

        Raises:
            ValueError: If there is no such setting, or it is no such number.
        """
        own = {setting.name: setting for setting in self.settings if _is_there(setting, features)}
        unknown = sorted(set(given) - set(own))
        if unknown:
            raise ValueError(
                f"A served {self.kind} model has no limit `{unknown[0]}`. This one has: {', '.join(sorted(own))}."
            )
        values = {name: defaults.get(name, setting.default) for name, setting in own.items()}
        return {name: own[name].checked(value) for name, value in {**values, **given}.items()}

    def declare(self, sizes, settings, features=()):
        """What one model takes and answers.

        Args:
            sizes: Dictionary from the names in shapes and ranges to integers.
            settings: Dictionary as from `settle`.
            features: Set of the names of features that the model has.

        Returns:
            A `Declaration`.
        """
        numbers = {**sizes, **settings}

        def known(tensor):
            return dataclasses.replace(
                tensor,
                shape=tuple(_number(size, numbers) for size in tensor.shape),
                lowest=_number(tensor.lowest, numbers),
                highest=_number(tensor.highest, numbers),
                limit=tensor.highest if tensor.highest in settings else "",
                needs="",
            )

        signatures = {}
        for signature in self.signatures:
            if _is_there(signature, features):
                inputs, outputs = (
                    tuple(known(tensor) for tensor in tensors if _is_there(tensor, features))
                    for tensors in (signature.inputs, signature.outputs)
                )
                signatures[signature.name] = Signature(signature.name, signature.text, inputs, outputs)
        return Declaration(self.kind, self.text, signatures, dict(settings))


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What one model takes and answers.

    Attributes:
        kind: As of `Family`.
        text: Likewise.
        signatures: Dictionary from names to `Signature`, without names of sizes and settings.
        settings: Dictionary from the names of settings to numbers.
    """

    kind: str
    text: str
    signatures: dict
    settings: dict

    @property
    def max_batch(self):
        """The largest number of examples in a request."""
        return self.settings["max_batch"]

    def to_json(self):
        """The same as dictionaries, lists, strings and numbers."""
        signatures = {}
        for signature in self.signatures.values():
            inputs, outputs = (
                {
                    tensor.name: {
                        name: value
                        for name, value in dataclasses.asdict(tensor).items()
                        if name != "name" and value != "" and value is not None and value is not False
                    }
                    for tensor in tensors
                }
                for tensors in (signature.inputs, signature.outputs)
            )
            signatures[signature.name] = {"text": signature.text, "inputs": inputs, "outputs": outputs}
        return {"kind": self.kind, "text": self.text, "settings": self.settings, "signatures": signatures}

    @classmethod
    def from_json(cls, description):
        """The declaration that `to_json` wrote, of a dictionary that may hold more.

        Raises:
            ValueError: If it does not hold a declaration.
        """
        try:
            signatures = {}
            for name, signature in description["signatures"].items():
                inputs, outputs = (
                    tuple(
                        Tensor(**{"name": own, **values, "shape": tuple(values["shape"])})
                        for own, values in signature[tensors].items()
                    )
                    for tensors in ("inputs", "outputs")
                )
                signatures[name] = Signature(name, signature["text"], inputs, outputs)
            settings = dict(description["settings"])
            return cls(description["kind"], description["text"], signatures, {"max_batch": MAX_BATCH, **settings})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"The version does not say what it takes ({type(error).__name__}: {error}): another version of this "
                "program wrote it. Export the model anew."
            ) from None


def table(declaration):
    """The signatures of a family or of one model as a table in Markdown, a row for each tensor.

    Args:
        declaration: A `Family` or a `Declaration`.

    Returns:
        Text of several lines.
    """
    family = isinstance(declaration, Family)
    signatures = declaration.signatures if family else declaration.signatures.values()
    lines = ["| signature | | tensor | dtype, shape | values | |", "| --- | --- | --- | --- | --- | --- |"]
    for signature in signatures:
        needs = {"": "", "xla": ", with `--xla`"}.get(signature.needs, f", with {signature.needs}")
        name = f"`{signature.name}`" + (needs if family else "")
        for which, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for tensor in tensors:
                more = family and tensor.needs not in ("", signature.needs)
                text = tensor.text + (f" (models with {tensor.needs})" if more else "")
                cells = [name, which, f"`{tensor.name}`", f"{tensor.dtype} {tensor.shape_text()}", tensor.range_text()]
                lines.append("".join(f"| {cell} " if cell else "| " for cell in (*cells, text)) + "|")
                name = which = ""
    return "\n".join(lines)


def _number(value, numbers):
    """The number that a name stands for, also with a minus sign before it; any other value as it is."""
    if isinstance(value, str) and value.startswith("-"):
        return -numbers[value[1:]]
    return numbers[value] if isinstance(value, str) else value


def _is_there(part, features):
    return not part.needs or part.needs in features
