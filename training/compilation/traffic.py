"""Bytes that a compiled program reads and writes, instruction by instruction, as they lie in a TPU's memory."""

import math
import re

# Their results are there already, or are those of instructions that are counted.
_FREE = {
    "parameter",
    "constant",
    "get-tuple-element",
    "tuple",
    "bitcast",
    "while",
    "conditional",
    "call",
    "after-all",
    "opt-barrier",
    "partition-id",
    "replica-id",
    "custom-call",
}
_SLICES = ("dynamic-slice", "slice", "gather")


def stored_size(kind):
    """Bytes of a type in memory: its last axes are filled up to the tiles of its layout.

    Example:

    >>> stored_size("f32[100,4]{1,0:T(8,128)}")
    53248
    """
    total = 0
    for name, shape, layout in re.findall(r"\b([a-z]\w*)\[([\d,]*)\](?:\{([^}]*)\})?", kind):
        found = re.search(r"\d+", name)
        sizes = [int(size) for size in shape.split(",") if size]
        order, _, rest = layout.partition(":")
        tile = re.search(r"T\(([\d,]+)\)", rest)
        if tile and sizes:
            tile = [int(size) for size in tile[1].split(",")][::-1]
            sizes = [sizes[int(axis)] for axis in order.split(",")]
            sizes += [1] * (len(tile) - len(sizes))
            sizes[: len(tile)] = [-(-size // full) * full for size, full in zip(sizes, tile)]
        total += math.prod(sizes) * (int(found[0]) if found else 8) // 8
    return total


def traffic(instruction, computation, computations):
    """Bytes that an instruction reads and writes.

    Of what it takes only a part of, the part; of what it changes in place, what is changed.

    Args:
        instruction: An `Instruction`.
        computation: The instructions of its computation, by name.
        computations: All computations, by name.
    """
    if instruction.operation in _FREE or instruction.operation.endswith("-done"):
        return 0
    read = sum(
        _read(instruction, position, computation, computations)
        for position, name in enumerate(instruction.operands)
        if name in computation
    )
    return read + _written(instruction, computation, computations)


def _read(instruction, position, computation, computations):
    """Bytes of one of its operands that an instruction reads."""
    operand = computation[instruction.operands[position]]
    if instruction.operation in _SLICES and position == 0:
        return stored_size(instruction.type)
    if instruction.operation == "dynamic-update-slice" and position == 0:
        return 0
    if instruction.operation != "fusion":
        return stored_size(operand.type)
    inner = computations[instruction.called[0]]
    parameter = next(
        one.name for one in inner.values() if one.operation == "parameter" and int(one.arguments) == position
    )
    return min(_read_inside(parameter, inner, computations), stored_size(operand.type))


def _read_inside(name, computation, computations):
    """Bytes of a value in a fused computation that those that use it read."""
    total = 0
    for user in computation.values():
        for position, operand in enumerate(user.operands):
            if operand == name:
                if user.operation == "bitcast":
                    total += _read_inside(user.name, computation, computations)
                elif user.operation != "tuple":
                    total += _read(user, position, computation, computations)
    return total


def _written(instruction, computation, computations):
    if instruction.operation == "dynamic-update-slice":
        return stored_size(computation[instruction.operands[1]].type)
    if instruction.operation.endswith("-start"):
        return sum(stored_size(computation[name].type) for name in instruction.operands if name in computation)
    if instruction.operation != "fusion":
        return stored_size(instruction.type)
    inner = computations[instruction.called[0]]
    root = next(one for one in inner.values() if one.root)
    results = [inner[name] for name in root.operands] if root.operation == "tuple" else [root]
    return sum(_written_inside(result, inner, computations) for result in results)


def _written_inside(result, computation, computations):
    source = result
    while source.operation == "bitcast":
        source = computation[source.operands[0]]
    if source.operation in ("dynamic-update-slice", "fusion"):
        return _written(source, computation, computations)
    return stored_size(result.type)
