"""The Hopfield memory: the authors' vectors, its laws, its connectivities, and what every layer promises."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import array, assign, call, evaluate, float64_enabled, to_numpy, value_and_gradients
from keras import ops
from memory_helpers import load_arrays, traced

from keras_kuramoto import lagrangians
from keras_kuramoto.layers.dense_connectivity import DenseConnectivity, SymmetricDenseConnectivity
from keras_kuramoto.layers.feed_forward_connectivity import FeedForwardConnectivity
from keras_kuramoto.layers.hierarchical_connectivity import HierarchicalConnectivity, HierarchicalConvConnectivity
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.solvers import AdaptiveSolver, FixedStepSolver

DENSE = ["relu", "tanh", "sigmoid"]
IMAGES = {"shapes": [(4, 5, 1), (2, 3, 2), (3,)], "kernel_sizes": [3, None], "strides": [2, None]}


@keras.saving.register_keras_serializable(package="test_hopfield_memory")
def soft(x):
    """Convex, and not one of the library's own."""
    return ops.sum(ops.sqrt(1 + ops.square(x)), axis=-1)


def memory_of(arrays, activation, dtype="float64", **options):
    """The memory that has the weights of a file."""
    if "weights" in arrays:
        connectivity, kernels = SymmetricDenseConnectivity(dtype=dtype), [arrays["weights"]]
    else:
        # The file's matrices map a layer's column of states to the next one's.
        kernels = [arrays["w0"].T, arrays["w1"].T]
        connectivity = HierarchicalConnectivity([7, 5, 4], dtype=dtype)
    memory = HopfieldMemory(connectivity, activation, solver=AdaptiveSolver(**options), dtype=dtype)
    memory.build((None, arrays["x"].shape[1]))
    for weight, value in zip(connectivity.weights, kernels):
        weight.assign(value)
    memory.bias.assign(arrays["bias"])
    return memory


def at_the_end(memory, x):
    def run(x):
        solution = memory.trajectory(x, [1.0])
        return solution.state, solution.num_steps, solution.num_accepted

    return call(traced(run), x)


CASES = [("hierarchical_relu", "relu"), *((f"dense_{name}", name) for name in DENSE)]
each_case = pytest.mark.parametrize(("name", "activation"), CASES, ids=[name for name, _ in CASES])


@each_case
def test_vector_field_and_energy_are_the_authors(name, activation):
    _, arrays = load_arrays(f"hopfield_{name}")
    with float64_enabled():
        memory = memory_of(arrays, activation)
        rhs, energy = evaluate(lambda x: (memory.vector_field(x), memory.energy(x)), arrays["x"])
    assert rhs.dtype == energy.dtype == np.float64
    np.testing.assert_allclose(rhs, arrays["rhs"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(energy, arrays["energy"], rtol=0, atol=1e-9)


@each_case
def test_recall_is_exact_at_tight_tolerances(name, activation):
    _, arrays = load_arrays(f"hopfield_{name}")
    with float64_enabled():
        state, _, _ = at_the_end(memory_of(arrays, activation, rtol=1e-10, atol=1e-12), arrays["x"])
    np.testing.assert_allclose(state, arrays["x1_exact"], rtol=0, atol=1e-7)


@pytest.mark.parametrize("activation", DENSE)
def test_recall_takes_the_authors_steps_at_their_tolerances(activation):
    _, arrays = load_arrays(f"hopfield_dense_{activation}")
    with float64_enabled():
        state, steps, accepted = at_the_end(memory_of(arrays, activation), arrays["x"])
    np.testing.assert_allclose(state, arrays["x1_exact"], rtol=0, atol=5e-3)
    assert np.all(np.stack([steps, accepted], axis=1) <= arrays["steps"] + 1)


def test_recall_in_float32_compiled():
    _, arrays = load_arrays("hopfield_dense_tanh")
    memory = memory_of(arrays, "tanh", dtype="float32")
    state, energies = call(lambda x: memory(x, return_energy=True), arrays["x"].astype("float32"), compiled=True)
    assert state.dtype == energies.dtype == np.float32
    np.testing.assert_allclose(state, arrays["x1_exact"], rtol=0, atol=5e-3)
    np.testing.assert_allclose(energies[:, 0], arrays["energy"], rtol=1e-5)


# name: (Lagrangian, connectivity, number of units)
MODELS = {
    **{name: (name, SymmetricDenseConnectivity, 6) for name in (*DENSE, "softmax", "layer_norm")},
    "function": (soft, SymmetricDenseConnectivity, 6),
    "hierarchical": (
        lagrangians.BlockLagrangian(["relu", "softmax", "tanh"], [3, 2, 4]),
        lambda **options: HierarchicalConnectivity([3, 2, 4], **options),
        9,
    ),
    "convolutional": ("relu", lambda **options: HierarchicalConvConnectivity(**IMAGES, **options), 35),
}


def make_memory(name, **options):
    lagrangian, connectivity, units = MODELS[name]
    dtype = {"dtype": options["dtype"]} if "dtype" in options else {}
    memory = HopfieldMemory(connectivity(**dtype), lagrangian, **options)
    memory.build((None, units))
    return memory, units


def with_weights(memory, function):
    """A function of the memory's weights and a state, so that one compilation serves many random weights."""

    def run(x, *values):
        with keras.StatelessScope(state_mapping=list(zip(memory.weights, values))):
            return function(x)

    return run


@pytest.mark.parametrize("name", MODELS)
def test_energy_falls_at_the_rate_of_equation_8(name):
    rng = np.random.default_rng(0)
    step = 1e-6
    with float64_enabled():
        # 32 steps of 1/16 of a method of fourth order: the states at the 17 times are exact to some 1e-6.
        memory, units = make_memory(name, solver=FixedStepSolver("rk4", num_steps=32), t1=2.0, dtype="float64")

        def laws(x):
            energies = memory(x, return_energy=True)[1]
            f = memory.vector_field(x)
            numeric = (memory.energy(x + step * f) - memory.energy(x - step * f)) / (2 * step)
            return energies, memory.energy_rate(x), numeric

        run = traced(with_weights(memory, laws))
        for _ in range(2):
            x = 2 * rng.standard_normal((4, units))
            weights = [0.6 * rng.standard_normal(weight.shape) for weight in memory.weights]
            tensors = [ops.convert_to_tensor(value) for value in (x, *weights)]
            energies, rate, numeric = (to_numpy(value) for value in run(*tensors))
            np.testing.assert_allclose(rate, numeric, rtol=1e-6)
            assert np.all(rate <= 0)
            assert np.diff(energies, axis=1).max() <= 1e-7 * np.abs(energies).max()
            assert (energies[:, 0] - energies[:, -1]).mean() > 1e-2


class Skewed(keras.layers.Layer):
    """Symmetric when it is built, and then not."""

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], shape[-1]), initializer="zeros")

    def call(self, x):
        return x @ ops.convert_to_tensor(self.kernel)

    def compute_output_shape(self, shape):
        return shape


def test_the_law_fails_without_symmetry():
    rng = np.random.default_rng(1)
    with float64_enabled():
        memory = HopfieldMemory(Skewed(dtype="float64"), "tanh", dtype="float64")
        memory.build((None, 6))
        memory.connectivity.kernel.assign(rng.standard_normal((6, 6)))
        x = ops.convert_to_tensor(rng.standard_normal((4, 6)))
        f = memory.vector_field(x)
        numeric = to_numpy(memory.energy(x + 1e-6 * f) - memory.energy(x - 1e-6 * f)) / 2e-6
        rate = to_numpy(memory.energy_rate(x))
    assert np.all(np.abs(rate - numeric) > 1e-3 * np.abs(rate))


@pytest.mark.parametrize("name", ["tanh", "function", "convolutional"])
def test_gradients_through_recall_equal_finite_differences(name):
    rng = np.random.default_rng(2)
    step = 1e-6
    with float64_enabled():
        memory, units = make_memory(name, solver=FixedStepSolver("heun", num_steps=3), dtype="float64")
        assign(memory, rng)
        x, probe = rng.standard_normal((2, 2, units))
        values = [to_numpy(weight) for weight in memory.weights]

        def loss(x):
            return ops.sum(memory(x) * ops.convert_to_tensor(probe)) + ops.sum(ops.square(memory.energy(x)))

        _, gradients = value_and_gradients(loss, x, variables=memory.weights, compiled=True)
        directions = [rng.standard_normal(value.shape) for value in (x, *values)]
        run = traced(with_weights(memory, loss))
        for index, gradient in enumerate(gradients):
            moved = []
            for sign in (step, -step):
                point = [x, *values]
                point[index] = point[index] + sign * directions[index]
                moved.append(float(to_numpy(run(*[ops.convert_to_tensor(value) for value in point]))))
            expected = (moved[0] - moved[1]) / (2 * step)
            np.testing.assert_allclose((gradient * directions[index]).sum(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("shapes", "kernel_sizes", "strides"),
    [
        ([(7, 6, 2), (4, 3, 3), (2, 2, 2), (5,)], [3, 4, None], [2, 2, None]),
        ([(7, 5, 1), (3, 2, 2)], 2, 3),
        ([(8, 2), (8, 3), (4, 2)], [1, 5], [1, 2]),
        ([(4,), (5, 5, 1), (3,)], 3, 2),
    ],
)
def test_convolutions_and_their_transposes_make_a_symmetric_matrix(shapes, kernel_sizes, strides):
    rng = np.random.default_rng(3)
    with float64_enabled():
        connectivity = HierarchicalConvConnectivity(shapes, kernel_sizes, strides, dtype="float64")
        size = sum(int(np.prod(shape)) for shape in shapes)
        connectivity.build((None, size))
        x = rng.standard_normal((2, 3, size))

        def run(x):
            # From the first layer alone to the second is the convolution that Keras has.
            first, *others = connectivity.split(x[:, 0])
            parts = [first, *[ops.zeros_like(part) for part in others]]
            forward = connectivity.split(connectivity(connectivity.join(parts)))[1]
            expected = forward
            if len(shapes[0]) > 1:
                stride = strides[0] if isinstance(strides, list) else strides
                kernel = connectivity.kernels[0]
                expected = ops.conv(first, kernel, strides=stride, padding="same", data_format="channels_last")
            return connectivity.matrix(), connectivity(x), forward, expected

        matrix, result, forward, expected = evaluate(run, x)
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-14)
    assert np.abs(matrix).max() > 0.1
    np.testing.assert_allclose(result, x @ matrix, rtol=0, atol=1e-12)
    np.testing.assert_allclose(forward, expected, rtol=0, atol=1e-12)


def test_hierarchical_is_a_dense_memory_with_blocks_beside_the_diagonal():
    rng = np.random.default_rng(4)
    connectivity = HierarchicalConnectivity([2, 3, 1, 4])
    connectivity.build((None, 10))
    blocks = [rng.standard_normal(tuple(kernel.shape)).astype("float32") for kernel in connectivity.kernels]
    matrix = np.zeros((10, 10), "float32")
    for kernel, block, row, column in zip(connectivity.kernels, blocks, (0, 2, 5), (2, 5, 6)):
        kernel.assign(block)
        matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
    matrix = matrix + matrix.T
    dense = SymmetricDenseConnectivity()
    dense.build((None, 10))
    dense.assign_coupling(matrix)
    layered, flat = (HopfieldMemory(layer, "tanh") for layer in (connectivity, dense))

    def run(x):
        return connectivity.matrix(), layered.vector_field(x), flat.vector_field(x)

    result, first, second = evaluate(run, array(rng, 3, 10))
    np.testing.assert_array_equal(result, matrix)
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_split_and_join_are_inverse():
    connectivity = HierarchicalConvConnectivity(**IMAGES)
    x = array(np.random.default_rng(5), 2, 35)
    parts = connectivity.split(x)
    assert [tuple(part.shape) for part in parts] == [(2, 4, 5, 1), (2, 2, 3, 2), (2, 3)]
    np.testing.assert_array_equal(to_numpy(parts[0]), x[:, :20].reshape(2, 4, 5, 1))
    np.testing.assert_array_equal(to_numpy(connectivity.join(parts)), x)


def test_trajectory_passes_through_the_recalled_state():
    rng = np.random.default_rng(6)
    memory, units = make_memory("tanh", solver=AdaptiveSolver(rtol=1e-5), t1=0.7)
    assign(memory, rng)
    x = array(rng, 2, units)

    def run(x):
        solution = memory.trajectory(x, [0.0, 0.4, 0.7, 1.5])
        return solution.states, solution.state, memory(x), memory(x, t1=0.4), memory(x, t1=1.5)

    states, state, at_default, early, late = evaluate(run, x)
    assert states.shape == (2, 4, units)
    np.testing.assert_allclose(states[:, 0], x, atol=1e-6)
    for index, expected in ((1, early), (2, at_default), (3, late), (3, state)):
        np.testing.assert_allclose(states[:, index], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["convolutional", "function"])
def test_saves_and_loads_inside_a_functional_model(name, tmp_path):
    rng = np.random.default_rng(7)
    lagrangian, connectivity, units = MODELS[name]
    options = {"use_bias": False} if name == "function" else {"bias_initializer": "ones"}
    memory = HopfieldMemory(connectivity(), lagrangian, t1=0.5, solver=FixedStepSolver("heun", 2), **options)
    inputs = keras.Input((units,))
    state, energies = memory(inputs, return_energy=True)
    assert (tuple(state.shape), tuple(energies.shape)) == ((None, units), (None, 17))
    assert tuple(memory.compute_output_shape((None, units))) == (None, units)
    assign(memory, rng)
    config = json.loads(json.dumps(memory.get_config()))
    assert {*config} >= {"connectivity", "lagrangian", "use_bias", "bias_initializer", "t1", "solver"}
    copy = HopfieldMemory.from_config(config)
    assert isinstance(copy.solver, FixedStepSolver)
    assert copy.t1 == 0.5
    assert copy.use_bias == memory.use_bias
    assert type(copy.lagrangian) is type(memory.lagrangian)
    model = keras.Model(inputs, [state, energies])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = array(rng, 3, units)
    expected = evaluate(lambda x: memory(x, return_energy=True), x)
    for got, want in zip(evaluate(loaded, x), expected):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_trains_in_a_keras_model():
    rng = np.random.default_rng(8)
    memory = HopfieldMemory(SymmetricDenseConnectivity(), "tanh", solver=FixedStepSolver("rk4", 4))
    model = keras.Sequential([keras.Input((6,)), memory])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    x = array(rng, 8, 6)
    history = model.fit(x, -x, batch_size=4, epochs=4, verbose=0)
    assert history.history["loss"][-1] < 0.9 * history.history["loss"][0]
    assert model.predict(x[:3], verbose=0).shape == (3, 6)


@pytest.mark.parametrize(
    ("policy", "state_dtype"), [("mixed_bfloat16", "float32"), ("mixed_float16", "float32"), ("float64", "float64")]
)
def test_states_and_energies_under_dtype_policies(policy, state_dtype):
    rng = np.random.default_rng(9)
    before = keras.config.dtype_policy()
    with float64_enabled():
        keras.config.set_dtype_policy(policy)
        try:
            # No weights: all that is computed is the memory's own part, x(1) = x(0) / e.
            connectivity = SymmetricDenseConnectivity(kernel_initializer="zeros")
            memory = HopfieldMemory(connectivity, "relu", solver=FixedStepSolver("rk4", 16))
            x = array(rng, 2, 6)
            symbolic = memory(keras.Input((6,)), return_energy=True)
            results = evaluate(lambda x: (*memory(x, return_energy=True), memory.energy_rate(x)), x)
        finally:
            keras.config.set_dtype_policy(before)
    for result in (*results, *symbolic):
        assert str(result.dtype) == state_dtype
    state, energies, _ = results
    np.testing.assert_allclose(state, x * np.exp(-1), atol=2e-6)
    np.testing.assert_allclose(energies[:, 0], (np.maximum(x, 0) ** 2).sum(1) / 2, rtol=2e-6)


def test_bad_arguments_and_states_are_rejected():
    memory, _ = make_memory("tanh")
    with pytest.raises(ValueError, match="NaN"):
        memory(np.full((2, 6), np.nan, "float32"))
    with pytest.raises(ValueError, match="NaN"):
        memory.energy(np.array([[0.0, 1.0, 2.0, np.nan, 4.0, 5.0]], "float32"))
    for method in (memory.vector_field, memory.energy, memory.energy_rate):
        with pytest.raises(ValueError, match=r"`\(batch, 6\)`.*Received the shape \(2, 5\)"):
            method(np.zeros((2, 5), "float32"))
    with pytest.raises(ValueError, match="value 6"):
        memory(keras.Input((5,)))
    with pytest.raises(ValueError, match="known N"):
        HopfieldMemory(SymmetricDenseConnectivity())(np.zeros((2, 3, 5), "float32"))
    for t1 in (0, -1.0, float("nan"), float("inf"), "1"):
        with pytest.raises(ValueError, match="`t1` must be a positive number"):
            HopfieldMemory(SymmetricDenseConnectivity(), t1=t1)
    with pytest.raises(ValueError, match="`t1` must be a positive number"):
        memory(np.zeros((2, 6), "float32"), t1=-1)
    for times in ([], [0.0], [0.5, 0.5], [-0.5, 1.0], [[1.0]]):
        with pytest.raises(ValueError, match="`times`"):
            memory.trajectory(np.zeros((2, 6), "float32"), times)
    with pytest.raises(ValueError, match="`solver`"):
        HopfieldMemory(SymmetricDenseConnectivity(), solver="tsitouras")
    with pytest.raises(ValueError, match="`connectivity` must be a Keras layer"):
        HopfieldMemory(np.eye(3))
    with pytest.raises(ValueError, match="Lagrangian"):
        HopfieldMemory(SymmetricDenseConnectivity(), "swish")


def test_weights_that_are_not_symmetric_are_rejected():
    rng = np.random.default_rng(10)
    with pytest.raises(ValueError, match="must be symmetric"):
        HopfieldMemory(DenseConnectivity()).build((None, 6))
    with pytest.raises(ValueError, match="bias"):
        HopfieldMemory(SymmetricDenseConnectivity(use_bias=True)).build((None, 6))
    with pytest.raises(ValueError, match="bias"):
        # Untrained, it is as symmetric as what it follows.
        HopfieldMemory(FeedForwardConnectivity(SymmetricDenseConnectivity())).build((None, 6))
    with pytest.raises(ValueError, match=r"keep the shape.*\(None, 6\) to \(None, 5\)"):
        HopfieldMemory(keras.layers.Dense(5, use_bias=False)).build((None, 6))
    connectivity = SymmetricDenseConnectivity()
    with pytest.raises(ValueError, match="must be built"):
        connectivity.assign_coupling(np.eye(6))
    connectivity.build((None, 6))
    with pytest.raises(ValueError, match="differs from its transpose"):
        connectivity.assign_coupling(rng.standard_normal((6, 6)))
    with pytest.raises(ValueError, match="differs from its transpose"):
        connectivity.assign_coupling(np.full((6, 6), np.nan))
    with pytest.raises(ValueError, match=r"shape \(6, 6\). Received"):
        connectivity.assign_coupling(np.eye(5))


def test_hierarchical_connectivities_reject_bad_arguments():
    for sizes in ([], [3], [3, 0], [3, 2.5]):
        with pytest.raises(ValueError, match="`sizes`"):
            HierarchicalConnectivity(sizes)
    connectivity = HierarchicalConnectivity([3, 2])
    for method in (connectivity, connectivity.split):
        with pytest.raises(ValueError, match=r"5 together\. Received an input with 4"):
            method(np.zeros((2, 4), "float32"))
    with pytest.raises(ValueError, match="must have the shapes"):
        connectivity.join([np.zeros((2, 3)), np.zeros((2, 3))])
    shapes = IMAGES["shapes"]
    with pytest.raises(ValueError, match="`shapes`"):
        HierarchicalConvConnectivity([(4, 5, 1), ()])
    for value in (0, [3], [3, 3, 3], [None, 3], "3"):
        with pytest.raises(ValueError, match="`kernel_sizes`"):
            HierarchicalConvConnectivity(shapes, kernel_sizes=value, strides=2)
    with pytest.raises(ValueError, match="`strides`"):
        HierarchicalConvConnectivity(shapes, strides=[0, None])
    with pytest.raises(ValueError, match=r"must have the spatial sizes \(4, 5\)"):
        HierarchicalConvConnectivity(shapes, strides=1)
