"""Explicit Runge–Kutta methods for ordinary differential equations, with steps of each example's own."""

import dataclasses
import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.adjoint import adjoint_loop, zeros_per_example
from keras_kuramoto._checks import check_whole


@dataclasses.dataclass(frozen=True)
class Tableau:
    """An explicit Runge–Kutta method: its Butcher tableau.

    With the slopes kᵢ = f(t + cᵢ h, y + h Σⱼ aᵢⱼ kⱼ), a step goes to y + h Σᵢ bᵢ kᵢ, its error is estimated by
    h Σᵢ eᵢ kᵢ, and the solution at t + θ h between its ends is y + h Σᵢ (Σⱼ pᵢⱼ θʲ) kᵢ, j from 1.

    Args:
        name: The name that solvers know it by, such as `"tsitouras"`.
        order: Order of convergence.
        a: Rows of the strictly lower triangle: row i has i numbers.
        b: The weights of the slopes.
        error: The weights minus those of the embedded method, or `None` for a method without an error estimate.
        interpolant: The rows pᵢ, or `None` for the cubic through the values and slopes at both ends of the step
            (Hermite), which is of third order.

    Example:

    >>> midpoint = Tableau("midpoint", order=2, a=((), (1 / 2,)), b=(0.0, 1.0))
    >>> midpoint.c
    (0.0, 0.5)
    """

    name: str
    order: int
    a: tuple
    b: tuple
    error: tuple | None = None
    interpolant: tuple | None = None

    def __post_init__(self):
        # Lists, as a saved configuration has them, become tuples.
        object.__setattr__(self, "a", tuple(map(tuple, self.a)))
        object.__setattr__(self, "b", tuple(self.b))
        object.__setattr__(self, "error", self.error and tuple(self.error))
        object.__setattr__(self, "interpolant", self.interpolant and tuple(map(tuple, self.interpolant)))
        stages = len(self.b)
        if len(self.a) != stages or any(len(row) != i for i, row in enumerate(self.a)):
            raise ValueError(
                f"`a` of an explicit method with {stages} stages must have rows of 0, 1, …, {stages - 1} numbers. "
                f"Received rows of {[len(row) for row in self.a]}."
            )
        for name in ("error", "interpolant"):
            value = getattr(self, name)
            if value is not None and len(value) != stages:
                raise ValueError(
                    f"`{name}` must have one entry for each of the {stages} stages. Received {len(value)}."
                )

    @property
    def c(self):
        """The times of the slopes, in steps: the sums of the rows of `a`."""
        return tuple(float(sum(row)) for row in self.a)

    @property
    def first_same_as_last(self):
        """Whether the last slope is the one at the end of the step, the first of the next step."""
        return len(self.b) > 1 and self.b[-1] == 0 and self.a[-1] == self.b[:-1]


EULER = Tableau("euler", 1, ((),), (1.0,))
HEUN = Tableau("heun", 2, ((), (1.0,)), (1 / 2, 1 / 2), (-1 / 2, 1 / 2))
RK4 = Tableau("rk4", 4, ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
# Bogacki and Shampine, A 3(2) pair of Runge–Kutta formulas, 1989.
BOGACKI_SHAMPINE = Tableau(
    "bogacki_shampine",
    3,
    ((), (1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    (2 / 9, 1 / 3, 4 / 9, 0.0),
    (-5 / 72, 1 / 12, 1 / 9, -1 / 8),
)
# Dormand and Prince, A family of embedded Runge–Kutta formulae, 1980; interpolant of fourth order: Shampine, Some
# practical Runge–Kutta formulas, 1986.
DORMAND_PRINCE = Tableau(
    "dormand_prince",
    5,
    (
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
    (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    (
        (1.0, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799),
        (0.0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072),
        (0.0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632),
        (0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844),
        (0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423),
    ),
)
# Tsitouras, Runge–Kutta pairs of order 5(4) satisfying only the first column simplifying assumption, 2011; interpolant
# of fourth order from there.
TSITOURAS = Tableau(
    "tsitouras",
    5,
    (
        (),
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0.0),
    (
        0.001780011052225777,
        0.0008164344596567469,
        -0.007880878010261995,
        0.1447110071732629,
        -0.5823571654525552,
        0.45808210592918697,
        -1 / 66,
    ),
    (
        (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
        (0.0, 0.1317, -0.2234, 0.1017),
        (0.0, 3.930296236894751, -5.941033872131505, 2.490627285651253),
        (0.0, -12.411077166933676, 30.338188630282318, -16.548102889244902),
        (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
        (0.0, -27.896526289197286, 65.09189467479368, -34.87065786149661),
        (0.0, 1.5, -4.0, 2.5),
    ),
)

TABLEAUS = {t.name: t for t in (EULER, HEUN, RK4, BOGACKI_SHAMPINE, DORMAND_PRINCE, TSITOURAS)}


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


def _per_example(value, like):
    """`(batch,)` with as many axes of size 1 as it needs to go with `like`."""
    return ops.reshape(value, (-1, *[1] * (len(like.shape) - 1)))


def _combine(weights, slopes):
    """Σᵢ weightsᵢ slopesᵢ over lists of tensors; the weights are numbers."""
    terms = [(w, slope) for w, slope in zip(weights, slopes) if w]
    return [sum(w * slope[leaf] for w, slope in terms) for leaf in range(len(slopes[0]))]


def _advance(state, step, slope):
    return [y + _per_example(step, y) * k for y, k in zip(state, slope)]


def _select(condition, yes, no):
    return [ops.where(_per_example(condition, a), a, b) for a, b in zip(yes, no)]


class _Solve:
    """One solve: what `adjoint_loop` needs, on states that are lists of tensors."""

    def __init__(self, solver, t0, t1, times, project):
        self.solver, self.tableau, self.project = solver, solver.tableau, project
        self.t0, self.t1, self.times = t0, t1, times
        # A state that was moved to the manifold has another slope than the one at the end of the step.
        self.reuse = self.tableau.first_same_as_last and project is None

    def stages(self, field, constants, t, step, state, first, number):
        """The first `number` slopes, and the argument of the last one."""
        slopes, argument = [first], state
        for row, c in zip(self.tableau.a[1:number], self.tableau.c[1:]):
            argument = _advance(state, step, _combine(row, slopes))
            slopes.append(field(t + c * step, argument, *constants))
        return slopes, argument

    def interpolation(self, field, constants, record, state, slopes):
        """The states at those of `times` that are in this step, zero at the others."""
        if self.times is None:
            return []
        t, end = record
        step = end - t
        rows = self.tableau.interpolant
        if rows is None:
            # The cubic with the values and slopes at both ends.
            rows = [(0.0, 3 * b, -2 * b) for b in self.tableau.b]
            rows[0] = tuple(a + b for a, b in zip(rows[0], (1.0, -2.0, 1.0)))
            if self.tableau.first_same_as_last:
                rows[-1] = tuple(a + b for a, b in zip(rows[-1], (0.0, -1.0, 1.0)))
            else:
                rows.append((0.0, -1.0, 1.0))
                after = _advance(state, step, _combine(self.tableau.b, slopes))
                slopes = [*slopes, field(end, after, *constants)]
        inside = ops.logical_and(self.times[None] > t[:, None], self.times[None] <= end[:, None])
        part = ops.where(inside, self.times[None] - t[:, None], 0.0 * t[:, None])
        part = part / ops.where(step > 0, step, ops.ones_like(step))[:, None]
        weights = []
        for row in rows:
            polynomial = ops.zeros_like(part)
            for coefficient in reversed(row):
                polynomial = (polynomial + coefficient) * part
            weights.append(polynomial * step[:, None])
        states = []
        for leaf, y in enumerate(state):
            axes = [1] * (len(y.shape) - 1)
            value = ops.expand_dims(y, 1)
            for weight, slope, row in zip(weights, slopes, rows):
                if any(row):
                    value = value + ops.reshape(weight, (*ops.shape(weight), *axes)) * ops.expand_dims(slope[leaf], 1)
            states.append(value)
        if self.project is not None:
            states = self.project_each(states)
        return [
            ops.where(ops.reshape(inside, (*ops.shape(inside), *[1] * (len(y.shape) - 2))), y, ops.zeros_like(y))
            for y in states
        ]

    def project_each(self, states):
        flat = [ops.reshape(y, (-1, *ops.shape(y)[2:])) for y in states]
        return [ops.reshape(p, ops.shape(y)) for p, y in zip(self.project(flat), states)]

    def begin(self, field, constants, state):
        zero = zeros_per_example(state)
        count = ops.zeros_like(zero, dtype="int32")
        control = {
            "t": zero + self.t0,
            "step": zero + self.solver._first(self.t0, self.t1),
            "running": ops.ones_like(zero, dtype="bool"),
            "moved": ops.zeros_like(zero, dtype="bool"),
            "attempts": ops.zeros((), "int32"),
            "num_steps": count,
            "num_accepted": count,
            "errors": [ops.ones_like(zero)] * 2,
            "slope": field(zero + self.t0, state, *constants) if self.reuse else [],
        }
        total = []
        if self.times is not None:
            total = [ops.zeros_like(ops.repeat(ops.expand_dims(y, 1), self.times.shape[0], axis=1)) for y in state]
        return control, total

    def attempt(self, field, constants, control, state):
        t, running = control["t"], control["running"]
        last = self.solver._is_last(control, self.t1)
        end = ops.where(last, ops.full_like(t, self.t1), t + control["step"])
        end = ops.where(running, end, t)
        step = end - t
        tableau = self.tableau
        first = control["slope"] if self.reuse else field(t, state, *constants)
        # The last slope is needed for the error, and as the next step's first one.
        slopes, after = self.stages(field, constants, t, step, state, first, len(tableau.b))
        if not tableau.first_same_as_last:
            after = _advance(state, step, _combine(tableau.b, slopes))
        accepted, control = self.solver._control(control, state, after, slopes, step, self.t0, self.t1)
        end = ops.where(accepted, end, t)
        addition = self.interpolation(field, constants, (t, end), state, slopes)
        if self.project is not None:
            after = self.project(after)
        control = {
            **control,
            "t": end,
            "running": ops.logical_and(control["running"], end < ops.full_like(end, self.t1)),
            "moved": accepted,
            "attempts": control["attempts"] + 1,
            "num_steps": control["num_steps"] + ops.cast(running, "int32"),
            "num_accepted": control["num_accepted"] + ops.cast(accepted, "int32"),
            "slope": _select(accepted, slopes[-1], first) if self.reuse else [],
        }
        return control, _select(accepted, after, state), addition, (t, end)

    def replay(self, field, constants, record, state):
        """A step whose length is known, 0 where it was not accepted: no branch then has to be left out."""
        t, end = record
        step, tableau = end - t, self.tableau
        number = len(tableau.b)
        if self.times is None:
            number = max(i for i, b in enumerate(tableau.b) if b) + 1
        slopes, _ = self.stages(field, constants, t, step, state, field(t, state, *constants), number)
        after = _advance(state, step, _combine(tableau.b, slopes))
        if self.project is not None:
            after = _select(step > 0, self.project(after), state)
        return after, self.interpolation(field, constants, record, state, slopes)


class _Solver:
    """What both solvers have: the method, and the solve."""

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
        for name, value in (("t0", t0), ("t1", t1)):
            if not _is_number(value):
                raise ValueError(f"`{name}` must be a finite number. Received {value!r}.")
        if t1 <= t0:
            raise ValueError(f"`t1` must be greater than `t0`. Received t0={t0}, t1={t1}.")
        t0, t1 = float(t0), float(t1)
        leaves = [ops.convert_to_tensor(y) for y in keras.tree.flatten(state)]
        dtypes = sorted({keras.backend.standardize_dtype(y.dtype) for y in leaves})
        if dtypes not in (["float32"], ["float64"]) or not all(len(y.shape) for y in leaves):
            raise ValueError(
                "`state` must be made of float32 or of float64 tensors with the batch on their first axis. "
                f"Received shapes {[tuple(y.shape) for y in leaves]} and dtypes {dtypes}."
            )
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

        solve = _Solve(self, t0, t1, times, None if project is None else projection)
        control, last, total = adjoint_loop(
            field,
            solve.begin,
            solve.attempt,
            solve.replay,
            leaves,
            [ops.convert_to_tensor(value) for value in constants],
            self._max_steps,
            self.checkpoints,
        )
        reached = ops.equal(control["t"], ops.full_like(control["t"], t1))
        states = None
        if times is not None:
            at_start = times <= ops.full_like(times, t0)
            states = [
                ops.where(ops.reshape(at_start, (-1, *[1] * (len(y.shape) - 1))), ops.expand_dims(y, 1), z)
                for y, z in zip(leaves, total)
            ]
            states = pack([_nan_unless(reached, y) for y in states])
        state = pack([_nan_unless(reached, y) for y in last])
        return Solution(state, states, control["num_steps"], control["num_accepted"], reached)

    def get_config(self):
        method = self.method
        return {
            "method": dataclasses.asdict(method) if isinstance(method, Tableau) else method,
            "checkpoints": self.checkpoints,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _compatible(shape, other):
    return len(shape) == len(other) and all(a == b or None in (a, b) for a, b in zip(shape, other))


def _nan_unless(reached, y):
    return ops.where(_per_example(reached, y), y, ops.full_like(y, float("nan")))


def _is_number(value):
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


def _check_times(times, t0, t1, dtype):
    values = np.asarray(times, "float64")
    if values.ndim != 1 or not values.size or not (np.diff(values) > 0).all() or values[0] < t0 or not values[-1] <= t1:
        raise ValueError(
            f"`times` must be a list of increasing numbers from {t0} to {t1}, the ends included. Received {times!r}."
        )
    return ops.convert_to_tensor(values, dtype)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class FixedStepSolver(_Solver):
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
    def _max_steps(self):
        return self.num_steps

    def _first(self, t0, t1):
        return (t1 - t0) / self.num_steps

    def _is_last(self, control, t1):
        return control["num_steps"] >= self.num_steps - 1

    def _control(self, control, state, after, slopes, step, t0, t1):
        return control["running"], control

    def get_config(self):
        return {**super().get_config(), "num_steps": self.num_steps}


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AdaptiveSolver(_Solver):
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
        for name, value, holds, need in (
            ("rtol", rtol, lambda: rtol >= 0, "not negative"),
            ("atol", atol, lambda: atol > 0, "positive"),
            ("first_step", first_step, lambda: first_step > 0, "positive"),
            ("safety", safety, lambda: 0 < safety <= 1, "above 0 and at most 1"),
            ("min_factor", min_factor, lambda: 0 < min_factor <= safety, "above 0 and at most `safety`"),
            ("max_factor", max_factor, lambda: max_factor >= 1, "at least 1"),
            ("proportional", proportional, lambda: True, "finite"),
            ("integral", integral, lambda: True, "finite"),
            ("derivative", derivative, lambda: True, "finite"),
        ):
            if not _is_number(value) or not holds():
                raise ValueError(f"`{name}` must be a number that is {need}. Received {value!r}.")
        self.rtol, self.atol, self.first_step = rtol, atol, first_step
        self.max_steps = check_whole("max_steps", max_steps, 1)
        self.safety, self.min_factor, self.max_factor = safety, min_factor, max_factor
        self.proportional, self.integral, self.derivative = proportional, integral, derivative

    @property
    def _max_steps(self):
        return self.max_steps

    def _first(self, t0, t1):
        return min(self.first_step, t1 - t0)

    def _is_last(self, control, t1):
        # So that no sliver of a step is left.
        return t1 - control["t"] <= control["step"] * (1 + 1e-6)

    def _control(self, control, state, after, slopes, step, t0, t1):
        error = self._error(state, after, _combine(self.tableau.error, slopes), step)
        accepted = ops.logical_and(control["running"], error < 1)
        # An error of 0 would have an infinite inverse.
        inverse = 1 / ops.clip(error, 1e-12, 1e12)
        before, earlier = control["errors"]
        p, i, d = (x / self.tableau.order for x in (self.proportional, self.integral, self.derivative))
        factor = self.safety * inverse ** (p + i + d) * before ** -(p + 2 * d) * earlier**d
        grown = ops.clip(factor, 1.0, self.max_factor)
        shrunk = ops.clip(factor, self.min_factor, self.safety)
        step = step * ops.where(accepted, grown, shrunk)
        # Steps that do not move the time: there is no solution to go on with.
        resolution = np.finfo(keras.backend.standardize_dtype(step.dtype)).eps
        least = 4 * float(resolution) * max(abs(t0), abs(t1))
        return accepted, {
            **control,
            "step": step,
            "errors": [ops.where(accepted, inverse, before), ops.where(accepted, before, earlier)],
            "running": ops.logical_and(control["running"], ops.logical_or(accepted, step > least)),
        }

    def _error(self, state, after, error, step):
        squares, number = 0.0, 0
        for y, y1, e in zip(state, after, error):
            size = ops.where(ops.abs(y) > ops.abs(y1), ops.abs(y), ops.abs(y1))
            scaled = _per_example(step, y) * e / (self.atol + self.rtol * size)
            squares = squares + ops.sum(scaled * scaled, axis=tuple(range(1, len(y.shape))))
            number = number + math.prod(ops.shape(y)[1:])
        error = ops.sqrt(squares / ops.cast(number, squares.dtype))
        # NaN is the largest error.
        return ops.where(error < 1e12, error, ops.full_like(error, 1e12))

    def get_config(self):
        names = (
            "rtol",
            "atol",
            "first_step",
            "max_steps",
            "safety",
            "min_factor",
            "max_factor",
            "proportional",
            "integral",
            "derivative",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
