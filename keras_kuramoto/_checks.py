"""Checks of arguments, with errors that name the argument."""

import difflib
import math

import numpy as np


def check_number(name, value):
    """The float that a finite number is."""
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number. Received {value!r}.")
    return float(value)


def check_positive(name, value):
    """The float that a positive, finite number is."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ValueError(f"`{name}` must be a positive number. Received {value!r}.")
    return float(value)


def check_whole(name, value, least):
    """The integer that a number of at least `least` is."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}. Received {value!r}.")
    return int(value)


def unknown(what, name, known):
    """What to say of a name that does not exist: the nearest one that does, and all.

    Args:
        what: What it was to name, such as `"preset"`.
        name: The name.
        known: The names that there are.
    """
    close = difflib.get_close_matches(str(name), known, 1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"Unknown {what} '{name}'.{hint} Known: {', '.join(known)}."
