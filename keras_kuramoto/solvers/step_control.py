"""The lengths of a solver's steps: how long the next one is, and whether one that was tried counts.

A control is asked twice for each attempt at a step: `propose` says where the step ends, and `judge` whether it is
accepted, once it has been taken. What it remembers between attempts is a nest of tensors, made by `begin`. Times count
from the start of the solve, so that their resolution is that of its length, however far from 0 it is.
"""

import dataclasses
import math

import keras
import numpy as np
from keras import ops

from keras_kuramoto._checks import check_number, check_whole
from keras_kuramoto.solvers.stepping import combine, per_example


@dataclasses.dataclass
class FixedSteps:
    """Steps of equal length.

    They are counted in integers, and their length is the same number for all of them: neither is a sum or a difference
    of rounded times.

    Args:
        num_steps: How many steps there are.

    Example:

    >>> FixedSteps(4).max_steps
    4
    """

    num_steps: int

    def __post_init__(self):
        self.num_steps = check_whole("num_steps", self.num_steps, 1)

    @property
    def max_steps(self):
        """The most attempts at a step."""
        return self.num_steps

    def begin(self, zero, length):
        """What is remembered before the first step.

        Args:
            zero: Zeros, `(batch,)`.
            length: The length of the whole solve, a number.

        Returns:
            A nest of tensors.
        """
        return []

    def propose(self, memory, t, index, length):
        """The next step to try.

        Args:
            memory: What is remembered.
            t: The time, `(batch,)`.
            index: How many steps were tried, `(batch,)` int32.
            length: The length of the whole solve, a number.

        Returns:
            `(end, step, last)`, each `(batch,)`: the time at the end of the step, its length, and whether it is the one
            that ends the solve.
        """
        step = length / self.num_steps
        last = index >= self.num_steps - 1
        end = ops.where(last, ops.full_like(t, length), ops.cast(index + 1, t.dtype) * step)
        return end, ops.full_like(t, step), last

    def judge(self, memory, tableau, step, length, state, after, slopes):
        """Whether a step that was tried counts.

        Args:
            memory: What is remembered.
            tableau: The method.
            step: The length of the step, `(batch,)`.
            length: The length of the whole solve, a number.
            state: The state before it: a list of tensors.
            after: The state after it.
            slopes: The slopes of the method's stages: lists of tensors.

        Returns:
            `(accepted, possible, memory)`: whether the step is accepted and whether there is another one to be tried if
            it is not, `(batch,)` bool, and what is remembered now.
        """
        yes = ops.ones_like(step, dtype="bool")
        return yes, yes, memory


@dataclasses.dataclass
class PIDSteps:
    """Steps whose error is kept below a tolerance by a controller with three terms, for each example by itself.

    The arguments are those of `AdaptiveSolver`, where the rule is written down.

    No step is shorter than four units in the last place of the solve's length, so that each moves the time.

    Example:

    >>> PIDSteps(rtol=1e-4).max_steps
    4096
    """

    rtol: float = 1e-3
    atol: float = 1e-6
    first_step: float = 0.01
    max_steps: int = 4096
    safety: float = 0.9
    min_factor: float = 0.2
    max_factor: float = 10.0
    proportional: float = 0.0
    integral: float = 1.0
    derivative: float = 0.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if field.name != "max_steps":
                check_number(field.name, getattr(self, field.name))
        self.max_steps = check_whole("max_steps", self.max_steps, 1)
        for name, holds, need in (
            ("rtol", self.rtol >= 0, "not negative"),
            ("atol", self.atol > 0, "positive"),
            ("first_step", self.first_step > 0, "positive"),
            ("safety", 0 < self.safety <= 1, "above 0 and at most 1"),
            ("min_factor", 0 < self.min_factor <= self.safety, "above 0 and at most `safety`"),
            ("max_factor", self.max_factor >= 1, "at least 1"),
        ):
            if not holds:
                raise ValueError(f"`{name}` must be a number that is {need}. Received {getattr(self, name)!r}.")

    def begin(self, zero, length):
        # The first step is no longer than the whole.
        first = max(min(self.first_step, length), _least(zero, length))
        return {"step": zero + first, "errors": [ops.ones_like(zero)] * 2}

    def propose(self, memory, t, index, length):
        whole = ops.full_like(t, length)
        # So that no sliver of a step is left.
        near = whole - t <= memory["step"] * (1 + 1e-6)
        end = ops.where(near, whole, t + memory["step"])
        return end, end - t, end >= whole

    def judge(self, memory, tableau, step, length, state, after, slopes):
        error = self._error(tableau, step, state, after, slopes)
        accepted = error < 1
        # An error of 0 would have an infinite inverse.
        inverse = 1 / ops.clip(error, 1e-12, 1e12)
        before, earlier = memory["errors"]
        p, i, d = (x / tableau.order for x in (self.proportional, self.integral, self.derivative))
        factor = self.safety * inverse ** (p + i + d) * before ** -(p + 2 * d) * earlier**d
        grown = ops.clip(factor, 1.0, self.max_factor)
        shrunk = ops.clip(factor, self.min_factor, self.safety)
        step = step * ops.where(accepted, grown, shrunk)
        errors = [ops.where(accepted, inverse, before), ops.where(accepted, before, earlier)]
        # With steps that do not move the time there is no solution to go on with.
        return accepted, step > _least(step, length), {"step": step, "errors": errors}

    def _error(self, tableau, step, state, after, slopes):
        squares, number = 0.0, 0
        for y, y1, e in zip(state, after, combine(tableau.error, slopes)):
            size = ops.where(ops.abs(y) > ops.abs(y1), ops.abs(y), ops.abs(y1))
            scaled = per_example(step, y) * e / (self.atol + self.rtol * size)
            squares = squares + ops.sum(scaled * scaled, axis=tuple(range(1, len(y.shape))))
            number = number + math.prod(ops.shape(y)[1:])
        error = ops.sqrt(squares / ops.cast(number, squares.dtype))
        # NaN is the largest error.
        return ops.where(error < 1e12, error, ops.full_like(error, 1e12))


def _least(like, length):
    """The shortest step: some units in the last place of the solve's length."""
    return 4 * float(np.finfo(keras.backend.standardize_dtype(like.dtype)).eps) * length
