"""Solvers of ordinary differential equations: a Runge–Kutta method and a control of its steps."""

import dataclasses
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.adjoint import adjoint_loop
from keras_kuramoto._checks import check_number, check_whole
from keras_kuramoto.solvers.step_control import FixedSteps, PIDSteps
from keras_kuramoto.solvers.stepping import Solve, per_example
from keras_kuramoto.solvers.tableaus import TABLEAUS, Tableau


class Solution(NamedTuple):
    """What a solver returns.

    Attributes:
        state: The state at `t1`, in the structure of the initial one.
        states: The states at `times`, on a new axis 1; `None` where no times were asked for.
        num_steps: `(batch,)` int32, the steps that were tried.
        num_accepted: `(batch,)` int32, the steps that were made.
        reached: `(batch,)` bool, whether `t1` was reached. The states of an example that did not reach it are NaN.

    Example:

    >>> solution = FixedStepSolver("rk4", num_steps=4).integrate(lambda t, y: -y, ops.ones((2, 3)))
    >>> [bool(reached) for reached in solution.reached]
    [True, True]
    """

    state: Any
    states: Any
    num_steps: Any
    num_accepted: Any
    reached: Any


class Solver:
    """Base class of the solvers: a method, and a solve with the steps of the subclass's `step_control`.

    Args:
        method: A `Tableau`, the name of one of `TABLEAUS`, or the dictionary of a configuration.
        checkpoints: The most states that the forward pass keeps for the backward pass.
    """

    def __init__(self, method, checkpoints):
        if isinstance(method, dict):
            method = Tableau(**method)
        if not isinstance(method, Tableau) and method not in TABLEAUS:
            raise ValueError(f"`method` must be a `Tableau` or one of {sorted(TABLEAUS)}. Received {method!r}.")
        self.method = method
        self.checkpoints = check_whole("checkpoints", checkpoints, 1)

    @property
    def tableau(self):
        """The `Tableau` of the method."""
        return self.method if isinstance(self.method, Tableau) else TABLEAUS[self.method]

    @property
    def step_control(self):
        """What says how long the steps are: a `FixedSteps` or a `PIDSteps`."""
        raise NotImplementedError(f"{type(self).__name__} has no `step_control`.")

    def integrate(self, vector_field, state, t1=1.0, t0=0.0, times=None, project=None, constants=()):
        """Solves dy/dt = f(t, y) from `t0` to `t1`, each example of the batch by itself.

        The solve is differentiable in reverse, once, on TensorFlow (eager, in graphs and under XLA), JAX and PyTorch:
        for the state, for `constants`, and for the tensors and variables that the vector field uses otherwise. What it
        costs in memory is said with `checkpoints` of the solver. The lengths of the steps count as constants.

        Args:
            vector_field: Function of `(t, state, *constants)` that returns dy/dt in the structure of the state, where
                `t` is `(batch,)`. An example's slope must not depend on the other examples. Layers that it calls must
                be built.
            state: The state at `t0`: a tensor or a nest of tensors, all float32 or all float64, with the batch first.
            t1: The time at the end, a number.
            t0: The time at the start, a number less than `t1`.
            times: Numbers from `t0` to `t1`, increasing, at which to give the state too, by interpolation within the
                steps, or `None`. The interpolant is of fourth order for `"tsitouras"` and `"dormand_prince"`, else of
                third order.
            project: Function of the state that puts it back on a manifold, such as `normalize` for oscillators, applied
                after each accepted step and to the states at `times`; or `None`. Methods whose last slope is the next
                step's first one then take one more evaluation a step.
            constants: Tensors that the vector field is given. It may use other ones too; integers have no gradient.

        Returns:
            A `Solution`.

        Raises:
            ValueError: If the times are not as above, if the state is not of floats of one dtype, or if the vector
                field or `project` returns another structure or shape.
        """
        t0, t1 = check_number("t0", t0), check_number("t1", t1)
        if t1 <= t0:
            raise ValueError(f"`t1` must be greater than `t0`. Received t0={t0}, t1={t1}.")
        leaves = [ops.convert_to_tensor(y) for y in keras.tree.flatten(state)]
        dtypes = sorted({keras.backend.standardize_dtype(y.dtype) for y in leaves})
        if dtypes not in (["float32"], ["float64"]) or not all(len(y.shape) for y in leaves):
            raise ValueError(
                "`state` must be made of float32 or of float64 tensors with the batch on their first axis. "
                f"Received shapes {[tuple(y.shape) for y in leaves]} and dtypes {dtypes}."
            )
        limits = np.finfo(dtypes[0])
        if not float(limits.tiny) <= t1 - t0 <= float(limits.max):
            raise ValueError(f"`t1 - t0` must be a number that {dtypes[0]} can hold. Received {t1 - t0}.")
        if times is not None:
            times = _check_times(times, t0, t1, dtypes[0])

        def pack(leaves):
            return keras.tree.pack_sequence_as(state, list(leaves))

        def like_state(name, result):
            result = [ops.cast(y, dtypes[0]) for y in keras.tree.flatten(result)]
            shapes = [[tuple(y.shape)[1:] for y in values] for values in (leaves, result)]
            if len(shapes[0]) != len(shapes[1]) or not all(map(_compatible, *shapes)):
                raise ValueError(
                    f"`{name}` must return tensors of the shapes of the state, {shapes[0]} after the batch. "
                    f"Received {shapes[1]}."
                )
            return result

        def field(t, leaves, *constants):
            return like_state("vector_field", vector_field(t, pack(leaves), *constants))

        def projection(leaves):
            return like_state("project", project(pack(leaves)))

        control = self.step_control
        solve = Solve(self.tableau, control, t0, t1 - t0, times, None if project is None else projection)
        loop, last, total = adjoint_loop(
            field,
            solve.begin,
            solve.attempt,
            solve.replay,
            leaves,
            [ops.convert_to_tensor(value) for value in constants],
            control.max_steps,
            self.checkpoints,
        )
        reached = loop["reached"]
        states = None
        if times is not None:
            at_start = times <= 0
            states = [
                ops.where(ops.reshape(at_start, (-1, *[1] * (len(y.shape) - 1))), ops.expand_dims(y, 1), z)
                for y, z in zip(leaves, total)
            ]
            states = pack([_nan_unless(reached, y) for y in states])
        state = pack([_nan_unless(reached, y) for y in last])
        return Solution(state, states, loop["num_steps"], loop["num_accepted"], reached)

    def get_config(self):
        method = self.method
        return {
            "method": dataclasses.asdict(method) if isinstance(method, Tableau) else method,
            "checkpoints": self.checkpoints,
            **dataclasses.asdict(self.step_control),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _compatible(shape, other):
    return len(shape) == len(other) and all(a == b or None in (a, b) for a, b in zip(shape, other))


def _nan_unless(reached, y):
    return ops.where(per_example(reached, y), y, ops.full_like(y, float("nan")))


def _check_times(times, t0, t1, dtype):
    """The times since `t0`, as a tensor: differences are taken before they are rounded."""
    values = np.asarray(times, "float64")
    if values.ndim != 1 or not values.size or not (np.diff(values) > 0).all() or values[0] < t0 or not values[-1] <= t1:
        raise ValueError(
            f"`times` must be a list of increasing numbers from {t0} to {t1}, the ends included. Received {times!r}."
        )
    return ops.convert_to_tensor(values - t0, dtype)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class FixedStepSolver(Solver):
    """A Runge–Kutta method with steps of equal length.

    Args:
        method: `"euler"`, `"heun"`, `"rk4"`, `"bogacki_shampine"`, `"dormand_prince"`, `"tsitouras"`, or a `Tableau`.
        num_steps: How many steps there are from `t0` to `t1`.
        checkpoints: The most states that the forward pass keeps for the backward pass on TensorFlow and JAX; PyTorch
            keeps about as many. The backward pass keeps as many more as there are steps between two of them, and takes
            these steps once more, unless there are as many checkpoints as steps.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> solver = FixedStepSolver("rk4", num_steps=8)
    >>> solution = solver.integrate(lambda t, y: -y, ops.ones((1, 1)))
    >>> round(float(solution.state[0, 0]), 4), int(solution.num_steps[0])
    (0.3679, 8)

    Reference: Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, 1993, Chapter II.
    """

    def __init__(self, method="rk4", num_steps=16, checkpoints=64):
        super().__init__(method, checkpoints)
        self.num_steps = check_whole("num_steps", num_steps, 1)

    @property
    def step_control(self):
        return FixedSteps(self.num_steps)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AdaptiveSolver(Solver):
    """A Runge–Kutta method that chooses the length of its steps, for each example of the batch by itself.

    The error of a step is the root of the mean, over all numbers of an example's state, of the square of the method's
    estimate over `atol + rtol · max(|y|, |y'|)`, where y and y' are the state before and after. A step with an error
    εₙ < 1 is accepted. The next one is longer by the factor

        safety · εₙ^(−(P + I + D)/p) · εₙ₋₁^((P + 2D)/p) · εₙ₋₂^(−D/p),

    p the order of the method, between 1 and `max_factor` after an accepted step and between `min_factor` and `safety`
    after one that was not. The last step ends at `t1`. With the defaults these are the steps of Diffrax's `Tsit5` and
    `PIDController`.

    An example stops at `t1`, or without an answer after `max_steps` or where its steps become too short to be told from
    nothing: its states then are NaN, and `reached` of the `Solution` is false. The others go on as they would alone.

    Args:
        method: `"tsitouras"`, `"dormand_prince"`, `"bogacki_shampine"`, `"heun"`, or a `Tableau` with an error
            estimate.
        rtol: Relative tolerance, not negative.
        atol: Absolute tolerance, positive.
        first_step: Length of the first step that is tried, positive, in units of time.
        max_steps: The most steps that are tried. Compiled, on TensorFlow under XLA and on JAX, it sets the memory of
            the backward pass, which nevertheless takes no more time than the steps that were made.
        safety: Factor by which steps are shorter than the error would allow, above 0 and at most 1.
        min_factor: The most that a step can be shortened, above 0 and at most `safety`.
        max_factor: The most that a step can be lengthened, at least 1.
        proportional: P, the coefficient of the error's last change.
        integral: I, the coefficient of the error.
        derivative: D, the coefficient of the change of the change.
        checkpoints: The most states that the forward pass keeps for the backward pass on TensorFlow and JAX: those
            before each step if there are no more steps, else those before every second, fourth, … step. The backward
            pass takes the steps between two of them once more, with room for `max_steps / checkpoints` states. PyTorch
            keeps about as many. Fewer take less memory.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> solver = AdaptiveSolver(rtol=1e-5)
    >>> solution = solver.integrate(lambda t, y: -y, ops.ones((1, 1)), t1=2.0, times=[0.0, 1.0, 2.0])
    >>> [round(float(y), 4) for y in solution.states[0, :, 0]], bool(solution.reached[0])
    ([1.0, 0.3679, 0.1353], True)

    Reference: Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, 1993, Section II.4; Söderlind,
    Digital filters in adaptive time-stepping, 2003, for the controller.
    """

    def __init__(
        self,
        method="tsitouras",
        rtol=1e-3,
        atol=1e-6,
        first_step=0.01,
        max_steps=4096,
        safety=0.9,
        min_factor=0.2,
        max_factor=10.0,
        proportional=0.0,
        integral=1.0,
        derivative=0.0,
        checkpoints=64,
    ):
        super().__init__(method, checkpoints)
        if self.tableau.error is None:
            able = sorted(name for name, tableau in TABLEAUS.items() if tableau.error is not None)
            raise ValueError(
                f"Adaptive steps need a method with an error estimate: one of {able}, or a `Tableau` with `error`. "
                f"Received {method!r}."
            )
        self.rtol, self.atol, self.first_step, self.max_steps = rtol, atol, first_step, max_steps
        self.safety, self.min_factor, self.max_factor = safety, min_factor, max_factor
        self.proportional, self.integral, self.derivative = proportional, integral, derivative
        # Errors come now, not with the first solve.
        self.max_steps = self.step_control.max_steps

    @property
    def step_control(self):
        return PIDSteps(**{field.name: getattr(self, field.name) for field in dataclasses.fields(PIDSteps)})
