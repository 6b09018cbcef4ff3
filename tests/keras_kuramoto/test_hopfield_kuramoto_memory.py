"""The Hopfield-Kuramoto memory, its couplings and the hierarchical models: laws, and what every layer promises."""

import itertools
import json

import keras
import numpy as np
import pytest
from backend_helpers import assign, evaluate, float64_enabled, to_numpy
from keras import ops
from memory_helpers import check_gradients, check_law, unit_vectors, with_weights

from keras_kuramoto.layers import couplings
from keras_kuramoto.layers.connectivity import Connectivity
from keras_kuramoto.layers.conv_connectivity import SymmetricConvConnectivity
from keras_kuramoto.layers.dense_connectivity import DenseConnectivity, SymmetricDenseConnectivity
from keras_kuramoto.layers.hierarchical_connectivity import HierarchicalConnectivity
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.layers.lateral_connectivity import LateralConnectivity
from keras_kuramoto.layers.natural_frequency import NaturalFrequency
from keras_kuramoto.models import hierarchical_memories
from keras_kuramoto.solvers import FixedStepSolver

N, D = 6, 3
EDGES = [[0, 1], [2, 1], [2, 3], [3, 5], [4, 5], [0, 5]]


@keras.saving.register_keras_serializable(package="test_hopfield_kuramoto_memory")
def tilted(a):
    """Other functions for other pairs, symmetric."""
    positions = ops.cast(ops.arange(a.shape[-1]), a.dtype)
    return 0.3 * a + 0.1 * a * a * (1 + positions[:, None] * positions[None, :])


@keras.saving.register_keras_serializable(package="test_hopfield_kuramoto_memory")
def cubic(s):
    return s * s * s


@keras.saving.register_keras_serializable(package="test_hopfield_kuramoto_memory")
def cubic_derivative(s):
    return 3 * s * s


def make_coupling(name, dtype=None):
    return {
        "gating": lambda: couplings.GatingCoupling(SymmetricDenseConnectivity(dtype=dtype), dtype=dtype),
        "lateral": lambda: couplings.GatingCoupling(
            LateralConnectivity([SymmetricDenseConnectivity(dtype=dtype), None], [4, 2], dtype=dtype), dtype=dtype
        ),
        "low rank": lambda: couplings.LowRankCoupling(0.4, dtype=dtype),
        "additive": lambda: couplings.AdditiveCoupling(EDGES, 0.4, dtype=dtype),
        "multiplicative": lambda: couplings.MultiplicativeCoupling(EDGES, 0.4, dtype=dtype),
        "network": lambda: couplings.NetworkCoupling(EDGES, dtype=dtype),
        "pairs": lambda: couplings.PairCoupling(tilted, cubic, dtype=dtype),
    }[name]()


def make_memory(coupling, frequency=None, dtype=None, lagrangian="tanh", connectivity=None, **options):
    frequency = frequency and NaturalFrequency(D, shared=frequency == "shared", dtype=dtype)
    memory = HopfieldKuramotoMemory(
        HopfieldMemory(connectivity or SymmetricDenseConnectivity(dtype=dtype), lagrangian, dtype=dtype),
        KuramotoMemory("relu", EDGES, frequency, dtype=dtype),
        make_coupling(coupling, dtype) if isinstance(coupling, str) else coupling,
        dtype=dtype,
        **{"kappa_h": 0.7, "kappa_k": 1.3, **options},
    )
    memory.build(((None, N), (None, N, D)))
    return memory


def draw_state(rng, batch=3, size=N):
    return [1.5 * rng.standard_normal((batch, size)), unit_vectors(rng, batch, size, D)]


@pytest.mark.parametrize("name", ["gating", "lateral", "low rank", "additive", "multiplicative", "network", "pairs"])
def test_energy_falls_at_the_rate_of_equation_14(name):
    rng = np.random.default_rng(0)
    with float64_enabled():
        memory = make_memory(
            name,
            "shared" if name == "low rank" else None,
            dtype="float64",
            connectivity=HierarchicalConnectivity([4, 2], dtype="float64") if name == "multiplicative" else None,
            solver=FixedStepSolver("rk4", num_steps=32),
            train_kappas=name == "low rank",
        )
        assert memory.has_energy
        check_law(memory, lambda: draw_state(rng), rng, scale=0.4)


def test_energy_rises_with_frequencies_of_their_own():
    rng = np.random.default_rng(1)
    with float64_enabled():
        memory = make_memory("low rank", "own", dtype="float64", solver=FixedStepSolver("rk4", num_steps=32))
        run = with_weights(memory, lambda x, mu: memory((x, mu), return_energy=True)[1])
        values = [rng.standard_normal(weight.shape) for weight in memory.weights]
        energies = run(draw_state(rng, 8), values)
        assert not memory.has_energy
        with pytest.raises(ValueError, match="shared=True"):
            memory.energy_rate(tuple(draw_state(rng)))
    assert np.diff(energies, axis=1).max() > 1e-3


def test_named_couplings_are_special_cases_of_the_general_one():
    rng = np.random.default_rng(2)
    ones, edges = np.ones((N, N)), np.zeros((N, N))
    for i, j in EDGES:
        edges[i, j] = edges[j, i] = 1
    with float64_enabled():
        hopfield = SymmetricDenseConnectivity(dtype="float64")
        hopfield.build((None, N))
        hopfield.assign_coupling((lambda w: w + w.T)(rng.standard_normal((N, N))))
        w = to_numpy(hopfield.matrix())
        gating = make_coupling("gating", "float64")
        gating.build((None, N))
        gating.connectivity.assign_coupling(0.4 * ones)
        network = make_coupling("network", "float64")
        network.build((None, N))
        network.edge_weights.assign([0.4 * w[i, j] for i, j in EDGES])
        cases = [
            (make_coupling("low rank", "float64"), 0.4 * ones),
            (gating, 0.4 * ones),
            (make_coupling("additive", "float64"), 0.4 * edges),
            (make_coupling("multiplicative", "float64"), 0.4 * edges * w),
            (network, 0.4 * edges * w),
        ]
        activations, mu = draw_state(rng)

        def forces(coupling):
            coupling.build((None, N)) if not coupling.built else None

            def run(g, mu):
                constants = coupling.loop_constants(hopfield)
                return *coupling.forces(g, mu, *constants), coupling.energy(g, mu, *constants)

            return evaluate(run, activations, mu)

        for coupling, matrix in cases:
            general = couplings.PairCoupling(
                lambda a, matrix=matrix: ops.convert_to_tensor(matrix) * a, lambda s: s, dtype="float64"
            )
            for got, want in zip(forces(coupling), forces(general)):
                assert got.dtype == np.float64
                np.testing.assert_allclose(got, want, atol=1e-12, err_msg=coupling.name)
        derived = couplings.PairCoupling(tilted, cubic, dtype="float64")
        closed = couplings.PairCoupling(
            tilted,
            cubic,
            lambda a: 0.3 + 0.2 * a * (1 + np.arange(N)[:, None] * np.arange(N)[None]),
            cubic_derivative,
            dtype="float64",
        )
        for got, want in zip(forces(derived), forces(closed)):
            np.testing.assert_allclose(got, want, atol=1e-12)


class Ring(Connectivity):
    """Of a fixed number of units, but without a matrix of its own."""

    symmetric = True

    def call(self, x):
        return ops.roll(x, 1, axis=-1) + ops.roll(x, -1, axis=-1)


def test_connectivities_that_say_nothing_of_their_matrix():
    rng = np.random.default_rng(11)
    layers = (
        Ring(),
        LateralConnectivity([Ring(), keras.layers.Dense(2, use_bias=False, kernel_initializer="identity")], [4, 2]),
    )
    for connectivity in layers:
        memory = HopfieldKuramotoMemory(
            HopfieldMemory(connectivity), KuramotoMemory(), couplings.MultiplicativeCoupling([[0, 1], [2, 3], [4, 5]])
        )
        x, mu = (part.astype("float32") for part in draw_state(rng))
        memory.build((x.shape, mu.shape))
        dx, _ = evaluate(lambda x, mu, memory=memory: memory.vector_field((x, mu)), x, mu)
        w = to_numpy(connectivity(ops.eye(N)))
        # On three edges the oscillators gate the weights once more.
        gated = np.zeros((N, N))
        for i, j in ((0, 1), (2, 3), (4, 5)):
            gated[i, j] = gated[j, i] = w[i, j]
        effective = w + gated * (mu @ np.swapaxes(mu, 1, 2))
        np.testing.assert_allclose(dx, np.einsum("bij,bj->bi", effective, np.maximum(x, 0)) - x, atol=1e-5)
    assert not layers[1].symmetric
    assert LateralConnectivity([Ring(), None], [4, 2]).symmetric


def test_effective_weights_are_what_the_threshold_units_feel():
    rng = np.random.default_rng(3)
    with float64_enabled():
        memory = make_memory("low rank", dtype="float64", lagrangian="relu")
        assign(memory, rng)
        x, mu = draw_state(rng)

        def run(x, mu):
            strength, factor = memory.effective_weights(mu)
            return memory.vector_field((x, mu))[0], memory.hopfield.connectivity.matrix(), strength, factor

        change, weights, strength, factor = evaluate(run, x, mu)
        bias = to_numpy(memory.hopfield.bias)
        other = make_memory("additive", dtype="float64")
        with pytest.raises(ValueError, match="AdditiveCoupling"):
            other.effective_weights(mu)
    effective = weights + strength * factor @ np.swapaxes(factor, 1, 2)
    expected = np.einsum("bij,bj->bi", effective, np.maximum(x, 0)) - x + bias
    np.testing.assert_allclose(change, expected, atol=1e-12)


def test_gradients_through_recall_equal_finite_differences():
    rng = np.random.default_rng(4)
    with float64_enabled():
        solver = FixedStepSolver("heun", num_steps=2)
        memory = make_memory("multiplicative", "shared", dtype="float64", train_kappas=True, solver=solver)
        assign(memory, rng)
        state, probe = draw_state(rng, 2), draw_state(rng, 2)

        def loss(x, mu):
            # The checks of the state would reject the moved states.
            mu = mu / ops.sqrt(ops.sum(mu * mu, axis=-1, keepdims=True))
            parts = zip(memory((x, mu)), probe)
            return sum(ops.sum(part * ops.convert_to_tensor(p)) for part, p in parts) + ops.sum(memory.energy((x, mu)))

        check_gradients(memory, loss, state, rng)


# --- The hierarchical models -----------------------------------------------------------------------------------------
SIZES = [4, 3, 2]
SHAPES = [(4, 2), (2, 1), (2,)]
OPTIONS = {"kappa_h": 0.7, "kappa_k": 1.3, "dtype": "float64"}
HIERARCHICAL = {
    "E.1.1": lambda **options: hierarchical_memories.lateral_oscillators(SIZES, **options),
    "E.1.2": lambda **options: hierarchical_memories.lateral_conv_oscillators(SHAPES, strides=2, **options),
    "E.1.3": lambda **options: hierarchical_memories.lateral_oscillators(SIZES, "softmax", "tanh", **options),
    "E.2": lambda **options: hierarchical_memories.deep_oscillators(SIZES, **options),
}


@pytest.mark.parametrize("name", HIERARCHICAL)
def test_energy_of_a_hierarchical_model_falls_at_the_rate_of_equation_14(name):
    rng = np.random.default_rng(5)
    with float64_enabled():
        memory = HIERARCHICAL[name](solver=FixedStepSolver("rk4", num_steps=32), **OPTIONS)
        size = 12 if name == "E.1.2" else sum(SIZES)
        memory.build(((None, size), (None, size, D)))
        check_law(memory, lambda: draw_state(rng, 3, size), rng, scale=0.5)


def blocks(matrix, starts):
    return [[matrix[a:b, c:d] for c, d in itertools.pairwise(starts)] for a, b in itertools.pairwise(starts)]


def weights_of(memory, pair_weights):
    """W, S and the pairs' matrix of a hierarchical model."""
    size = sum(SIZES)
    pairs = np.zeros((size, size))
    for (i, j), value in zip(memory.kuramoto.edges, to_numpy(pair_weights)):
        pairs[i, j] = pairs[j, i] = value
    identity = ops.eye(size, dtype="float64")
    lateral = to_numpy(memory.coupling.connectivity(identity))
    return to_numpy(memory.hopfield.connectivity(identity)), lateral, pairs


def reference(memory, x, mu):
    """Eq. 45 and 50 as they are written, and the coupling of (46) as it is printed, for one state."""
    starts = np.cumsum([0, *SIZES])
    w, s, b = weights_of(memory, memory.kuramoto.pair_weights)
    linear = memory.kuramoto.linear_weights
    a = np.zeros_like(b) if linear is None else weights_of(memory, linear)[2]
    g = np.maximum(x, 0)
    gram = mu @ mu.T
    dx, dmu = -x, np.zeros_like(mu)
    for i, (start, stop) in enumerate(itertools.pairwise(starts)):
        own = slice(start, stop)
        for p in (i - 1, i, i + 1):
            if 0 <= p < len(SIZES):
                other = slice(starts[p], starts[p + 1])
                dx[own] += w[own, other] @ g[other]
                dmu[own] -= (a[own, other] + b[own, other] * np.maximum(gram[own, other], 0)) @ mu[other]
        dx[own] += (s[own, own] * gram[own, own]) @ g[own] / OPTIONS["kappa_h"]
        dmu[own] += (np.outer(g[own], g[own]) * s[own, own]) @ mu[own] / OPTIONS["kappa_k"]
    return dx, dmu - (dmu * mu).sum(-1, keepdims=True) * mu, w, s


@pytest.mark.parametrize("name", ["E.1.1", "E.2"])
def test_hierarchical_model_has_the_papers_equations_of_motion(name):
    rng = np.random.default_rng(6)
    with float64_enabled():
        memory = HIERARCHICAL[name](**OPTIONS)
        size = sum(SIZES)
        memory.build(((None, size), (None, size, D)))
        assign(memory, rng)
        memory.hopfield.bias.assign(np.zeros(size))
        x, mu = draw_state(rng, 2, size)
        dx, dmu = evaluate(lambda x, mu: memory.vector_field((x, mu)), x, mu)
        for b in range(2):
            expected_x, expected_mu, w, s = reference(memory, x[b], mu[b])
            np.testing.assert_allclose(dx[b], expected_x, atol=1e-12)
            np.testing.assert_allclose(dmu[b], expected_mu, atol=1e-12)
        # Between the layers, or within them, and not both.
        starts = np.cumsum([0, *SIZES])
        for matrix, lateral in ((w, name == "E.2"), (s, True)):
            for i, row in enumerate(blocks(matrix, starts)):
                for j, block in enumerate(row):
                    assert bool(np.any(block)) == (i == j if lateral else abs(i - j) == 1)


def test_the_printed_energy_46_does_not_fall():
    rng = np.random.default_rng(7)
    with float64_enabled():
        memory = hierarchical_memories.lateral_oscillators(SIZES, potential="linear", dtype="float64")
        size = sum(SIZES)
        memory.build(((None, size), (None, size, D)))

        def printed(x, mu):
            """κ_H = κ_K = 1 and E_K = 0: the right energy without its coupling, and + ½ ‖g gᵀ ∘ S ∘ 𝒢‖²."""
            g = ops.relu(x)
            s = memory.coupling.connectivity(ops.eye(size, dtype="float64"))
            entries = g[:, :, None] * g[:, None, :] * s * (mu @ ops.swapaxes(mu, 1, 2))
            return memory.hopfield.compute_energy(x) + 0.5 * ops.sum(entries * entries, axis=(1, 2))

        def rates(x, mu):
            dx, dmu = memory.vector_field((x, mu))
            return [
                (energy(x + 1e-5 * dx, mu + 1e-5 * dmu) - energy(x - 1e-5 * dx, mu - 1e-5 * dmu)) / 2e-5
                for energy in (printed, lambda x, mu: memory.compute_energy((x, mu)))
            ]

        run = with_weights(memory, rates)
        names = [weight.path for weight in memory.weights]
        values = [
            (0.0 if "linear_weights" in name or "kappa" in name else 1.0) * rng.standard_normal(weight.shape)
            for name, weight in zip(names, memory.weights)
        ]
        wrong, right = run(draw_state(rng, 50, size), values)
    assert right.max() <= 1e-9
    assert wrong.max() > 1e-3


# --- What every layer promises ---------------------------------------------------------------------------------------
def test_frozen_hopfield_part_and_trained_kappas():
    memory = make_memory("low rank", train_kappas=True)
    memory.hopfield.trainable = False
    names = {weight.name for weight in memory.trainable_weights}
    assert names == {"linear_weights", "pair_weights", "strength", "log_kappa_h", "log_kappa_k"}
    fixed = make_memory("low rank")
    assert not {"log_kappa_h", "log_kappa_k"} & {weight.name for weight in fixed.trainable_weights}


@pytest.mark.parametrize("name", ["gating", "lateral", "low rank", "additive", "multiplicative", "network", "pairs"])
def test_configuration_round_trips(name):
    memory = make_memory(name, "shared", t1=0.5, solver=FixedStepSolver("heun", 2), train_kappas=True)
    config = json.loads(json.dumps(memory.get_config()))
    copy = HopfieldKuramotoMemory.from_config(config)
    copy.build(((None, N), (None, N, D)))
    assert (copy.kappa_h, copy.kappa_k, copy.train_kappas, copy.t1) == (0.7, 1.3, True, 0.5)
    assert type(copy.coupling) is type(memory.coupling)
    for key in {"strength", "train_strength", "graph"} & {*memory.coupling.get_config()}:
        assert copy.coupling.get_config()[key] == memory.coupling.get_config()[key]
    assert [weight.shape for weight in copy.weights] == [weight.shape for weight in memory.weights]


@pytest.mark.parametrize("name", ["lateral", "pairs"])
def test_saves_and_loads_inside_a_functional_model(name, tmp_path):
    rng = np.random.default_rng(8)
    memory = make_memory(name, "shared", t1=0.5, solver=FixedStepSolver("heun", 2), train_kappas=True)
    inputs = keras.Input((N,)), keras.Input((N, D))
    (x, mu), energies = memory(inputs, return_energy=True)
    assert [tuple(part.shape) for part in (x, mu, energies)] == [(None, N), (None, N, D), (None, 17)]
    assign(memory, rng)
    model = keras.Model(inputs, [x, mu, energies])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    state = [part.astype("float32") for part in draw_state(rng)]
    (x, mu), energies = evaluate(lambda x, mu: memory((x, mu), return_energy=True), *state)
    for got, want in zip(evaluate(lambda x, mu: loaded([x, mu]), *state), (x, mu, energies)):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_state_and_energy_are_float32_under_mixed_precision(policy):
    rng = np.random.default_rng(9)
    options = {"solver": FixedStepSolver("rk4", 4)}
    memory, plain = make_memory("gating", dtype=policy, **options), make_memory("gating", **options)
    assign(memory, rng, scale=0.1)
    for weight, other in zip(plain.weights, memory.weights):
        weight.assign(other)
    state = [part.astype("float32") for part in draw_state(rng)]
    (x, mu), energies = evaluate(lambda x, mu: memory((x, mu), return_energy=True), *state)
    assert x.dtype == mu.dtype == energies.dtype == np.float32
    for got, want in zip((x, mu), evaluate(lambda x, mu: plain((x, mu)), *state)):
        np.testing.assert_allclose(got, want, atol=2e-2)


@pytest.mark.parametrize("name", ["kappa_h", "kappa_k"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "1"])
def test_rejects_kappas_that_are_not_positive(name, value):
    with pytest.raises(ValueError, match=name):
        make_memory("low rank", **{name: value})


def test_rejects_bad_parts():
    hopfield, kuramoto = HopfieldMemory(SymmetricDenseConnectivity()), KuramotoMemory()
    for parts, message in (
        ((kuramoto, kuramoto, couplings.LowRankCoupling()), "hopfield"),
        ((hopfield, hopfield, couplings.LowRankCoupling()), "kuramoto"),
        ((hopfield, kuramoto, SymmetricDenseConnectivity()), "coupling"),
    ):
        with pytest.raises(ValueError, match=f"`{message}`"):
            HopfieldKuramotoMemory(*parts)
    for make, message in (
        (lambda: couplings.GatingCoupling(None), "connectivity"),
        (lambda: couplings.LowRankCoupling("strong"), "strength"),
        (lambda: couplings.AdditiveCoupling(None), "graph"),
        (lambda: couplings.PairCoupling(None, ops.square), "G"),
        (lambda: LateralConnectivity([None], [3, 4]), "shapes"),
        (lambda: LateralConnectivity(["dense"], [3]), "connectivities"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_rejects_couplings_that_do_not_fit():
    skewed = np.triu(np.ones((N, N), "float32"))
    for coupling, message in (
        (couplings.GatingCoupling(DenseConnectivity()), "symmetric"),
        (couplings.GatingCoupling(SymmetricDenseConnectivity(use_bias=True)), "bias"),
        (couplings.AdditiveCoupling({"edges": [[0, 1]], "num_nodes": 5}), "5 nodes"),
        (couplings.NetworkCoupling([[0, 9]]), "nodes"),
        (couplings.PairCoupling(lambda a: a * ops.convert_to_tensor(skewed), ops.square), "`G` must be symmetric"),
        (couplings.PairCoupling(ops.square, lambda s: s[:, :1]), "`chi` must keep the shape"),
        (couplings.GatingCoupling(LateralConnectivity([None], [5])), "5 together"),
        (couplings.GatingCoupling(LateralConnectivity([SymmetricConvConnectivity(3, True)], [(3, 2)])), "linear"),
    ):
        with pytest.raises(ValueError, match=message):
            make_memory(coupling)


def test_rejects_bad_states():
    memory = make_memory("low rank")
    x, mu = (part.astype("float32") for part in draw_state(np.random.default_rng(10)))
    broken = x.copy()
    broken[0, 0] = np.nan
    for state, message in (
        ((broken, mu), "NaN"),
        ((x, 1.1 * mu), "unit"),
        ((x[:, 1:], mu), "shape"),
        ((x, mu[..., :2]), "shape"),
    ):
        with pytest.raises(ValueError, match=message):
            memory.vector_field(tuple(ops.convert_to_tensor(part) for part in state))
    with pytest.raises(ValueError, match="pair"):
        memory.vector_field(ops.convert_to_tensor(x))
    fresh = HopfieldKuramotoMemory(memory.hopfield, memory.kuramoto, couplings.LowRankCoupling())
    with pytest.raises(ValueError, match="pair"):
        fresh.build((None, N))
    with pytest.raises(ValueError, match="batch, N"):
        fresh.build(((None, N), (None, N + 1, D)))
