"""Reading a program before it is compiled, in StableHLO as text: what a TPU refuses, and where it comes from."""

import math
import re

from training.compilation.hlo import place

# What fills a chip's memory is an array of these, not a part of a computation.
_ARRAY = re.compile(r"tensor<((?:\d+x)*)([a-z]+)(\d+)[^>]*>")


def check(text):
    """Refuses a program in which a shape depends on the data, or that has operations of another dialect.

    Args:
        text: The program.

    Raises:
        ValueError: If there is such a thing; it names the operation and its place.
    """
    for line in text.splitlines():
        dynamic = re.search(r"tensor<(?:\d+x)*\?", line) or "stablehlo.set_dimension_size" in line
        if dynamic or re.search(r"= \"?(mhlo|chlo)\.", line):
            what = "has a shape that depends on the data" if dynamic else "is unknown to its compiler"
            raise ValueError(f"A TPU refuses the step: {_operation(line)} {what}, at '{location(text, line)}'.")


def largest(text):
    """The largest array of a program: `(bytes, operation, place)`."""
    size, line = max(((_size(line), line) for line in text.splitlines()), default=(0, ""))
    return size, _operation(line), location(text, line)


def location(text, line):
    """The place in the model of a line's operation, by the name that the framework gave it."""
    found = re.search(r"loc\((.*)\)\s*$", line)
    seen = found[1] if found else ""
    for _ in range(8):
        # A name of a file is followed by a line.
        names = [name for name, line in re.findall(r'"([^"]*)"(:\d+)?', seen) if not line and place(name)]
        if names:
            return place(names[0])
        references = set(re.findall(r"#loc\d*", seen))
        seen = " ".join(
            definition[2]
            for definition in re.finditer(r"^(#loc\d*) = loc\((.*)\)$", text, re.MULTILINE)
            if definition[1] in references
        )
    return "an unknown place"


def _operation(line):
    found = re.search(r"= \"?([\w.]+)", line)
    return f"'{found[1]}'" if found else "an argument"


def _size(line):
    """Bytes of the largest result of a line."""
    if " = " not in line:
        return 0
    sizes = (math.prod(map(int, shape.split("x")[:-1])) * int(bits) // 8 for shape, _, bits in _ARRAY.findall(line))
    return max(sizes, default=0)
