"""One solve: steps of a Runge–Kutta method, of the lengths that a step control says, and the states within them."""

from keras import ops

from keras_kuramoto._backend.adjoint import zeros_per_example


def per_example(value, like):
    """`(batch,)` with as many axes of size 1 as it needs to go with `like`."""
    return ops.reshape(value, (-1, *[1] * (len(like.shape) - 1)))


def combine(weights, slopes):
    """Σᵢ weightsᵢ slopesᵢ over lists of tensors; the weights are numbers."""
    terms = [(w, slope) for w, slope in zip(weights, slopes) if w]
    return [sum(w * slope[leaf] for w, slope in terms) for leaf in range(len(slopes[0]))]


def _advance(state, step, slope):
    return [y + per_example(step, y) * k for y, k in zip(state, slope)]


def _select(condition, yes, no):
    return [ops.where(per_example(condition, a), a, b) for a, b in zip(yes, no)]


class Solve:
    """One solve: what `adjoint_loop` needs, on states that are lists of tensors.

    The time counts from its start. Only the vector field is given the time itself, `start` more than that.

    Args:
        tableau: The method, a `Tableau`.
        control: The lengths of the steps: `FixedSteps` or `PIDSteps`.
        start: The time at the start, a number.
        length: How long the solve is, a number.
        times: The times at which the state is wanted, a tensor, or `None`.
        project: Function that puts a state back to where it belongs, or `None`.
    """

    def __init__(self, tableau, control, start, length, times, project):
        self.tableau, self.control, self.project = tableau, control, project
        self.start, self.length, self.times = start, length, times
        # A state that was moved to the manifold has another slope than the one at the end of the step.
        self.reuse = tableau.first_same_as_last and project is None

    def begin(self, field, constants, state):
        zero = zeros_per_example(state)
        count = ops.zeros_like(zero, dtype="int32")
        no = ops.zeros_like(zero, dtype="bool")
        loop = {
            "t": zero,
            "running": ops.logical_not(no),
            "moved": no,
            "reached": no,
            "attempts": ops.zeros((), "int32"),
            "num_steps": count,
            "num_accepted": count,
            "control": self.control.begin(zero, self.length),
            "slope": field(zero + self.start, state, *constants) if self.reuse else [],
        }
        total = []
        if self.times is not None:
            total = [ops.zeros_like(ops.repeat(ops.expand_dims(y, 1), self.times.shape[0], axis=1)) for y in state]
        return loop, total

    def attempt(self, field, constants, loop, state):
        t, running, tableau = loop["t"], loop["running"], self.tableau
        end, step, last = self.control.propose(loop["control"], t, loop["num_steps"], self.length)
        step = ops.where(running, step, ops.zeros_like(step))
        first = loop["slope"] if self.reuse else self.slope(field, constants, t, state)
        # The last slope is needed for the error, and as the next step's first one.
        slopes, after = self.stages(field, constants, t, step, state, first, len(tableau.b))
        if not tableau.first_same_as_last:
            after = _advance(state, step, combine(tableau.b, slopes))
        accepted, possible, control = self.control.judge(
            loop["control"], tableau, step, self.length, state, after, slopes
        )
        accepted = ops.logical_and(running, accepted)
        record = (t, ops.where(accepted, end, t), ops.where(accepted, step, ops.zeros_like(step)))
        addition = self.interpolation(field, constants, record, state, slopes)
        if self.project is not None:
            after = self.project(after)
        reached = ops.logical_and(accepted, last)
        goes_on = ops.logical_and(ops.logical_or(accepted, possible), ops.logical_not(reached))
        loop = {
            "t": record[1],
            "running": ops.logical_and(running, goes_on),
            "moved": accepted,
            "reached": ops.logical_or(loop["reached"], reached),
            "attempts": loop["attempts"] + 1,
            "num_steps": loop["num_steps"] + ops.cast(running, "int32"),
            "num_accepted": loop["num_accepted"] + ops.cast(accepted, "int32"),
            "control": control,
            "slope": _select(accepted, slopes[-1], first) if self.reuse else [],
        }
        return loop, _select(accepted, after, state), addition, record

    def replay(self, field, constants, record, state):
        """A step whose length is known, 0 where it was not accepted: no branch then has to be left out."""
        t, _, step = record
        tableau = self.tableau
        number = len(tableau.b)
        if self.times is None:
            number = max(i for i, b in enumerate(tableau.b) if b) + 1
        first = self.slope(field, constants, t, state)
        slopes, _ = self.stages(field, constants, t, step, state, first, number)
        after = _advance(state, step, combine(tableau.b, slopes))
        if self.project is not None:
            after = _select(step > 0, self.project(after), state)
        return after, self.interpolation(field, constants, record, state, slopes)

    def slope(self, field, constants, t, state):
        return field(self.start + t, state, *constants)

    def stages(self, field, constants, t, step, state, first, number):
        """The first `number` slopes, and the argument of the last one."""
        slopes, argument = [first], state
        for row, c in zip(self.tableau.a[1:number], self.tableau.c[1:]):
            argument = _advance(state, step, combine(row, slopes))
            slopes.append(self.slope(field, constants, t + c * step, argument))
        return slopes, argument

    def interpolation(self, field, constants, record, state, slopes):
        """The states at those of `times` that are in this step, zero at the others."""
        if self.times is None:
            return []
        t, end, step = record
        rows = self.tableau.interpolant
        if rows is None:
            # The cubic with the values and slopes at both ends.
            rows = [(0.0, 3 * b, -2 * b) for b in self.tableau.b]
            rows[0] = tuple(a + b for a, b in zip(rows[0], (1.0, -2.0, 1.0)))
            if self.tableau.first_same_as_last:
                rows[-1] = tuple(a + b for a, b in zip(rows[-1], (0.0, -1.0, 1.0)))
            else:
                rows.append((0.0, -1.0, 1.0))
                after = _advance(state, step, combine(self.tableau.b, slopes))
                slopes = [*slopes, self.slope(field, constants, end, after)]
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
