"""The Kuramoto memory, its potentials and encodings: laws, and what every layer promises."""

import json

import keras
import networkx
import numpy as np
import pytest
from backend_helpers import assign, call, evaluate, float64_enabled, to_numpy
from keras import ops
from memory_helpers import check_gradients, check_law, traced, unit_vectors, with_weights

from keras_kuramoto import potentials
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.layers.natural_frequency import NaturalFrequency
from keras_kuramoto.ops import encodings
from keras_kuramoto.solvers import AdaptiveSolver, FixedStepSolver

N, D = 6, 3
RING = networkx.watts_strogatz_graph(N, 2, 0.3, seed=0)


@keras.saving.register_keras_serializable(package="test_kuramoto_memory")
def quartic(s):
    return s**4 / 4 - s


class Largest(potentials.PairPotential):
    """Not separable, without a gradient of its own."""

    def energy(self, products, weights):
        return ops.logsumexp(3.0 * weights * products, axis=-1)


# name: (potential, graph)
MODELS = {
    "linear": ("linear", RING),
    "relu": ("relu", None),
    "sigmoid": ("sigmoid", RING),
    "tanh": ("tanh", RING),
    "attention": ("attention", None),
    "function": (quartic, RING),
    "own": (Largest(), RING),
}


def make_memory(name, frequency=None, **options):
    potential, graph = MODELS[name]
    if frequency is not None:
        dtype = {"dtype": options["dtype"]} if "dtype" in options else {}
        frequency = NaturalFrequency(D, shared=frequency == "shared", **dtype)
    memory = KuramotoMemory(potential, graph, frequency, **options)
    memory.build((None, N, D))
    return memory


@pytest.mark.parametrize("name", MODELS)
def test_energy_falls_at_the_rate_of_equation_10(name):
    rng = np.random.default_rng(0)
    frequency = "shared" if name in ("relu", "tanh") else None
    with float64_enabled():
        memory = make_memory(name, frequency, solver=FixedStepSolver("rk4", num_steps=32), t1=2.0, dtype="float64")
        assert memory.has_energy
        check_law(memory, lambda: [unit_vectors(rng, 4, N, D)], rng)


def test_energy_rises_with_frequencies_of_their_own():
    rng = np.random.default_rng(1)
    with float64_enabled():
        memory = make_memory("relu", "own", solver=FixedStepSolver("rk4", num_steps=32), dtype="float64")
        run = with_weights(memory, lambda mu: memory(mu, return_energy=True)[1])
        values = [rng.standard_normal(weight.shape) for weight in memory.weights]
        energies = run([unit_vectors(rng, 8, N, D)], values)
        assert not memory.has_energy
        with pytest.raises(ValueError, match="shared=True"):
            memory.energy_rate(unit_vectors(rng, 1, N, D))
    assert np.diff(energies, axis=1).max() > 1e-3


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "attention"])
def test_closed_derivatives_equal_automatic_ones(name):
    rng = np.random.default_rng(2)
    potential = potentials.get(name)

    def run(s, w):
        results = [(potential.gradient(s, w), potentials.PairPotential.gradient(potential, s, w))]
        if isinstance(potential, potentials.SeparablePotential):
            own = potentials.FunctionPotential(potential)
            results += [
                (potential.derivative(s), own.derivative(s)),
                (potential.second_derivative(s), own.second_derivative(s)),
            ]
        return results

    with float64_enabled():
        for closed, automatic in evaluate(run, rng.standard_normal((3, 5)), rng.standard_normal(5)):
            assert closed.dtype == np.float64
            np.testing.assert_allclose(closed, automatic, rtol=1e-9, atol=1e-12)


def test_attention_is_example_3():
    rng = np.random.default_rng(3)
    mu = unit_vectors(rng, 1, N, D)
    with float64_enabled():
        memory = make_memory("attention", dtype="float64")
        assign(memory, rng, scale=1.0)
        change, energy = evaluate(lambda mu: (memory.vector_field(mu), memory.energy(mu)), mu)
        b, w = to_numpy(memory.linear_weights), to_numpy(memory.pair_weights)
    mu, gram = mu[0], mu[0] @ mu[0].T
    upper = np.triu_indices(N, 1)
    weights, linear = np.zeros((N, N)), np.zeros((N, N))
    weights[upper], linear[upper] = w, b
    weights, linear = weights + weights.T, linear + linear.T
    total = np.exp(weights[upper] * gram[upper]).sum()
    coupling = weights * np.exp(weights * gram) / total + linear
    np.fill_diagonal(coupling, 0)
    gradient = coupling @ mu
    expected = -(gradient - (gradient * mu).sum(-1, keepdims=True) * mu)
    np.testing.assert_allclose(change[0], expected, atol=1e-12)
    np.testing.assert_allclose(energy[0], np.log(total) + (linear * gram)[upper].sum(), atol=1e-12)


def test_rotating_all_oscillators_rotates_the_solution():
    rng = np.random.default_rng(4)
    with float64_enabled():
        memory = make_memory("tanh", solver=AdaptiveSolver(rtol=1e-8, atol=1e-10), dtype="float64")
        assign(memory, rng, scale=1.0)
        mu = unit_vectors(rng, 2, N, D)
        rotation = np.linalg.qr(rng.standard_normal((D, D)))[0]
        run = traced(memory)
        plain, rotated = call(run, mu), call(run, mu @ rotation)
        np.testing.assert_allclose(rotated, plain @ rotation, atol=1e-7)
        assert np.abs(plain - mu).max() > 0.1


@pytest.mark.parametrize("renormalize", [False, True])
def test_oscillators_keep_unit_length(renormalize):
    rng = np.random.default_rng(5)
    solver = AdaptiveSolver(rtol=1e-2)
    memory = make_memory("relu", "own", renormalize=renormalize, solver=solver, t1=3.0)
    assign(memory, rng, scale=2.0)
    mu = unit_vectors(rng, 3, N, D).astype("float32")

    def run(mu):
        solution = memory.trajectory(mu, [0.5, 3.0])
        # Also what is inside the solver when it renormalises.
        raw = memory.solver.integrate(
            lambda t, mu, *constants: memory.compute_vector_field(mu, *constants),
            mu,
            t1=3.0,
            project=memory.project,
            constants=memory.loop_constants(),
        )
        return solution.states, solution.state, raw.state

    *results, raw = evaluate(run, mu)
    for value in (*results, *([raw] if renormalize else [])):
        np.testing.assert_allclose(np.linalg.norm(value, axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize(("name", "frequency"), [("tanh", "own"), ("attention", "shared")])
def test_gradients_through_recall_equal_finite_differences(name, frequency):
    rng = np.random.default_rng(6)
    with float64_enabled():
        memory = make_memory(name, frequency, solver=FixedStepSolver("heun", num_steps=3), dtype="float64")
        assign(memory, rng)
        mu, probe = unit_vectors(rng, 2, 2, N, D)

        # The checks of the state would reject the moved states.
        def loss(mu):
            mu = mu / ops.sqrt(ops.sum(mu * mu, axis=-1, keepdims=True))
            return ops.sum(memory(mu) * ops.convert_to_tensor(probe)) + ops.sum(ops.square(memory.energy(mu)))

        check_gradients(memory, loss, [mu], rng)


def test_graph_gives_the_pairs():
    graph = networkx.Graph([("c", "a"), ("b", "c"), ("d", "c")])
    memory = KuramotoMemory("linear", graph)
    memory.build((None, 4, 2))
    # In the order in which the nodes were added.
    assert np.sort(memory.edges, axis=1).tolist() == [[0, 1], [0, 2], [0, 3]]
    every = KuramotoMemory("linear")
    every.build((None, 4, 2))
    assert len(every.edges) == 6


def test_saves_and_loads_inside_a_functional_model(tmp_path):
    rng = np.random.default_rng(7)
    frequency = NaturalFrequency(D, frequency=0.5)
    memory = KuramotoMemory(
        quartic, RING, frequency, use_linear=False, renormalize=True, t1=0.5, solver=FixedStepSolver("heun", 2)
    )
    inputs = keras.Input((N, D))
    mu, energies = memory(inputs, return_energy=True)
    assert (tuple(mu.shape), tuple(energies.shape)) == ((None, N, D), (None, 17))
    assert memory.linear_weights is None
    assign(memory, rng)
    config = json.loads(json.dumps(memory.get_config()))
    copy = KuramotoMemory.from_config(config)
    assert (copy.use_linear, copy.renormalize, copy.t1, copy.graph.num_nodes) == (False, True, 0.5, N)
    model = keras.Model(inputs, [mu, energies])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    state = unit_vectors(rng, 3, N, D).astype("float32")
    expected = evaluate(lambda mu: memory(mu, return_energy=True), state)
    for got, want in zip(evaluate(loaded, state), expected):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_state_and_energy_are_float32_under_mixed_precision(policy):
    rng = np.random.default_rng(8)
    memory = make_memory("relu", "shared", solver=FixedStepSolver("rk4", 4), dtype=policy)
    plain = make_memory("relu", "shared", solver=FixedStepSolver("rk4", 4))
    assign(memory, rng)
    for weight, other in zip(plain.weights, memory.weights):
        weight.assign(other)
    state = unit_vectors(rng, 2, N, D).astype("float32")
    mu, energies = evaluate(lambda mu: memory(mu, return_energy=True), state)
    assert mu.dtype == energies.dtype == np.float32
    expected = evaluate(plain, state)
    np.testing.assert_allclose(mu, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"potential": "cubic"}, "cubic"),
        ({"graph": networkx.DiGraph([(0, 1)])}, "undirected"),
        ({"graph": [[0, 1, 2]]}, "edges, 2"),
        ({"natural_frequency": 3.0}, "natural_frequency"),
        ({"potential": "linear", "use_linear": False}, "use_linear"),
        ({"t1": 0.0}, "t1"),
        ({"solver": "tsitouras"}, "solver"),
    ],
)
def test_rejects_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        KuramotoMemory(**options)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"graph": networkx.path_graph(5)}, (None, 6, 3), "5 nodes"),
        ({"graph": [[0, 7]]}, (None, 6, 3), "6 oscillators"),
        ({"graph": [[0, 1], [1, 0]]}, (None, 6, 3), "once"),
        ({}, (None, 6), "batch, N, D"),
        ({}, (None, 6, 1), "at least 2"),
        ({"natural_frequency": NaturalFrequency(2)}, (None, 6, 4), "natural_frequency"),
    ],
)
def test_rejects_what_does_not_fit_the_state(options, shape, message):
    with pytest.raises(ValueError, match=message):
        KuramotoMemory(**options).build(shape)


def test_rejects_bad_states():
    memory = make_memory("relu")
    mu = unit_vectors(np.random.default_rng(9), 2, N, D).astype("float32")
    broken = mu.copy()
    broken[1, 2, 0] = np.nan
    for state, message in ((1.01 * mu, "unit"), (broken, "NaN"), (mu[:, 1:], "shape"), (mu[0], "shape")):
        with pytest.raises(ValueError, match=message):
            memory(ops.convert_to_tensor(state))


def test_scalars_are_encoded_and_decoded():
    rng = np.random.default_rng(10)
    values = rng.uniform(-1, 1, (3, 5)).astype("float32")
    values[0, :2] = 1, -1
    mu = encodings.encode_scalars(ops.convert_to_tensor(values), 4)
    assert tuple(mu.shape) == (3, 6, 4)
    np.testing.assert_allclose(np.linalg.norm(to_numpy(mu), axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(to_numpy(encodings.decode_scalars(mu)), values, atol=1e-6)
    for bad in ([[1.5]], [[float("nan")]]):
        with pytest.raises(ValueError, match="between -1 and 1"):
            encodings.encode_scalars(ops.convert_to_tensor(bad), 4)
    with pytest.raises(ValueError, match="dim"):
        encodings.encode_scalars(ops.convert_to_tensor(values), 1)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_random_rotations_are_uniform_and_keep_scalar_products(dim):
    frame = np.broadcast_to(np.eye(dim, dtype="float32"), (4000, dim, dim))

    def run(frame):
        rotated = encodings.random_rotation(frame, seed=0)
        return rotated, encodings.random_rotation(frame, seed=0), encodings.random_rotation(frame[:3], 1, False)

    rotations, again, shared = call(run, frame, compiled=True)
    products = np.einsum("bij,bkj->bik", rotations, rotations)
    np.testing.assert_allclose(products, frame, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)
    np.testing.assert_array_equal(rotations, again)
    np.testing.assert_array_equal(shared[0], shared[2])
    # Entries of a uniform rotation have the mean 0 and the variance 1 / D: within five standard errors.
    np.testing.assert_allclose(rotations.mean(axis=0), 0, atol=5 / np.sqrt(4000 * dim))
    np.testing.assert_allclose((rotations**2).mean(axis=0), 1 / dim, atol=5 / np.sqrt(4000) / dim * np.sqrt(2))
