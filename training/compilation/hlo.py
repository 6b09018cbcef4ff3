"""Reading a compiled program: how often its loops run, what it costs, what goes over the links."""

import dataclasses
import functools
import math
import re

from training.compilation.traffic import traffic

_INSTRUCTION = re.compile(r"^\s+(?P<root>ROOT )?%(?P<name>\S+) = ")
_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%(?P<name>\S+) \(.*\{$")
_CALLED = re.compile(
    r"(?:calls|to_apply|condition|body|branch_computations|called_computations)=\{?((?:%[^\s,}]+(?:, )?)+)"
)
_BYTES = {"pred": 1, "c64": 8, "c128": 16}
# What is sent of an array of so many bytes, by each of so many chips, on a ring.
_SENT = {
    "all-reduce": lambda size, chips: 2 * size * (chips - 1) / chips,
    "all-gather": lambda size, chips: size * (chips - 1) / chips,
    "reduce-scatter": lambda size, chips: size * (chips - 1) / chips,
    "all-to-all": lambda size, chips: size * (chips - 1) / chips,
    "collective-permute": lambda size, chips: size,
}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of a program.

    Attributes:
        name: Its name.
        type: The type of its result, as text.
        operation: Such as `"fusion"`.
        arguments: What stands in its parentheses.
        attributes: What follows.
        root: Whether it is the computation's result.
    """

    name: str
    type: str
    operation: str
    arguments: str
    attributes: str
    root: bool

    @classmethod
    def parse(cls, line):
        """The instruction of a line, or `None`."""
        found = _INSTRUCTION.match(line)
        if not found:
            return None
        rest = line[found.end() :]
        end = _closing(rest, 0) if rest.startswith("(") else rest.index(" ")
        kind, rest = rest[:end], rest[end:].lstrip()
        start = rest.index("(")
        end = _closing(rest, start)
        return cls(found["name"], kind, rest[:start], rest[start + 1 : end - 1], rest[end:], found["root"] is not None)

    @property
    def operands(self):
        """Names of the instructions that it takes the results of."""
        return re.findall(r"%([^\s,)]+)", self.arguments)

    @property
    def called(self):
        """Names of the computations in it."""
        return [name for group in _CALLED.findall(self.attributes) for name in re.findall(r"%([^\s,}]+)", group)]

    @property
    def index(self):
        """Which element of a tuple it takes."""
        return int(re.search(r"index=(\d+)", self.attributes)[1])

    @property
    def place(self):
        """Where in the model it comes from, as far as is known."""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return place(found[1]) if found else ""


@dataclasses.dataclass(frozen=True)
class Loop:
    """A loop of a program.

    Attributes:
        place: Where in the model.
        runs: How often it runs, at the most; `None` if that is not known before.
        exact: Whether it always runs that often.
    """

    place: str
    runs: int | None
    exact: bool


class Program:
    """An optimised program in XLA's text form.

    Args:
        text: The text.

    Attributes:
        loops: A list of `Loop`.
        computations: Dictionaries of `Instruction`, each by name, by the name of the computation.

    Example:

    >>> text = '''HloModule m
    ...
    ... ENTRY %main (x: f32[8]) -> f32[8] {
    ...   %x = f32[8]{0} parameter(0)
    ...   ROOT %sum = f32[8]{0} all-reduce(%x), replica_groups={{0,1,2,3}}, to_apply=%add
    ... }'''
    >>> Program(text).collectives(4)
    {'all-reduce': {'count': 1, 'bytes': 32, 'sent': 48.0}}
    """

    def __init__(self, text):
        self._texts, self.computations, self._entry = _computations(text)
        self._whiles = {}
        for name, instructions in self.computations.items():
            for instruction in instructions.values():
                if instruction.operation == "while":
                    self._whiles[name, instruction.name] = self._loop(name, instruction)
        # Those that are reached: a program may hold others.
        reached = self._times()
        self.loops = [loop for (name, _), loop in self._whiles.items() if name in reached]

    # --- loops ------------------------------------------------------------------------------------------------------

    def _loop(self, computation, instruction):
        condition, _ = self._parts(instruction)
        root = next(one for one in self.computations[condition].values() if one.root)
        bounds = self._bounds(condition, root, computation, instruction)
        known = [bound for bound in bounds if bound is not None]
        runs, exact = min(known, default=(None, False))
        return Loop(instruction.place, runs, exact and len(bounds) == 1)

    @staticmethod
    def _parts(instruction):
        return [re.search(rf"{name}=%([^\s,]+)", instruction.attributes)[1] for name in ("condition", "body")]

    def _bounds(self, condition, one, outer, loop):
        """The bounds of a loop's counter, `(number, whether it is met)`, `None` for other conditions: all must hold."""
        instructions = self.computations[condition]
        if one.operation in ("and", "convert", "copy", "bitcast"):
            return [
                bound for name in one.operands for bound in self._bounds(condition, instructions[name], outer, loop)
            ]
        if one.operation == "compare" and "direction=LT" in one.attributes:
            counter, limit = (instructions[name] for name in one.operands)
            if counter.operation == "get-tuple-element":
                start = self._initial(outer, loop, counter.index)
                if limit.operation == "get-tuple-element":
                    end = self._initial(outer, loop, limit.index)
                else:
                    end = self._value(condition, limit)
                if start is not None and end is not None:
                    return [(end[0] - start[0], start[1] and end[1])]
        if one.operation in ("fusion", "call"):
            return self._bounds_inside(condition, one, outer, loop)
        return [None]

    def _bounds_inside(self, condition, one, outer, loop):
        """Likewise where the comparison is fused: its parameters are put in place."""
        instructions = dict(self.computations[one.called[0]])
        for name, inner in list(instructions.items()):
            if inner.operation == "parameter":
                instructions[name] = self.computations[condition][one.operands[int(inner.arguments)]]
        merged = f"{condition} with {one.name}"
        self.computations[merged] = {**self.computations[condition], **instructions}
        root = next(inner for inner in instructions.values() if inner.root)
        bounds = self._bounds(merged, root, outer, loop)
        del self.computations[merged]
        return bounds

    def _initial(self, computation, loop, index):
        """The number that an element of a loop's state starts with, as from `_value`."""
        start = self.computations[computation].get(loop.operands[0])
        if start is None or start.operation != "tuple":
            return None
        return self._value(computation, self.computations[computation].get(start.operands[index]))

    def _value(self, computation, one):
        """`(number, exact)` that a scalar instruction gives, or at the most, if that can be seen; else `None`."""
        if one is None:
            return None
        if one.operation == "constant" and re.fullmatch(r"-?\d+", one.arguments):
            return int(one.arguments), True
        instructions = self.computations[computation]
        if one.operation in ("copy", "bitcast", "reshape", "convert"):
            return self._value(computation, instructions.get(one.operands[0]))
        if one.operation == "get-tuple-element":
            source = instructions.get(one.operands[0])
            if source is not None and source.operation == "while":
                loop = self._whiles.get((computation, source.name)) or self._loop(computation, source)
                _, body = self._parts(source)
                result = next(inner for inner in self.computations[body].values() if inner.root)
                kept = self.computations[body].get(result.operands[one.index]) if result.operation == "tuple" else None
                start = self._initial(computation, source, one.index)
                if kept is not None and kept.operation == "get-tuple-element" and kept.index == one.index:
                    return start
                # What else counts in step with the loop, from 0, ends where the loop does.
                if start == (0, True) and loop.runs is not None and kept is not None and kept.type.startswith("s32[]"):
                    return loop.runs, loop.exact
        return None

    def _times(self):
        """How often each computation runs, with a loop that is not known counted once."""
        times = {}

        def visit(name, factor):
            times[name] = times.get(name, 0) + factor
            for one in self.computations[name].values():
                runs = 1
                if one.operation == "while":
                    runs = self._whiles[name, one.name].runs or 1
                for called in one.called:
                    if called in self.computations:
                        visit(called, factor * runs)

        visit(self._entry, 1)
        return times

    # --- costs ------------------------------------------------------------------------------------------------------

    def total(self, measure, repeat):
        """The sum of a measure over the program.

        Args:
            measure: Function from the name of a computation to a number, without those of the loops in it.
            repeat: Whether the body of a loop counts as often as it runs, at the most, and not once. Where it is not
                known how often that is, it counts once.
        """

        def whole(name):
            total = measure(name)
            for one in self.computations[name].values():
                if one.operation == "while":
                    runs = (self._whiles[name, one.name].runs or 1) if repeat else 1
                    total += runs * whole(self._parts(one)[1])
            return total

        return whole(self._entry)

    def bytes(self, repeat):
        """Bytes that instructions read and write: a sum as from `total`."""

        def measure(name):
            instructions = self.computations[name]
            return sum(traffic(one, instructions, self.computations) for one in instructions.values())

        return self.total(measure, repeat)

    def operations(self, count):
        """Number of operations with each loop as often as it runs.

        Args:
            count: Function of the text of a program that returns the number of its operations, in which the body of a
                loop counts once.
        """
        once = functools.cache(lambda name: count(self._part(name)))

        def measure(name):
            bodies = [self._parts(one)[1] for one in self.computations[name].values() if one.operation == "while"]
            return once(name) - sum(map(once, bodies))

        return self.total(measure, True)

    def _part(self, name):
        """The text of the program that a computation is."""
        wanted, left = {}, [name]
        while left:
            one = left.pop()
            if one not in wanted and one in self._texts:
                wanted[one] = self._texts[one]
                left += [called for inner in self.computations[one].values() for called in inner.called]
        # Called ones stand before those that call them.
        texts = [self._texts[one] for one in self._texts if one in wanted and one != name]
        return "\n\n".join(["HloModule part", *texts, "ENTRY " + self._texts[name].removeprefix("ENTRY ")])

    # --- links ------------------------------------------------------------------------------------------------------

    def collectives(self, chips):
        """What chips exchange: by the kind of collective, how many there are, their bytes, and what each chip sends.

        Args:
            chips: Number of chips of a program whose groups are not written out.

        Returns:
            Dictionary of dictionaries with `count`, `bytes` and `sent`; loops as in `cost`. `sent` is that of a ring.
        """
        found = {}
        for name, times in self._times().items():
            for one in self.computations[name].values():
                kind = one.operation.removesuffix("-start")
                if kind not in _SENT:
                    continue
                group = _group(one.attributes, chips)
                size = self._size(name, one, kind, group)
                entry = found.setdefault(kind, {"count": 0, "bytes": 0, "sent": 0.0})
                entry["count"] += times
                entry["bytes"] += times * size
                entry["sent"] += times * _SENT[kind](size, group)
        return found

    def _size(self, computation, one, kind, group):
        operands = sum(size_of(self.computations[computation][name].type) for name in one.operands)
        return operands * group if kind == "all-gather" else operands


def size_of(kind):
    """Bytes of a type, without what a layout adds.

    Example:

    >>> size_of("(f32[2,3]{1,0}, bf16[4]{0}, pred[])")
    33
    """
    kind = re.sub(r"\{[^}]*\}", "", kind)
    total = 0
    for name, shape in re.findall(r"\b([a-z]\w*)\[([\d,]*)\]", kind):
        bits = int(re.search(r"\d+", name)[0]) if re.search(r"\d", name) else 8
        each = _BYTES.get(name, bits / 8)
        total += math.prod(int(size) for size in shape.split(",") if size) * each
    return math.ceil(total)


# What names have beside the model's layers: of functions, of transformations, of loops.
_NO_PLACE = re.compile(
    r"(\w*PartitionedCall(_\d+)?|gradient_tape|call\.\d+|jit\(.*|jvp\(.*|transpose\(.*|while(_grad)?(_\d+)?|body|cond|checkpoint"
    r"|closed_call|rematted_computation)$"
)


def place(op_name):
    """An operation's place in the model, from the name that a framework gave it.

    Example:

    >>> place("gradient_tape/model_1/network_1/kuramoto_1/while/model_1/network_1/kuramoto_1/mul")
    'model_1/network_1/kuramoto_1/mul (gradient)'
    """
    parts = [part for part in op_name.split("/") if part]
    backward = any(part == "gradient_tape" or part.startswith("transpose(") for part in parts)
    parts = [part for part in parts if not _NO_PLACE.match(part)]
    # A gradient's name has that of what it is the gradient of a second time.
    first = parts[0] if parts else ""
    if first in parts[1:]:
        parts = parts[len(parts) - 1 - parts[::-1].index(first) :]
    return "/".join(parts) + (" (gradient)" if backward and parts else "")


def _group(attributes, chips):
    """Number of chips of a group of a collective."""
    found = re.search(r"replica_groups=\{\{([\d,]*)\}", attributes)
    if found:
        return len(found[1].split(","))
    found = re.search(r"replica_groups=\[\d+,(\d+)\]", attributes)
    return int(found[1]) if found else chips


def _closing(text, start):
    """Where the parenthesis that opens at `start` has been closed."""
    depth = 0
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    raise ValueError(f"No parenthesis closes in '{text[:80]}'.")


def _computations(text):
    """`(texts, computations, entry)`: each computation as text and as instructions by name, and the entry's name."""
    texts, computations, entry, name = {}, {}, None, None
    for line in text.splitlines():
        found = _COMPUTATION.match(line) if name is None else None
        if found:
            name, lines = found["name"], [line]
            computations[name] = {}
            if found["entry"]:
                entry = name
        elif name is not None:
            lines.append(line)
            if line == "}":
                texts[name] = "\n".join(lines)
                name = None
            elif one := Instruction.parse(line):
                computations[name][one.name] = one
    return texts, computations, entry
