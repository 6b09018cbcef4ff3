"""Options as frozen dataclasses, whose fields say what values they take, changed by `name=value` settings."""

import copy
import dataclasses
import json
import math


def option(
    default, text="", *, least=None, above=None, most=None, below=None, choices=None, evaluation=False, kept=True
):
    """A field of an `Options` class.

    Args:
        default: Its value where nothing else is said. Others must be of its type: a number, a string, `True` or
            `False`, one or more of those as a list or a tuple, or a group of entries by name as a dictionary.
        text: Its help, for a command that has an argument for each option.
        least: The least number that is allowed; of several values, for each.
        above: What a number must be above.
        most: The greatest number that is allowed.
        below: What a number must be below.
        choices: The values that are allowed, if they can be listed.
        evaluation: Whether it concerns the evaluation of a trained model, so that it can be set for that alone.
        kept: Whether results with another value are other results, which belong in another directory.

    Returns:
        A `dataclasses.field`.

    Example:

    >>> @dataclasses.dataclass(frozen=True)
    ... class Walk(Options):
    ...     length: float = option(1.0, above=0)
    >>> Walk(length=-2)
    Traceback (most recent call last):
    ...
    ValueError: `length` must be a finite number above 0. Received -2.
    """
    bounds = {"at least": least, "above": above, "at most": most, "below": below}
    metadata = {
        "help": text,
        "bounds": {words: bound for words, bound in bounds.items() if bound is not None},
        "choices": choices,
        "evaluation": evaluation,
        "kept": kept,
        "default": default,
    }
    return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """Base class of options: frozen dataclasses with fields made by `option`.

    Raises:
        ValueError: If a value is not what its field takes. The message names the option, the value and what is needed.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not _fits(field.metadata, value):
                raise ValueError(f"{self.written(field.name)} must be {_wanted(field.metadata)}. Received {value!r}.")

    @staticmethod
    def written(name):
        """An option's name as messages have it."""
        return f"`{name}`"

    @classmethod
    def from_saved(cls, saved):
        """The options that a run's configuration holds.

        Args:
            saved: Dictionary by name, as JSON gives it back. Options that did not exist when it was written are at
                their defaults.

        Raises:
            ValueError: If there is an option that does not exist, or a value that is not allowed.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in saved:
            if name not in fields:
                raise ValueError(unknown("option", name, fields))
        return cls(**{name: _as_kind(fields[name].metadata["default"], value) for name, value in saved.items()})


@dataclasses.dataclass(frozen=True)
class LoopOptions(Options):
    """What the loop needs to know of any experiment.

    Attributes:
        steps: Number of updates.
        batch_size: Examples of an update, over all replicas.
        steps_per_call: Updates that run for each call from Python.
        learning_rate: Highest learning rate.
        clip_norm: Largest global norm of the gradients; 0 leaves them as they are.
        average_momentum: Share that the averaged weights keep in each update (less in the first ones); with 0 they are
            the weights of the last update.
        evaluate_every: Updates between two evaluations of the averaged weights.
        checkpoint_every: Updates between two checkpoints.
        keep_checkpoints: How many of the latest checkpoints are kept.
        best_metric: Number of the evaluation by which the best checkpoint is kept too, and its weights as `best.keras`;
            none if empty.
        best_mode: Whether the greatest (`"max"`) or the least (`"min"`) of it is the best.
        seed: Seed of everything random: weights, order, noise.
    """

    steps: int = option(1000, least=1)
    batch_size: int = option(100, least=1)
    steps_per_call: int = option(10, least=1)
    learning_rate: float = option(1e-3, above=0)
    clip_norm: float = option(1.0, least=0)
    average_momentum: float = option(0.995, least=0, below=1)
    evaluate_every: int = option(500, least=1, kept=False)
    checkpoint_every: int = option(500, least=1, kept=False)
    keep_checkpoints: int = option(2, least=1, kept=False)
    best_metric: str = option("", kept=False)
    best_mode: str = option("max", choices=("max", "min"), kept=False)
    seed: int = option(0, least=0, evaluation=True)

    def __post_init__(self):
        super().__post_init__()
        for name in ("evaluate_every", "checkpoint_every"):
            if getattr(self, name) % self.steps_per_call:
                raise ValueError(
                    f"`{name}` must be a multiple of `steps_per_call`. Received {getattr(self, name)} and "
                    f"{self.steps_per_call}."
                )


@dataclasses.dataclass(frozen=True)
class AdamOptions(LoopOptions):
    """Options of Adam with a cosine decay, besides those of the loop.

    Attributes:
        final_learning_rate: Learning rate at the end of the cosine decay, as a share of the highest.
        warmup_steps: Updates over which the learning rate rises from 0.
        weight_decay: What an update takes away of the weights, as a share of them for a learning rate of 1 (decoupled,
            as in AdamW); biases, normalisations and the γ and Ω of oscillators stay.
    """

    final_learning_rate: float = option(0.05, least=0, most=1)
    warmup_steps: int = option(100, least=0)
    weight_decay: float = option(0.0, least=0)


@dataclasses.dataclass(frozen=True)
class LionOptions(LoopOptions):
    """Options of Lion with an exponential decay, besides those of the loop.

    Attributes:
        decay_steps: Updates in which the learning rate falls to `decay_rate` of what it was, continuously.
        decay_rate: See `decay_steps`.
    """

    learning_rate: float = option(1e-4, above=0)
    clip_norm: float = option(0.0, least=0)
    average_momentum: float = option(0.0, least=0, below=1)
    decay_steps: int = option(1000, least=1)
    decay_rate: float = option(0.5, above=0, most=1)


def unknown(what, name, known):
    """What to say of a name that does not exist: the nearest one that does, and all.

    Args:
        what: What it was to name, such as `"option"`.
        name: The name.
        known: The names that there are.

    Example:

    >>> unknown("option", "stepz", ["steps", "seed"])
    "Unknown option 'stepz'. Did you mean 'steps'? Known: steps, seed."
    """
    # As the library says it, which starts Keras: this module is imported before that.
    from keras_kuramoto import _checks

    return _checks.unknown(what, name, known)


def parse_value(text):
    """A number, list, `true`, `false` or `null` as JSON has them, anything else as a string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def with_settings(options, settings, evaluation=False):
    """Options with some of them changed.

    Args:
        options: An `Options`.
        settings: Strings `name=value`; `group.entry=value`, as deep as need be, for an option that is a group. Where a
            group has an entry `name`, which says what the others are the arguments of, another name drops those.
        evaluation: Whether only options of the evaluation may be changed.

    Returns:
        A changed copy.

    Raises:
        ValueError: If a setting has no `=`, the name is unknown, or the value is not one that the option takes.

    Example:

    >>> with_settings(LoopOptions(), ["steps=20", "learning_rate=0.01"]).steps
    20
    """
    fields = {field.name: field for field in dataclasses.fields(options)}
    allowed = [name for name, field in fields.items() if field.metadata["evaluation"] or not evaluation]
    changes = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"A setting must look like name=value. Received '{setting}'.")
        name, *entries = path.split(".")
        if name not in allowed:
            if name in fields:
                raise ValueError(
                    f"'{name}' is an option of the training: another value needs another run. Options of the "
                    f"evaluation: {', '.join(allowed)}."
                )
            raise ValueError(unknown("option of the evaluation" if evaluation else "option", name, allowed))
        default, present = fields[name].metadata["default"], changes.get(name, getattr(options, name))
        if isinstance(default, dict) != bool(entries) or "" in entries:
            raise ValueError(
                f"'{name}' is {'a' if isinstance(default, dict) else 'not a'} group, whose entries are set as "
                f"{name}.entry=value. Received '{setting}'."
            )
        value = parse_value(text)
        changes[name] = _with_entry(present, entries, value, setting) if entries else _as_kind(default, value)
    return dataclasses.replace(options, **changes)


def _with_entry(group, entries, value, setting):
    if not isinstance(group, dict):
        raise ValueError(f"What '{setting}' sets an entry of is no group but {group!r}.")
    entry, *deeper = entries
    if deeper:
        value = _with_entry(group.get(entry, {}), deeper, value, setting)
    elif entry == "name" and value != group.get("name"):
        group = {}
    return {**group, entry: value}


def _as_kind(default, value):
    """A value as JSON has it, in the type of the default: there are no tuples in JSON, and 1 is a float too."""
    if isinstance(default, (list, tuple)) and isinstance(value, (list, tuple)):
        return type(default)(_as_kind(default[0], element) if default else element for element in value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    return value


def _fits(metadata, value):
    default, choices = metadata["default"], metadata["choices"]
    if isinstance(default, (list, tuple)):
        if not isinstance(value, type(default)) or not value:
            return False
        return all(_fits({**metadata, "default": default[0]}, element) for element in value)
    if isinstance(default, (bool, str, dict)):
        right = isinstance(value, type(default))
    else:
        numbers = (int, float) if isinstance(default, float) else int
        right = isinstance(value, numbers) and not isinstance(value, bool) and math.isfinite(value)
    tests = {
        "at least": lambda bound: value >= bound,
        "above": lambda bound: value > bound,
        "at most": lambda bound: value <= bound,
        "below": lambda bound: value < bound,
    }
    return (
        right
        and (choices is None or value in choices)
        and all(tests[words](bound) for words, bound in metadata["bounds"].items())
    )


def _wanted(metadata):
    """What a value must be, in words."""
    default = metadata["default"]
    several = isinstance(default, (list, tuple))
    sample = default[0] if several else default
    if metadata["choices"] is not None:
        words = f"one of {', '.join(map(str, metadata['choices']))}"
        return f"a list, each {words}" if several else words
    names = {
        bool: ("true or false", "truth values"),
        int: ("an integer", "integers"),
        float: ("a finite number", "finite numbers"),
        str: ("a text", "texts"),
        dict: ("a group of entries", "groups of entries"),
    }
    one, more = names[type(sample)]
    bounds = " and ".join(f"{words} {bound}" for words, bound in metadata["bounds"].items())
    of = " of" if bounds.startswith("at ") else ""
    return f"{f'a list of {more}' if several else one}{of + ' ' + bounds if bounds else ''}"
