"""Batches without an example, such as a replica may get: every public layer gives results of the right shapes."""

import keras
import networkx as nx
import numpy as np
import pytest
from backend_helpers import call, specs, to_numpy
from keras import ops
from test_layers import ELSEWHERE, LAYERS

from keras_kuramoto import layers
from keras_kuramoto.ops import random_on_sphere
from keras_kuramoto.solvers import FixedStepSolver

GRAPH = nx.cycle_graph(6)
TOKENS = (5, 8)
# Threshold units, and oscillators on the sphere.
BOTH = [(6,), (6, 3)]


def recall(**options):
    layer = layers.CDAMRecall(np.eye(6), GRAPH, h=0.5, num_steps=2, **options)

    def run(state):
        return (
            layer(state, return_correlations=True),
            layer(state, tolerance=0.1),
            layer.closest(state),
            layer.energy(state),
            layer.trajectory(state),
        )

    return run


def automaton():
    layer = layers.FiniteAutomaton([("Bart", "sister", "Lisa"), ("Lisa", "father", "Homer")])

    def run(state):
        code = layer.encode(["Bart"]) + 0.0 * ops.sum(state, axis=1, keepdims=True)
        return layer(code, ops.zeros_like(code[:, 0], dtype="int32")), layer.decode_index(code)

    return run


def memory(layer, parts="both"):
    """Everything that a memory computes, of `parts` of (x, mu)."""

    def run(x, mu):
        state = {"x": x, "mu": mu, "both": (x, mu)}[parts]
        results = layer(state, return_energy=True), layer.vector_field(state), layer.energy(state)
        return *results, layer.energy_rate(state), layer.trajectory(state, [0.1]).states

    return run


def hopfield(**options):
    return layers.HopfieldMemory(layers.SymmetricDenseConnectivity(), "tanh", **options)


def coupled(coupling):
    memories = hopfield(), layers.KuramotoMemory(graph=GRAPH)
    return memory(layers.HopfieldKuramotoMemory(*memories, coupling, solver=FixedStepSolver("heun", num_steps=2)))


def quasi_equilibrium():
    layer = layers.QuasiEquilibriumMemory(np.eye(6))

    def run(x, mu):
        return memory(layer, "x")(x, mu), layer.update(x), layer.jacobian(x)

    return run


def learning():
    layer = layers.SynapticMemory(np.eye(6))
    solved = layers.SynapticMemory(np.eye(6), solver=FixedStepSolver("euler", num_steps=2))
    return lambda x: (layer(x, training=True), solved(x, training=True), layer.selection(x))


def block(**options):
    kuramoto = layers.KuramotoLayer(layers.AttentionConnectivity(2), 4, num_steps=2)
    return layers.KuramotoBlock(kuramoto, layers.OscillatorReadout(8, 4), **options)


def kuramoto_network():
    network = layers.KuramotoNetwork([block(), block()], layers.InitialOscillators(4, seed=0))
    return lambda c: network(c, return_energy=True)


# name: (what makes a function of inputs, shapes of the inputs without the batch)
OTHERS = {
    "CDAMAttention": (lambda: layers.CDAMAttention(nx.cycle_graph(5), h=0.5), [TOKENS]),
    "CDAMRecall": (recall, [(6,)]),
    "CDAMRecall in blocks": (lambda: recall(block_size=4), [(6,)]),
    "FiniteAutomaton": (automaton, [(6,)]),
    "HebbianMemory": (lambda: layers.HebbianMemory(np.sign(np.eye(6) - 0.5)), [(6,)]),
    "HierarchicalConnectivity": (lambda: layers.HierarchicalConnectivity([4, 2]), [(6,)]),
    "HierarchicalConvConnectivity": (
        lambda: layers.HierarchicalConvConnectivity([(4, 4, 1), (4, 4, 2)]),
        [(48,)],
    ),
    "HopfieldMemory": (lambda: memory(hopfield(), "x"), BOTH),
    "HopfieldKuramotoMemory": (lambda: coupled(layers.LowRankCoupling()), BOTH),
    "KuramotoMemory": (lambda: memory(layers.KuramotoMemory(graph=GRAPH), "mu"), BOTH),
    "AdditiveCoupling": (lambda: coupled(layers.AdditiveCoupling(GRAPH)), BOTH),
    "GatingCoupling": (lambda: coupled(layers.GatingCoupling(layers.SymmetricDenseConnectivity())), BOTH),
    "LowRankCoupling": (lambda: coupled(layers.LowRankCoupling()), BOTH),
    "MultiplicativeCoupling": (lambda: coupled(layers.MultiplicativeCoupling(GRAPH)), BOTH),
    "NetworkCoupling": (lambda: coupled(layers.NetworkCoupling(GRAPH)), BOTH),
    "PairCoupling": (lambda: coupled(layers.PairCoupling(ops.square, lambda s: s)), BOTH),
    "LateralConnectivity": (
        lambda: layers.LateralConnectivity([layers.SymmetricDenseConnectivity(), None], [4, 2]),
        [(6,)],
    ),
    "QuasiEquilibriumMemory": (quasi_equilibrium, BOTH),
    "SynapticMemory": (learning, [(6,)]),
    "KuramotoBlock": (lambda: block(), [TOKENS, TOKENS]),
    "KuramotoNetwork": (kuramoto_network, [TOKENS]),
    "SharedTransition": (lambda: layers.SharedTransition(keras.layers.Dense(4)), [TOKENS, TOKENS]),
    "StimuliTransition": (lambda: layers.StimuliTransition(keras.layers.Dense(4)), [TOKENS, TOKENS]),
}


def test_every_layer_is_here_or_among_those_of_its_own_tests():
    assert {name.split()[0] for name in OTHERS} == ELSEWHERE


def make_inputs(shapes, batch):
    def make(shape):
        if shape == BOTH[1]:
            return ops.convert_to_numpy(random_on_sphere((batch, *shape), seed=0)).reshape(batch, *shape)
        return np.ones((batch, *shape), "float32" if len(shape) > 0 else "bool")

    return [make(shape) for shape in shapes]


@pytest.mark.parametrize("name", [*LAYERS, *OTHERS])
def test_no_example_gives_none(name):
    make, shapes = OTHERS[name] if name in OTHERS else LAYERS[name][:2]
    run = make()
    none = call(run, *make_inputs(shapes, 0))
    some = specs(run, *make_inputs(shapes, 2))
    keras.tree.assert_same_structure(some, none)
    for full, empty in zip(keras.tree.flatten(some), keras.tree.flatten(none)):
        assert empty.shape == (0, *full.shape[1:])
        assert empty.dtype == full.dtype


def test_no_fixed_points():
    assert to_numpy(layers.QuasiEquilibriumMemory(np.eye(6)).is_hyperbolic(np.zeros((0, 6), "float32"))).shape == (0,)


def test_memories_do_not_change_where_no_state_is_shown():
    for options in ({}, {"solver": FixedStepSolver("euler", num_steps=2)}):
        layer = layers.SynapticMemory(np.eye(6), **options)
        nothing = np.zeros((0, 6), "float32")
        layer(nothing, training=True)
        np.testing.assert_array_equal(to_numpy(layer.memories), np.eye(6))
        np.testing.assert_array_equal(to_numpy(layer.change(nothing)), np.zeros((6, 6)))
