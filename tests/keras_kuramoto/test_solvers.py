"""The Runge–Kutta solvers: their order, their steps, what they say of themselves, and their gradients."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import (
    BACKEND,
    DATA,
    call,
    float64_enabled,
    to_numpy,
    value_and_gradients,
)
from keras import ops

from keras_kuramoto.ops.sphere import normalize
from keras_kuramoto.solvers import TABLEAUS, AdaptiveSolver, FixedStepSolver, Tableau
from keras_kuramoto.solvers.step_control import PIDSteps


def rotation(t, y):
    """Turns with the speed 2t: the angle at the time t is t²."""
    turn = ops.convert_to_tensor(np.array([[0.0, 1.0], [-1.0, 0.0]]), y.dtype)
    return 2 * t[:, None] * ops.einsum("bi,ij->bj", y, turn)


def turned(y, angle):
    return y @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


START = np.array([[1.0, 0.0], [0.6, -2.0]])


def decay(t, y):
    """Solved by 1/(1/y₀ + t²)."""
    return -2 * t[:, None] * y * y


def decayed(y, t):
    return 1 / (1 / y + t**2)


def solve(solver, function, start, times=None, t1=1.0, **options):
    """The solution in NumPy, in float64."""
    with float64_enabled():
        return call(lambda y: tuple(solver.integrate(function, y, t1=t1, times=times, **options)), start)


@pytest.mark.parametrize("method", sorted(TABLEAUS))
def test_fixed_steps_converge_at_their_order(method):
    tableau = TABLEAUS[method]
    start = np.array([[1.0, 1.5], [0.5, 2.0]])
    errors = []
    for count in (32, 64):
        state, _, tried, accepted, reached = solve(FixedStepSolver(method, count), decay, start)
        errors.append(np.abs(state - decayed(start, 1.0)).max())
        assert (tried == count).all()
        assert (accepted == count).all()
        assert reached.all()
    # Halving the steps divides the error by 2^order, up to the next term of the series.
    assert abs(np.log2(errors[0] / errors[1]) - tableau.order) < 0.35


@pytest.mark.parametrize("method", sorted(TABLEAUS))
def test_tableau_fulfils_the_conditions_of_its_order(method):
    tableau = TABLEAUS[method]
    b, c = np.array(tableau.b), np.array(tableau.c)
    a = np.array([[*row, *[0.0] * (len(b) - len(row))] for row in tableau.a])

    def conditions(b, theta):
        yield 1, b.sum() - theta
        yield 2, b @ c - theta**2 / 2
        yield from ((3, b @ c**2 - theta**3 / 3), (3, b @ a @ c - theta**3 / 6))
        yield from ((4, b @ c**3 - theta**4 / 4), (4, b @ (c * (a @ c)) - theta**4 / 8))
        yield from ((4, b @ a @ c**2 - theta**4 / 12), (4, b @ a @ a @ c - theta**4 / 24))

    for order, residual in conditions(b, 1.0):
        assert order > tableau.order or abs(residual) < 1e-14
    if tableau.error is not None:
        residuals = [residual for order, residual in conditions(b - tableau.error, 1.0) if order < tableau.order]
        np.testing.assert_allclose(residuals, 0, atol=1e-14)
    if tableau.interpolant is not None:
        for theta in (0.3, 0.8):
            weights = np.array(tableau.interpolant) @ theta ** np.arange(1, 5)
            np.testing.assert_allclose([residual for _, residual in conditions(weights, theta)], 0, atol=1e-13)
        np.testing.assert_allclose(np.sum(tableau.interpolant, axis=1), b, atol=1e-13)


@pytest.mark.parametrize(("method", "order"), [("tsitouras", 4), ("dormand_prince", 4), ("rk4", 3), ("heun", 2)])
def test_states_between_the_steps_converge_at_the_order_of_the_interpolant(method, order):
    times = np.linspace(0, 1, 38)
    start = np.array([[1.0, 1.5], [0.5, 2.0]])
    expected = np.stack([decayed(start, t) for t in times], axis=1)
    errors = []
    for count in (16, 32):
        state, states, *_ = solve(FixedStepSolver(method, count), decay, start, times)
        np.testing.assert_allclose(states[:, -1], state, rtol=1e-13)
        np.testing.assert_array_equal(states[:, 0], start)
        errors.append(np.abs(states - expected).max())
    assert np.log2(errors[0] / errors[1]) > order - 0.35


@pytest.mark.parametrize("method", ["tsitouras", "bogacki_shampine"])
def test_adaptive_steps_keep_the_tolerance(method):
    for tolerance in (1e-4, 1e-7):
        solver = AdaptiveSolver(method, rtol=tolerance, atol=tolerance, first_step=0.1)
        state, _, tried, accepted, reached = solve(solver, rotation, START, t1=2.0)
        # The tolerance is for one step: some dozen of them, of errors below it, add up to less than 30 times as much.
        assert np.abs(state - turned(START, 4.0)).max() < 30 * tolerance * np.abs(START).max()
        assert reached.all()
        assert ((accepted > 3) & (accepted <= tried)).all()


def minus(t, y):
    return -y


@pytest.mark.parametrize(("num_steps", "t0"), [(20_000, 0), (650, 100), (100, 1e4), (7, -1e7)])
def test_equal_steps_are_counted_and_have_one_length_in_float32(num_steps, t0):
    """Times that are summed in float32 reach the end early, and their differences are no steps of one length."""

    def run(y):
        return tuple(FixedStepSolver("euler", num_steps).integrate(minus, y, t0=t0, t1=t0 + 1))

    state, _, tried, accepted, reached = call(run, np.ones((1, 1), "float32"), compiled=True)
    assert state.dtype == np.float32
    # Rounding of as many products.
    np.testing.assert_allclose(state, (1 - 1 / num_steps) ** num_steps, rtol=3e-6)
    assert tried == accepted == num_steps
    assert reached.all()


def test_states_between_equal_steps_far_from_the_time_0():
    times = 1e4 + np.linspace(0, 1, 5)

    def run(y):
        return FixedStepSolver("rk4", 3).integrate(minus, y, t0=1e4, t1=1e4 + 1, times=times).states

    states = call(run, np.ones((1, 1), "float32"), compiled=True)
    # The error of the steps and of the interpolant.
    np.testing.assert_allclose(states[0, :, 0], np.exp(1e4 - times), rtol=1e-3)


@pytest.mark.parametrize(("t0", "first_step"), [(1e6, 0.01), (-1e9, 0.01), (0.0, 1e-30), (1e6, 1e-30)])
def test_adaptive_steps_move_the_time_wherever_they_start(t0, first_step):
    def run(y):
        solver = AdaptiveSolver(first_step=first_step)
        return tuple(solver.integrate(minus, y, t0=t0, t1=t0 + 2, times=[t0, t0 + 1, t0 + 2]))

    state, states, tried, _, reached = call(run, np.ones((1, 1), "float32"), compiled=True)
    # The tolerance of each of the steps is 1e-3 of the state.
    np.testing.assert_allclose(state, np.exp(-2), rtol=3e-3)
    np.testing.assert_allclose(states[0, :, 0], np.exp([0, -1, -2]), rtol=3e-3)
    assert reached.all()
    assert tried < 20


def test_no_step_is_shorter_than_what_moves_the_time():
    control = PIDSteps(first_step=1e-12, max_factor=1.0)
    t = ops.convert_to_tensor(np.array([0.999], "float32"))
    end, step, _ = control.propose(control.begin(0.0 * t, 1.0), t, ops.zeros(1, "int32"), 1.0)
    assert to_numpy(end > t).all()
    assert to_numpy(step > 0).all()


def test_the_vector_field_is_given_the_time_itself():
    seen = call(
        lambda y: FixedStepSolver("heun", 4).integrate(lambda t, y: t[:, None] + 0 * y, y, t0=3.0, t1=5.0).state,
        np.zeros((2, 1), "float32"),
    )
    # The integral of t from 3 to 5.
    np.testing.assert_allclose(seen, 8.0, rtol=1e-6)


def relaxation(t, y):
    """To the cosine, as fast as the example says; its speed is the second number."""
    return ops.stack([y[:, 1] * (ops.cos(t) - y[:, 0]), ops.zeros_like(t)], axis=1)


def test_an_example_takes_the_steps_that_it_takes_alone():
    start = np.array([[0.0, 1.0], [2.0, 30.0], [0.0, 4.0]])
    solver = AdaptiveSolver(rtol=1e-4, proportional=0.2, integral=0.5, derivative=0.1, first_step=0.5)
    together = solve(solver, relaxation, start, times=[0.4, 1.0])
    assert len(set(together[2])) > 1
    assert (together[2] > together[3]).any()
    for example in range(3):
        alone = solve(solver, relaxation, start[example : example + 1], times=[0.4, 1.0])
        for one, all_of_them in zip(alone, together):
            # Rounding: the backends may sum in another order.
            np.testing.assert_allclose(one[0], all_of_them[example], rtol=1e-12)


def test_the_first_step_is_no_longer_than_the_whole():
    state, _, tried, _, _ = solve(AdaptiveSolver(first_step=10.0, rtol=1.0, atol=1.0), rotation, START, t1=0.25)
    assert (tried == 1).all()
    np.testing.assert_allclose(state, turned(START, 0.0625), atol=1e-3)


def test_an_example_without_an_answer_is_nan_and_says_so():
    def explosion(t, y):
        return y * y

    # 1/(1 − t) and 3/(1 − 3t), which is infinite at 1/3.
    start = np.array([[0.5], [3.0], [-1.0]])
    for max_steps in (20, 4096):
        solver = AdaptiveSolver(rtol=1e-5, atol=1e-5, max_steps=max_steps)
        state, states, tried, _, reached = solve(solver, explosion, start, times=[0.1, 1.0])
        assert list(reached) == [True, False, True]
        assert np.isnan(state[1]).all()
        assert np.isnan(states[1]).all()
        np.testing.assert_allclose(state[[0, 2], 0], [1.0, -0.5], atol=1e-3)
        # Before the steps run out, they become too short to be steps.
        assert tried[1] == 20 if max_steps == 20 else tried[1] < 400


def test_a_field_that_is_nan_ends_the_solve_and_hurts_no_other_example():
    def root(t, y):
        return ops.sqrt(y)

    def loss(y):
        solution = AdaptiveSolver().integrate(root, y)
        return ops.sum(ops.where(solution.reached[:, None], solution.state, 0.0 * y))

    with float64_enabled():
        value, (gradient,) = value_and_gradients(loss, np.array([[1.0], [-1.0]]), compiled=BACKEND == "jax")
    # √y grows by t/2.
    np.testing.assert_allclose(value, 2.25, rtol=1e-3)
    np.testing.assert_allclose(gradient[0], 1.5, rtol=1e-2)


def test_projection_after_each_step_and_between():
    def pull(t, y):
        return ops.stack([y[:, 1], 0.5 * y[:, 0] + y[:, 1]], axis=1)

    solver = AdaptiveSolver("dormand_prince", rtol=1e-2)
    state, states, *_ = solve(solver, pull, normalized(START), times=np.linspace(0, 1, 7), project=normalize)
    np.testing.assert_allclose(np.linalg.norm(states, axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(states[:, -1], state, rtol=1e-12)
    # Scaling the solution of a linear equation commutes with it.
    free, *_ = solve(AdaptiveSolver(rtol=1e-9, atol=1e-9), pull, normalized(START))
    np.testing.assert_allclose(state, normalized(free), atol=1e-3)


def normalized(y):
    return y / np.linalg.norm(y, axis=-1, keepdims=True)


def coupled(t, state, matrix, drive):
    """A field on a nest, with all ways for a tensor to come in; `t` makes it depend on the time."""
    x, rest = state
    y = rest["y"]
    return (
        ops.einsum("bi,ij->bj", ops.sigmoid(3 * x), matrix) - x + drive,
        {"y": y * x[:, :, None] - y * t[:, None, None]},
    )


def coupled_loss(solver, variable, factor, times=None):
    def loss(x, y, drive, outside):
        # `outside` and the variable are what the field uses without being told.
        def field(t, state, drive):
            return coupled(t, state, ops.convert_to_tensor(variable) * outside, drive * factor)

        solution = solver.integrate(field, (x, {"y": y}), times=times, constants=(drive,))
        x, rest = solution.state if times is None else solution.states
        return ops.sum(x * x * x) + ops.sum(rest["y"] * rest["y"])

    return loss


def coupled_inputs():
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in ((2, 3), (2, 3, 2), (3,), (1,))]


@pytest.mark.parametrize(
    ("solver", "times"),
    [
        (FixedStepSolver("rk4", 6), None),
        (FixedStepSolver("tsitouras", 7, checkpoints=2), [0.0, 0.3, 1.0]),
        (FixedStepSolver("bogacki_shampine", 5, checkpoints=1), [0.7]),
    ],
)
def test_gradients_are_those_of_finite_differences(solver, times):
    rng = np.random.default_rng(1)
    inputs, matrix = coupled_inputs(), rng.standard_normal((3, 3))
    *directions, turn = (rng.standard_normal(value.shape) for value in (*inputs, matrix))
    with float64_enabled():
        variable = keras.Variable(matrix, dtype="float64")
        loss = coupled_loss(solver, variable, 2.0, times)
        results = [
            value_and_gradients(loss, *inputs, variables=[variable], compiled=compiled) for compiled in (False, True)
        ]
        values, step = [], 1e-5
        for sign in (step, -step):
            variable.assign(matrix + sign * turn)
            values.append(call(loss, *(value + sign * d for value, d in zip(inputs, directions))))
    slope = (values[0] - values[1]) / (2 * step)
    for _, gradients in results:
        changes = [np.sum(gradient * d) for gradient, d in zip(gradients, (*directions, turn))]
        assert np.abs(changes).min() > 1e-3
        # Rounding of values of size 10 over the step, and the step's square.
        np.testing.assert_allclose(sum(changes), slope, rtol=1e-7, atol=1e-7)


def test_gradients_of_adaptive_steps_depend_neither_on_the_compiler_nor_on_what_is_kept():
    """Beside an example with steps that are rejected."""
    inputs = coupled_inputs()
    inputs[0][1] *= 30
    with float64_enabled():
        variable = keras.Variable(np.random.default_rng(1).standard_normal((3, 3)), dtype="float64")
        results = []
        for options, compiled in (({}, False), ({"checkpoints": 2}, True)):
            solver = AdaptiveSolver(first_step=0.5, rtol=1e-2, max_steps=60, **options)
            loss = coupled_loss(solver, variable, 2.0)
            results.append(value_and_gradients(loss, *inputs, variables=[variable], compiled=compiled))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-9)
    for kept, repeated in zip(results[0][1], results[1][1]):
        # Rounding, and its effect on the steps' lengths.
        np.testing.assert_allclose(repeated, kept, rtol=1e-8, atol=1e-8 * np.abs(kept).max())


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the ways of TensorFlow to run and to differentiate")
@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_gradients_with_an_unknown_batch_size_on_tensorflow(how):
    """Also for the initial state where the field uses it, and for a constant that it uses beside."""
    import tensorflow as tf

    weight = keras.Variable(np.random.default_rng(0).standard_normal((2, 2)), dtype="float32")
    frozen = keras.Variable(np.eye(2), dtype="float32", trainable=False)
    outside = tf.constant([0.5, -0.25])

    def value_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch([x, outside])

            def field(t, y, same):
                # A product of rank 3 with rank 2.
                return ops.tanh(ops.matmul(ops.matmul(y, weight), frozen)) * (outside + same) / 2 + x

            value = ops.sum(AdaptiveSolver(max_steps=40).integrate(field, x, constants=(outside,)).state)
        return value, tape.gradient(value, [x, weight.value, outside])

    if how != "eager":
        signature = [tf.TensorSpec((None, 3, 2))]
        value_and_gradient = tf.function(value_and_gradient, signature, jit_compile=how == "xla")
    x = np.random.default_rng(1).standard_normal((4, 3, 2)).astype("float32")
    _, gradients = value_and_gradient(tf.constant(x))
    step = 1e-2
    for source, gradient in enumerate(gradients):
        values = []
        for sign in (step, -step):
            if source == 1:
                weight.assign_add(sign * np.ones((2, 2)))
            if source == 2:
                outside = tf.constant([0.5 + sign, -0.25 + sign])
                # The graph has the old tensor.
                values.append(float(plain_solution(x, weight, outside)))
            else:
                values.append(float(value_and_gradient(tf.constant(x + (sign if source == 0 else 0)))[0]))
            if source == 1:
                weight.assign_sub(sign * np.ones((2, 2)))
        # Float32, and the error of the steps.
        np.testing.assert_allclose(np.sum(gradient), (values[0] - values[1]) / (2 * step), rtol=2e-2)


def plain_solution(x, weight, outside):
    def field(t, y):
        return ops.tanh(ops.matmul(y, weight)) * outside + x

    return ops.sum(AdaptiveSolver(max_steps=40).integrate(field, ops.convert_to_tensor(x)).state)


@keras.saving.register_keras_serializable(package="test_solvers")
class Flow(keras.layers.Layer):
    """A layer that integrates another one."""

    def __init__(self, solver, inner, **kwargs):
        super().__init__(**kwargs)
        self.solver, self.inner = solver, inner

    def build(self, shape):
        if not self.inner.built:
            self.inner.build(shape)

    def call(self, x):
        return self.solver.integrate(lambda t, y: self.inner(y) - y, x, times=[0.5, 1.0]).states

    def get_config(self):
        parts = {"solver": self.solver, "inner": self.inner}
        return {**super().get_config(), **{k: keras.saving.serialize_keras_object(v) for k, v in parts.items()}}

    @classmethod
    def from_config(cls, config):
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


def test_in_a_keras_model_trained_saved_and_loaded(tmp_path):
    inputs = keras.Input((4,))
    inner = keras.layers.Dense(4, activation="tanh")
    solver = AdaptiveSolver("bogacki_shampine", rtol=1e-2, max_steps=32)
    model = keras.Model(inputs, Flow(solver, inner)(inputs))
    assert model.output_shape == (None, 2, 4)
    model.compile("sgd", "mse", jit_compile=BACKEND != "torch")
    x = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
    before = to_numpy(inner.kernel).copy()
    model.fit(x, np.zeros((8, 2, 4), "float32"), batch_size=4, verbose=0)
    assert np.abs(to_numpy(inner.kernel) - before).max() > 1e-5
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    # The same program on the same numbers.
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    if BACKEND == "tensorflow":
        # TensorFlow saves the gradients too.
        model.export(tmp_path / "saved", verbose=False)


@pytest.mark.parametrize(
    "solver",
    [
        FixedStepSolver("heun", 5, checkpoints=3),
        FixedStepSolver(Tableau("midpoint", 2, ((), (0.5,)), (0.0, 1.0))),
        AdaptiveSolver("heun", 0.1, 0.2, 0.3, 4, 0.5, 0.4, 7.0, 0.8, 0.9, 0.1, 11),
    ],
)
def test_solver_survives_json(solver):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(solver)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(solver)
    assert restored.get_config() == solver.get_config()
    assert restored.tableau == solver.tableau


def load(name):
    with np.load(DATA / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def hopfield_field(arrays):
    weights = ops.convert_to_tensor((arrays["weights"] + arrays["weights"].T) / 2)
    bias = ops.convert_to_tensor(arrays["bias"])
    return lambda t, x: ops.einsum("bi,ij->bj", ops.relu(x), weights) - x + bias


def kuramoto_field(arrays):
    number = arrays["mu"].shape[1]
    linear, bent = np.zeros((2, number, number))
    for matrix, values in ((linear, arrays["A"]), (bent, arrays["B"])):
        for (i, j), value in zip(arrays["edges"], values):
            matrix[i, j] += value
            matrix[j, i] += value
    linear, bent = ops.convert_to_tensor(linear), ops.convert_to_tensor(bent)

    def field(t, mu):
        mu = normalize(mu)
        slopes = linear + ops.relu(ops.einsum("bid,bjd->bij", mu, mu)) * bent
        force = ops.einsum("bij,bjd->bid", slopes, mu)
        return mu * ops.sum(mu * force, axis=-1, keepdims=True) - force

    return field


@pytest.mark.parametrize(
    ("name", "key", "make"),
    [("hopfield_dense_relu", "x", hopfield_field), ("kuramoto_memory_relu", "mu", kuramoto_field)],
)
def test_default_steps_are_those_of_the_reference(name, key, make):
    arrays = load(name)

    def run(y):
        return tuple(AdaptiveSolver().integrate(make(arrays), y))

    with float64_enabled():
        state, _, tried, accepted, _ = call(run, arrays[key], compiled=BACKEND == "jax")
    np.testing.assert_array_equal(np.stack([tried, accepted], axis=1), arrays["steps"])
    # Rounding, and its effect on the steps' lengths.
    np.testing.assert_allclose(state, arrays[f"{key}1_pid"], atol=1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedStepSolver("rk5"), "rk5"),
        (lambda: FixedStepSolver(num_steps=0), "num_steps"),
        (lambda: FixedStepSolver(checkpoints=0), "checkpoints"),
        (lambda: AdaptiveSolver("rk4"), "error estimate"),
        (lambda: AdaptiveSolver(rtol=-1e-3), "rtol"),
        (lambda: AdaptiveSolver(atol=0), "atol"),
        (lambda: AdaptiveSolver(first_step=0.0), "first_step"),
        (lambda: AdaptiveSolver(first_step=None), "first_step"),
        (lambda: AdaptiveSolver(max_steps=0), "max_steps"),
        (lambda: AdaptiveSolver(safety=1.5), "safety"),
        (lambda: AdaptiveSolver(min_factor=0.95), "min_factor"),
        (lambda: AdaptiveSolver(max_factor=0.5), "max_factor"),
        (lambda: AdaptiveSolver(integral=float("nan")), "integral"),
        (lambda: Tableau("bad", 2, ((), ()), (0.5, 0.5)), "rows"),
        (lambda: Tableau("bad", 2, ((), (1.0,)), (0.5, 0.5), (1.0,)), "error"),
    ],
)
def test_solver_that_cannot_be_says_why(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t1": 0.0}, "t1"),
        ({"t1": float("inf")}, "t1"),
        ({"t0": "now"}, "t0"),
        ({"t1": 1e-50}, "float32 can hold"),
        ({"t1": 1e50}, "float32 can hold"),
        ({"times": [0.5, 0.2]}, "times"),
        ({"times": [0.5, 1.5]}, "times"),
        ({"times": [-0.5]}, "times"),
        ({"times": []}, "times"),
        ({"times": 0.5}, "times"),
        ({"state": np.ones((2, 3), "int32")}, "int32"),
        ({"state": np.ones((), "float32")}, "batch"),
        ({"vector_field": lambda t, y: y[:, :2]}, "vector_field"),
        ({"vector_field": lambda t, y: (y, y)}, "vector_field"),
        ({"project": lambda y: y[:, :2]}, "project"),
    ],
)
def test_problem_that_is_none_says_why(options, message):
    problem = {"vector_field": lambda t, y: -y, "state": np.ones((2, 3), "float32"), **options}
    with pytest.raises(ValueError, match=message):
        FixedStepSolver(num_steps=1).integrate(**problem)
